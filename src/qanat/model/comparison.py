"""Two relations compared by keys: what is asked (`Comparing`), and what was found (`Differences`,
and as people see it `Diff`).

Words are those of the field: rows only here or there, changed rows, as dbt's audit_helper,
data-diff and SQLMesh's `table_diff` have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qanat.frozen import Frozen
from qanat.model.query import SqlQuery
from qanat.model.rule import Predicate
from qanat.model.work import Inputs

SAMPLES = 5
"""Rows that are shown of each kind of difference, unless others are asked for."""


class Relation(Frozen):
    """The rows of a query, one of the two sides.

    Args:
        query: in the engine's dialect.
        inputs: by `Read.name`.
    """

    query: SqlQuery
    inputs: Inputs


class Closeness(Frozen):
    """By how much numbers with a fraction may differ and still count as equal.

    Two values are equal if their distance is at most `absolute`, or at most the share `relative`
    of the larger one. Whole numbers have no tolerance.

    >>> bool(Closeness()), bool(Closeness(absolute=0.01))
    (False, True)
    """

    absolute: float = 0.0
    relative: float = 0.0

    def __bool__(self) -> bool:
        return self.absolute > 0 or self.relative > 0


EXACT = Closeness()


class Comparing(Frozen):
    """How two relations are compared.

    Args:
        keys: columns that tell rows apart; empty: the engine looks for a column that does.
        columns: only these, beside the keys; empty: all that both sides have.
        ignored: but not these.
        tolerance: of numbers with a fraction.
        where: only rows of both sides for which this is true, in the engine's dialect.
        samples: rows of each kind of difference.
    """

    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    tolerance: Closeness = EXACT
    where: Predicate | None = None
    samples: int = SAMPLES


class TypeDifference(Frozen):
    """A column that has other types on both sides; its values are compared all the same."""

    column: str
    left: str
    right: str


class Change(Frozen):
    """One value that differs: the key of its row, and what either side has."""

    key: tuple[Any, ...]
    left: Any
    right: Any


class ColumnChanges(Frozen):
    """A column in which rows with one key differ: in how many, and the first of them."""

    column: str
    rows: int
    samples: Sequence[Change]


class Compared(Frozen):
    """What was read of one side.

    Args:
        read: rows that were read; files that both sides share are not.
        null_keys: of these, rows with a NULL in their key. NULL counts as a value of its own.
        duplicates: rows that have the key of another one, among those that were looked at row by
            row: what is the same on both sides is not.
        only: rows that the other side has not.
        samples: the first of those, by their keys: values of `Differences.shown`.
    """

    read: int
    null_keys: int
    duplicates: int
    only: int
    samples: Sequence[tuple[Any, ...]]


class Differences(Frozen):
    """What two relations have that the other has not.

    Args:
        keys: by which rows were matched.
        columns: that were compared beside them.
        left, right: the two sides.
        changed: rows with one key whose values differ.
        changes: columns in which they do, those with the most changes first.
        only_left, only_right: columns that the other side has not.
        types: columns of other types.
    """

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    left: Compared
    right: Compared
    changed: int
    changes: tuple[ColumnChanges, ...]
    only_left: tuple[str, ...] = ()
    only_right: tuple[str, ...] = ()
    types: tuple[TypeDifference, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns of a sampled row: the keys, then those that were compared."""
        return (*self.keys, *self.columns)

    @property
    def same(self) -> bool:
        """True if both have the same rows and columns; other types alone are no difference."""
        rows = self.left.only + self.right.only + self.changed
        return not (rows or self.only_left or self.only_right)


class DiffSide(Frozen):
    """One side of a comparison.

    Args:
        name: as it was asked for.
        version: of a table; None of others.
        rows: how many it has; None where that is not known without reading all of them.
    """

    name: str
    version: int | None
    rows: int | None


class Diff(Frozen):
    """What was compared, and what was found.

    Args:
        keyed: where the keys come from: `given`, `declared` or `found`.
        shared: files of a table that both versions have, which were not read.
        seconds: of wall time.
    """

    left: DiffSide
    right: DiffSide
    differences: Differences
    keyed: str
    shared: int
    seconds: float
