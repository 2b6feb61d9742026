"""Reads unit tests of transformations from `tests/*.yml`, in the form that dbt has."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from qanat.declare.document import Entry, read
from qanat.declare.environments import check_keys
from qanat.errors import Location, QanatError, SpecError, nearest
from qanat.model.unit_test import FOLDER, Given, Rows, TestStep, UnitTest

_TOP = ("version", "unit_tests")
_TEST = ("name", "description", "model", "given", "expect", "steps")
_STEP = ("given", "expect")
_GIVEN = ("input", "rows", "format")
_EXPECT = ("rows", "quarantined", "format")
_REF = re.compile(r"\s*(?:ref|source)\s*\(\s*(.+?)\s*\)\s*", re.DOTALL)


def load_unit_tests(root: Path) -> tuple[tuple[UnitTest, ...], tuple[QanatError, ...]]:
    """All unit tests of a project, and what is wrong with their files.

    Args:
        root: the project's folder.
    """
    tests: list[UnitTest] = []
    problems: list[QanatError] = []
    folder = root / FOLDER
    for path in sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")]):
        shown = path.relative_to(root).as_posix()
        try:
            document = read(path.read_text("utf-8-sig"), shown, None, problems)
        except SpecError as error:
            problems.append(error)
        except (OSError, UnicodeDecodeError) as error:
            problems.append(SpecError(f"cannot read {shown}: {error}", location=Location(shown)))
        else:
            tests += _Reader(problems).tests(document)
    return tuple(tests), tuple(problems)


class _Reader:
    """Turns entries into tests; what is wrong goes to `problems`."""

    def __init__(self, problems: list[QanatError]) -> None:
        self._problems = problems

    def tests(self, document: Entry) -> Iterator[UnitTest]:
        top = document.value
        # Other YAML may lie in that folder, such as dbt's `data_tests`. A key that is nearly ours
        # is misspelt: were it passed over, its tests would never run, without a word.
        if not isinstance(top, dict) or not get_close_matches("unit_tests", top, cutoff=0.8):
            return
        fields = self._fields(document, _TOP, "a file of unit tests")
        if "unit_tests" not in fields:
            return
        for entry in self._list(fields["unit_tests"], "a list of unit tests"):
            fields = self._fields(entry, _TEST, "a unit test")
            name, model = self._text(fields, "name", entry), self._text(fields, "model", entry)
            if not name or not model:
                continue
            if "steps" in fields:
                every = self._list(fields["steps"], "a list of steps")
                steps = [self._step(self._fields(s, _STEP, "a step"), s) for s in every]
            else:
                steps = [self._step(fields, entry)]
            description = fields.get("description")
            text = "" if description is None else str(description.text)
            yield UnitTest(name, _named(model), tuple(steps), entry.at, text)

    def _step(self, fields: Mapping[str, Entry], of: Entry) -> TestStep:
        given = []
        for entry in self._list(fields["given"], "a list of inputs") if "given" in fields else ():
            one = self._fields(entry, _GIVEN, "an input")
            input_ = self._text(one, "input", entry)
            given.append(Given(_named(input_), self._rows(one, "rows") or (), entry.at))
        if "expect" not in fields:
            self._problem("a unit test expects something", of.at, wanted="expect: {rows: […]}")
            return TestStep(tuple(given), None, None, of.at)
        expect = self._fields(fields["expect"], _EXPECT, "what is expected")
        rows, aside = self._rows(expect, "rows"), self._rows(expect, "quarantined")
        return TestStep(tuple(given), rows, aside, fields["expect"].at)

    def _rows(self, fields: Mapping[str, Entry], key: str) -> Rows | None:
        entry = fields.get(key)
        if entry is None:
            return None
        if "format" in fields and str(fields["format"].text) == "csv":
            return [
                {name: value or None for name, value in row.items()}
                for row in csv.DictReader(io.StringIO(str(entry.text)), skipinitialspace=True)
            ]
        if "format" in fields and str(fields["format"].text) != "dict":
            at = fields["format"].at
            self._problem("no such format of rows", at, wanted="dict or csv")
        rows = self._list(entry, "a list of rows, such as [{id: 1}]")
        for row in rows:
            if not isinstance(row.value, dict):
                self._problem("a row is no mapping", row.at, wanted="{column: value, …}")
        return [_plain(row) for row in rows if isinstance(row.value, dict)]

    def _list(self, entry: Entry, wanted: str) -> list[Entry]:
        if isinstance(entry.value, list):
            return entry.value
        self._problem("this is no list", entry.at, wanted=wanted)
        return []

    def _fields(self, entry: Entry, known: tuple[str, ...], what: str) -> Mapping[str, Entry]:
        if not isinstance(entry.value, dict):
            self._problem(f"{what} is a mapping", entry.at, wanted=", ".join(known))
            return {}
        check_keys(entry.value, known, "key", self._problems)
        # A misspelt key counts as the nearest one: then that is not told to be missing, too.
        found = {key: each for key, each in entry.value.items() if key in known}
        for key, each in entry.value.items():
            if key not in known and (meant := nearest(key, known)):
                found.setdefault(meant, each)
        return found

    def _text(self, fields: Mapping[str, Entry], key: str, of: Entry) -> str:
        found = fields.get(key)
        if found is None or not isinstance(found.text, str) or not found.text:
            self._problem(f"{key!r} is missing", found.at if found else of.at)
            return ""
        return found.text

    def _problem(self, message: str, at: Location, wanted: str | None = None) -> None:
        self._problems.append(SpecError(message, location=at, wanted=wanted))


def _named(text: str) -> str:
    """The name in dbt's `ref('name')` and `source('schema', 'name')`, or the text itself.

    >>> _named("ref('orders')"), _named("source('raw', 'orders')"), _named("data/*.csv")
    ('orders', 'orders', 'data/*.csv')
    """
    found = _REF.fullmatch(text)
    return found[1].split(",")[-1].strip().strip("'\"") if found else text


def _plain(entry: Entry) -> Any:
    """A value without its place."""
    if isinstance(entry.value, dict):
        return {key: _plain(each) for key, each in entry.value.items()}
    if isinstance(entry.value, list):
        return [_plain(each) for each in entry.value]
    return entry.value
