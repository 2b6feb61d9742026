"""Unit tests of transformations: rows that go into a dataset's inputs, and rows that come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from qanat.errors import Location, QanatError
from qanat.frozen import Frozen

FOLDER = "tests"
"""The folder of a project that has unit tests."""
Rows: TypeAlias = Sequence[Mapping[str, Any]]
"""By column; a column that a row does not name is NULL."""


class Given(Frozen):
    """The rows of one input.

    Args:
        input: a dataset's name, or the path or table as the query has it.
        rows: values as JSON has them; dates and times as text.
    """

    input: str
    rows: Rows
    location: Location


class TestStep(Frozen):
    """One update: what has come by then, and what the table holds after it.

    Args:
        given: rows that come.
        rows: all rows of the table, in any order; only the columns that they name are compared.
            None: they are not looked at.
        quarantined: the same of its quarantine.
    """

    __test__ = False  # pytest takes it for tests of its own

    given: tuple[Given, ...]
    rows: Rows | None
    quarantined: Rows | None
    location: Location


class UnitTest(Frozen):
    """One test.

    Args:
        model: the dataset that is computed.
        steps: one update after another; most tests have one.
    """

    name: str
    model: str
    steps: tuple[TestStep, ...]
    location: Location
    description: str = ""


class Difference(Frozen):
    """A row that is not as it was expected to be.

    Args:
        expected, found: values by column; None: there is no such row.
    """

    expected: Mapping[str, Any] | None
    found: Mapping[str, Any] | None


class Mismatch(Frozen):
    """A table that does not hold what a step expects.

    Args:
        table: its name; the quarantine's for rows that were to go there.
        step: counted from 1.
        columns: that were compared.
        differences: row by row; rows that are as they should be are not among them.
        matching: how many of these there are.
    """

    table: str
    step: int
    columns: tuple[str, ...]
    differences: tuple[Difference, ...]
    matching: int


class UnitResult(Frozen):
    """How a unit test ended.

    Args:
        error: what stopped it, if something did; then `mismatches` is empty.
        steps: how many it has.
    """

    name: str
    dataset: str
    location: Location
    seconds: float
    steps: int = 1
    mismatches: tuple[Mismatch, ...] = ()
    error: QanatError | None = None

    @property
    def passed(self) -> bool:
        """True if everything was as expected."""
        return not self.mismatches and self.error is None


class WrittenTest(Frozen):
    """A unit test that was written from live data.

    Args:
        file: absolute path.
        given: rows, by input.
        expected: how many rows come out.
        quarantined: how many go to quarantine.
    """

    name: str
    dataset: str
    file: str
    given: Mapping[str, int]
    expected: int
    quarantined: int
