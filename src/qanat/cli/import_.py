"""`qanat import checks`: take over the checks of other tools."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, project_ref
from qanat.cli.program import Group
from qanat.declare.files import CHECKS
from qanat.declare.imports.found import FORMATS, import_checks
from qanat.disk import explained, whole_file
from qanat.text import count, printable


@click.group(
    "import", cls=Group, short_help="Take over checks of dbt, Great Expectations, Soda or Pandera."
)
def command() -> None:
    """Take over what other tools declare."""


@command.command("checks", short_help="Write checks of other tools as files of checks.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--format",
    "format_",
    type=click.Choice([*FORMATS]),
    help="Whose files they are.  [default: as they look]",
)
@click.option("--dataset", metavar="NAME", help="The dataset, where a file does not name it.")
@click.option("--write", is_flag=True, help="Write the files; else only show what would change.")
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def checks(
    files: tuple[Path, ...],
    format_: str | None,
    dataset: str | None,
    write: bool,
    ref: ProjectRef,
    debug: bool,
) -> int:
    """Write the checks of other tools as files of checks, one for each file.

    Reads schema.yml of dbt, suites of Great Expectations (JSON), checks and contracts of Soda, and
    schemas of Pandera (YAML, JSON). What has no check that means the same is named with its place.
    """
    del debug
    with ref.open() as project:
        folder = project.root / CHECKS
    for file in files:
        made = import_checks(file, format_, dataset)
        target = folder / made.name
        shown = f"{CHECKS}/{made.name}"
        before = target.read_text("utf-8") if target.is_file() else ""
        lines = difflib.unified_diff(
            before.splitlines(), made.text.splitlines(), shown, shown, lineterm=""
        )
        if write:
            with explained("make", folder):
                folder.mkdir(exist_ok=True)
            with whole_file(target) as part:
                part.write_text(made.text, "utf-8")
            screen.write(f"{shown}: {count(made.checks, 'check')}")
        else:
            screen.write("\n".join(map(printable, lines)) or f"{shown}: unchanged")
        for note in made.notes:
            screen.note(f"not carried over: {printable(str(note))}")
    return 0
