"""Unit tests of transformations: which passed, and how rows differ where one did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from qanat.errors import QanatError
from qanat.model.unit_test import Difference, Mismatch, UnitResult, WrittenTest
from qanat.report.html import Part, heading, table
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.text import PLAIN, Cell, Layout, Value, count, duration, grid, printable

DIFFERENCE = Shape(
    "RowDifference",
    Difference,
    (
        Key("expected", of=Mapping[str, Any] | None, make=lambda d: d.expected),
        Key("found", of=Mapping[str, Any] | None, make=lambda d: d.found),
    ),
    "A row that is not as expected. `expected` is null for a row too many, `found` for a missing\n"
    "one; else they are the two rows that are most alike.",
)
MISMATCH = Shape(
    "Mismatch",
    Mismatch,
    (
        *("table", "step"),
        Key("columns", of=list[str], make=lambda mismatch: list(mismatch.columns)),
        "matching",
        Key("differences", of=list[Difference], make=lambda mismatch: list(mismatch.differences)),
    ),
    "A table that does not hold what was expected after a step. `matching` rows did.",
)
RECORDED = Shape(
    "RecordedTestDocument",
    WrittenTest,
    (
        VERSION_KEY,
        *("name", "dataset", "file"),
        Key("given", of=Mapping[str, int], make=lambda test: dict(test.given)),
        *("expected", "quarantined"),
    ),
    "A unit test that was written from live data: rows by input, and how many come out.",
)
UNIT = Shape(
    "UnitTest",
    UnitResult,
    (
        *("name", "dataset"),
        Key("file", of=str, make=lambda unit: unit.location.file),
        Key("line", of=int | None, make=lambda unit: unit.location.line),
        *("passed", "steps"),
        Key("seconds", of=float, make=lambda unit: round(unit.seconds, 6)),
        Key("error", of=QanatError | None, make=lambda unit: unit.error),
        Key("mismatches", of=list[Mismatch], make=lambda unit: list(unit.mismatches)),
    ),
    "One unit test of a transformation. `error` is what stopped it.",
)
PARTS = (DIFFERENCE, MISMATCH, UNIT)

_HEADERS = ("Unit test", "Result", "Dataset", "Steps", "Time")
_MOST = 20
"""Differences that are shown of one table."""


def units_text(units: Sequence[UnitResult], layout: Layout = PLAIN) -> list[str]:
    """A table of all unit tests, how rows differ in those that fail, and how many do."""
    lines = list(grid(_HEADERS, [_row(u) for u in units], layout))
    for unit in units:
        if not unit.passed:
            lines += ["", *_failure(unit, layout)]
    return [*lines, "", _verdict(units)]


def units_html(units: Sequence[UnitResult]) -> Iterator[Part]:
    """The same for a notebook."""
    if not units:
        return
    yield heading(_verdict(units), "ok" if all(u.passed for u in units) else "bad")
    yield table(_HEADERS, [_row(u) for u in units])
    for unit in units:
        if unit.error is not None:
            yield heading(f"{unit.name}: {unit.error.message}", "bad")
        for mismatch in unit.mismatches:
            yield heading(_title(unit, mismatch), "bad")
            yield table(("", *mismatch.columns), _rows(mismatch, PLAIN))


def _row(unit: UnitResult) -> list[Value]:
    result = Cell("passed", "green") if unit.passed else Cell("failed", "red")
    time = Cell(duration(unit.seconds), right=True)
    return [unit.name, result, unit.dataset, unit.steps, time]


def _failure(unit: UnitResult, layout: Layout) -> Iterator[str]:
    if unit.error is not None:
        at = unit.error.location or unit.location
        yield printable(f"{unit.name} ({at}): {unit.error.message}")
        facts = unit.error.facts()
        if facts["nearest"]:
            yield printable(f"  = did you mean {facts['nearest']!r}?")
        for name in ("wanted", "got", "hint"):
            if facts[name]:
                yield printable(f"  = {name}: {facts[name]}")
    for mismatch in unit.mismatches:
        yield printable(f"{_title(unit, mismatch)} ({unit.location})")
        rows = _rows(mismatch, layout)
        for line in grid(("", *mismatch.columns), rows, layout.narrower(2)):
            yield f"  {line}"
        more = len(mismatch.differences) - _MOST
        if more > 0:
            yield f"  … and {count(more, 'row')} more"


def _title(unit: UnitResult, mismatch: Mismatch) -> str:
    after = f" after step {mismatch.step}" if unit.steps > 1 else ""
    alike = f"; {count(mismatch.matching, 'row')} as expected" if mismatch.matching else ""
    return f"{unit.name}: {mismatch.table}{after} differs{alike}"


def _rows(mismatch: Mismatch, layout: Layout) -> list[list[Value]]:
    """Two lines for a row that is different, with what differs in colour; else one."""
    rows = []
    for each in mismatch.differences[:_MOST]:
        rows += _side("expected", each.expected, each.found, mismatch.columns, "red")
        rows += _side("found", each.found, each.expected, mismatch.columns, "green")
    return rows


def _side(
    word: str,
    row: Mapping[str, Any] | None,
    other: Mapping[str, Any] | None,
    columns: Sequence[str],
    colour: str,
) -> list[list[Value]]:
    if row is None:
        return []
    beside = other or {}
    return [[Cell(word, colour), *(_cell(row.get(c), beside.get(c), colour) for c in columns)]]


def _cell(value: Any, other: Any, colour: str) -> Value:
    text = "NULL" if value is None else str(value)
    return Cell(
        text, "" if value == other else colour, right=isinstance(value, int | float | Decimal)
    )


def _verdict(units: Sequence[UnitResult]) -> str:
    failed = sum(not u.passed for u in units)
    ran = f"{count(len(units), 'unit test')} ran"
    return f"{ran}, {failed:,} failed." if failed else f"{ran}, all passed."


def written_text(test: WrittenTest) -> str:
    """What was written.

    >>> print(written_text(WrittenTest("t", "silver", "/p/tests/t.yml", {"bronze": 2}, 1, 1)))
    /p/tests/t.yml: given 2 rows of bronze, silver has 1 row and 1 in quarantine
    Personal data is masked as far as names and texts tell: look at the file before you keep it.
    """
    given = ", ".join(f"{count(rows, 'row')} of {name}" for name, rows in test.given.items())
    aside = f" and {test.quarantined:,} in quarantine" if test.quarantined else ""
    said = f"{test.file}: given {given}, {test.dataset} has {count(test.expected, 'row')}{aside}"
    look = "Personal data is masked as far as names and texts tell: look at the file before you"
    return f"{printable(said)}\n{look} keep it."
