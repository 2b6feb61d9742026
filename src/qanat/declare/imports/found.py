"""Imports checks of other tools: reads their files, and writes `checks/*.yml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qanat.declare.check.value import Check
from qanat.declare.check.written import checks_text
from qanat.declare.document import Entry, read
from qanat.declare.imports.dbt import read_dbt
from qanat.declare.imports.gx import read_gx
from qanat.declare.imports.pandera import read_pandera
from qanat.declare.imports.reading import Imported
from qanat.declare.imports.soda import read_soda
from qanat.errors import CommandLineError, Location, Problems, QanatError, SpecError
from qanat.frozen import Frozen
from qanat.model.contract import Note

FORMATS: Mapping[str, Callable[[Entry, str | None], Imported]] = {
    "dbt": read_dbt,
    "gx": read_gx,
    "soda": read_soda,
    "pandera": read_pandera,
}
"""By name of a format, what reads a file of it."""


class CheckFile(Frozen):
    """A file of checks that an import makes.

    Args:
        name: of the file, without a folder.
        text: its content.
        checks: how many it has.
        notes: what is not carried over.
    """

    name: str
    text: str
    checks: int
    notes: tuple[Note, ...]


def import_checks(path: Path, format_: str | None, dataset: str | None) -> CheckFile:
    """What a file of another tool means as checks.

    Args:
        format_: one of `FORMATS`; None: as the file looks.
        dataset: that the checks are for, where the file does not say it.

    Raises:
        SpecError: it cannot be read.
        CommandLineError: it looks like none of the formats.
    """
    problems: list[QanatError] = []
    try:
        # JSON is YAML, too; a tab outside of texts is not.
        text = path.read_text("utf-8-sig")
        document = read(
            text if path.suffix != ".json" else text.replace("\t", " "), str(path), None, problems
        )
    except (OSError, UnicodeDecodeError) as error:
        at = Location(str(path))
        raise SpecError(f"cannot read the file: {error}", location=at) from error
    Problems(problems).require()
    found = FORMATS[format_ or _format_of(document)](document, dataset)
    named = {name: _named(checks) for name, checks in found.checks.items()}
    count = sum(map(len, named.values()))
    return CheckFile(f"{path.stem}.yml", checks_text(named), count, tuple(found.notes))


def _format_of(document: Entry) -> str:
    keys = set(document.value) if isinstance(document.value, dict) else set[str]()
    if "expectations" in keys:
        return "gx"
    if keys & {"models", "sources", "seeds", "snapshots"}:
        return "dbt"
    if "schema_type" in keys:
        return "pandera"
    if "dataset" in keys or any(key.startswith("checks for ") for key in keys):
        return "soda"
    odcs = "apiVersion" in keys
    raise CommandLineError(
        f"{document.at.file} looks like no file of checks",
        wanted="--format " + " or ".join(FORMATS),
        hint="put a contract into the folder contracts: it is read as it is" if odcs else None,
    )


def _named(checks: Sequence[Check]) -> list[Check]:
    """Checks whose names differ: a second one of a kind on a column gets a number."""
    seen: dict[str, int] = {}
    found = []
    for check in checks:
        columns = check.argument("column") or check.argument("columns") or ()
        parts = [columns] if isinstance(columns, str) else [*columns]
        name = check.get("name") or "_".join(map(str, [*parts, check.kind]))
        seen[name] = seen.get(name, 0) + 1
        found.append(check if seen[name] == 1 else check.named(f"{name}_{seen[name]}"))
    return found
