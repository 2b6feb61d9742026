"""Rules as data: a file beside `checks/*.yml` with a row for each check."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from qanat.declare.check.making import SAID
from qanat.declare.check.selected import Group, Selector, Written
from qanat.declare.check.value import Check
from qanat.declare.document import Entry
from qanat.declare.files import CHECKS
from qanat.errors import Location, QanatError, SpecError, nearest
from qanat.model.pipeline import ProjectSpec

DATASET = "dataset"
_RULE = "rule"
_KNOWN = (DATASET, _RULE, *SAID)
_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
Rows = Iterator[tuple[Location, Mapping[str, Any]]]


def rules_of_file(
    project: ProjectSpec,
    entry: Entry,
    file: str,
    selector: Selector,
    values: Mapping[str, str],
    said: Mapping[str, Any],
    problems: list[QanatError],
) -> Iterator[Group]:
    """A group for each row of a file of rules.

    Args:
        entry: the name of the file, relative to the one that names it.
        file: that one.
        selector: the datasets of rows that name none.
        values: what `${name}` stands for.
        said: what holds for rows that do not say otherwise.
        problems: gains what is wrong.
    """
    named = entry.text
    path = Path(os.path.normpath((project.root / file).parent / str(named)))
    below = project.root / CHECKS
    if path.suffix.lower() not in _SUFFIXES or not path.is_relative_to(below):
        problems.append(
            SpecError(
                "rules are no file of rules",
                location=entry.at,
                wanted=f"a file that ends in {', '.join(_SUFFIXES)}, in the folder {CHECKS}",
                got=str(named),
            )
        )
        return
    shown = path.relative_to(project.root).as_posix()
    try:
        rows = _rows_of(path, shown)
    except (OSError, UnicodeDecodeError) as error:
        near = nearest(path.name, _beside(path.parent))
        message = f"cannot read the rules in {named}"
        problems.append(SpecError(message, location=entry.at, got=str(error), nearest=near))
        return
    wrong = set[str]()
    try:
        for at, row in rows:
            problems.extend(_unknown(row, at, wrong))
            group = _group(row, at, selector, values, said, problems)
            if group is not None:
                yield group
    except (ValueError, csv.Error) as error:
        problems.append(SpecError(f"not read: {error}", location=Location(shown)))


def _rows_of(path: Path, shown: str) -> Rows:
    """The rows of a file.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read; what is wrong inside is a ValueError later.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _stored(path.read_bytes(), shown)
    return _rows(path.read_text("utf-8-sig"), shown, suffix)


def _stored(content: bytes, file: str) -> Rows:
    # Imported only here: few projects have such rules.
    table = import_module("pyarrow.parquet").read_table(io.BytesIO(content))
    for row in table.to_pylist():
        yield Location(file), row


def _rows(text: str, file: str, suffix: str) -> Rows:
    if suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
        for row in reader:
            yield Location(file, reader.line_num), {str(k): v for k, v in row.items()}
        return
    if suffix == ".jsonl":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield Location(file, number), _mapping(json.loads(line))
        return
    found = json.loads(text)
    for row in found if isinstance(found, list) else [found]:
        yield Location(file), _mapping(row)


def _mapping(row: object) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise ValueError(f"a rule is a mapping, not {str(row)[:40]!r}")
    return row


def _group(
    row: Mapping[str, Any],
    at: Location,
    selector: Selector,
    values: Mapping[str, str],
    said: Mapping[str, Any],
    problems: list[QanatError],
) -> Group | None:
    given = {k: v for k, v in row.items() if v not in (None, "")}
    if not given:
        return None
    if _RULE not in given:
        problems.append(SpecError("the row has no rule", location=at, wanted=f"{_RULE}: …"))
        return None
    names = ((str(given[DATASET]), at),) if DATASET in given else selector.names
    tagged = () if DATASET in given else selector.tagged
    if not names and not tagged:
        problems.append(SpecError("the row is for no dataset", location=at, wanted="dataset: …"))
        return None
    more = {**said, **{k: v for k, v in given.items() if k in SAID}}
    check = Check("sql", (("condition", str(given[_RULE])),), tuple(more.items()))
    return Group(Selector(names, tagged), (Written(check, at, {}, values),), at)


def _unknown(row: Mapping[str, Any], at: Location, wrong: set[str]) -> Iterator[QanatError]:
    """An error for each column of rules that means nothing, once."""
    for key in row:
        if key not in _KNOWN and key not in wrong:
            wrong.add(key)
            known: Sequence[str] = _KNOWN
            yield SpecError(
                f"unknown column {key!r} of rules",
                location=at,
                nearest=nearest(key, known),
                wanted=None if nearest(key, known) else ", ".join(known),
            )


def _beside(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()] if folder.is_dir() else []
