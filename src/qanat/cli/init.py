"""`qanat init`: a small project that runs at once."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.options import output
from qanat.cli.template import contents
from qanat.errors import CommandLineError
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.text import printable

NEXT = ("run", "show revenue_by_city", "quarantine show silver_orders")
"""Commands that a newcomer should type, in order."""


@click.command("init", short_help="Write a small project that runs at once.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option(
    "--template",
    type=click.Choice(["default"]),
    default="default",
    help="Which project to write.  [default: default]",
)
@output
def command(folder: Path, template: str, json: bool) -> int:
    """Write a small project into FOLDER (default: here) that runs at once.

    Existing files are never overwritten: if one is in the way, nothing is written.
    """
    files = contents(project_name(folder))
    present = [path for path in files if (folder / path).exists()]
    if present:
        raise CommandLineError(
            f"there is a project in {str(folder)!r} already, or files in its way",
            got=", ".join(present),
            hint="choose another folder: `qanat init my_project`",
        )
    write(folder, files)
    if json:
        screen.write(dumps(document("init", (str(folder), list(files)))))
        return 0
    here = folder == Path()
    lines = [f"Wrote a project into {'this folder' if here else printable(str(folder))}:", ""]
    lines += [f"  {path}" for path in files]
    lines += ["", "What to type next:"]
    lines += [] if here else [f"  cd {printable(shlex.quote(str(folder)))}"]
    lines += [f"  qanat {command}" for command in NEXT]
    screen.write("\n".join(lines))
    return 0


def project_name(folder: Path) -> str:
    """A name for the project in a folder: the folder's, in letters, digits and `_`.

    >>> project_name(Path("my shop")), project_name(Path("2026"))
    ('my_shop', 'project_2026')
    """
    name = re.sub(r"\W+", "_", folder.absolute().name).strip("_")
    return name if name[:1].isalpha() else f"project_{name}".rstrip("_")


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder.

    Raises:
        CommandLineError: the folder cannot be written to.
    """
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise CommandLineError(
            f"cannot write into {str(folder)!r}", got=error.strerror or str(error)
        ) from error
