"""What an engine made of one epoch: files that no reader sees yet, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from operator import add
from typing import Any

from qanat.frozen import Frozen
from qanat.model.expectation import Action, Expectation
from qanat.model.schema import Schema


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What is known of one column of one file, without its rows.

    Args:
        nulls: how many values are NULL; None if they were not counted.
        low, high: bounds of all other values, as Python values of the column's type (str, int,
            float, bool, Decimal, date, datetime): loose perhaps, never wrong. Both are None
            where no bounds are known.
    """

    nulls: int | None = None
    low: Any = None
    high: Any = None

    @property
    def bounded(self) -> bool:
        """True if bounds are known."""
        return self.low is not None and self.high is not None


@dataclass(frozen=True, slots=True)
class ColumnMetrics:
    """What is known of one column in many rows.

    Args:
        rows: how many there are.
        nulls: how many of them are NULL; None if they were not counted.
        low, high: bounds of all others, as JSON has them: numbers, or dates and times in ISO 8601.
            None where none are known, as of texts.
    """

    rows: int
    nulls: int | None = None
    low: int | float | str | None = None
    high: int | float | str | None = None

    def __add__(self, other: ColumnMetrics) -> ColumnMetrics:
        """The same of the rows of both.

        >>> ColumnMetrics(2, 0, 1, 5) + ColumnMetrics(3, 1, -1, 4)
        ColumnMetrics(rows=5, nulls=1, low=-1, high=5)
        """
        counted = self.nulls is not None and other.nulls is not None
        nulls = (self.nulls or 0) + (other.nulls or 0) if counted else None
        low, high = self._bounds(other)
        return ColumnMetrics(self.rows + other.rows, nulls, low, high)

    def _bounds(self, other: ColumnMetrics) -> tuple[Any, Any]:
        if self.rows == self.nulls:
            return other.low, other.high
        if other.rows == other.nulls:
            return self.low, self.high
        ends: Any = (self.low, self.high, other.low, other.high)
        # A column that has got another type is not compared with what it was.
        if None in ends or len({isinstance(end, str) for end in ends}) > 1:
            return None, None
        return min(ends[0], ends[2]), max(ends[1], ends[3])


@dataclass(frozen=True, slots=True)
class DataFile:
    """One staged file.

    Args:
        path: relative to the folder of its `Output`, `/` between parts.
        size: bytes.
        rows: number of rows.
        partition_values: by column, as text; None for NULL.
        statistics: by column name, for the columns that have an order; the table store renders
            them in its format's own form.
        since_ms: the moment (milliseconds since 1970, UTC) by which the file has its place in the
            order of the table's files; None: when it was written.
    """

    path: str
    size: int
    rows: int
    partition_values: Mapping[str, str | None] = field(default_factory=dict)
    statistics: Mapping[str, ColumnStatistics] = field(default_factory=dict)
    since_ms: int | None = None


class StagedTable(Frozen):
    """The staged files of one table, with the columns the table has once they are published.

    Args:
        rewritten: of the rows that are stored, with wider types; None if they stay as they are.
        removed, feed, events, event_columns: of a merge, or of rows that only move, see `Commit`.
        sourced: whether rows tell which source file they come from.
        by_column: whether they tell it in a column, which the schema does not have.
    """

    schema: Schema
    files: tuple[DataFile, ...]
    rewritten: tuple[DataFile, ...] | None = None
    removed: tuple[str, ...] = ()
    feed: tuple[DataFile, ...] = ()
    events: tuple[DataFile, ...] | None = None
    event_columns: Schema = Schema()
    sourced: bool = False
    by_column: bool = False

    @property
    def rows(self) -> int:
        """New rows."""
        return sum(f.rows for f in self.files)

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """Everything that was staged."""
        return (*(self.rewritten or ()), *self.files, *self.feed, *(self.events or ()))


class Counts(Frozen):
    """Rows of one epoch. `out` is what the query gave; malformed rows never reached it.

    Args:
        written: rows that went into the table; of a merge, changes that were taken.
        inserted, updated, deleted: of a merge, rows of the table of which that was the end.
        late: of a merge, changes among `written` that the table was ahead of already; of a query
            with a watermark, rows that came too late to count.
    """

    out: int = 0
    written: int = 0
    dropped: int = 0
    quarantined: int = 0
    malformed: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    late: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Rows of two epochs, or of any number: `sum(all, Counts())`.

        >>> Counts(out=3, written=3) + Counts(out=2, dropped=2)
        Counts(out=5, written=3, dropped=2, ...)
        """
        return Counts(*map(add, astuple(self), astuple(other)))

    @property
    def effects(self) -> Mapping[str, int]:
        """What a merge did to rows of the table, and how many changes came late; without zeros.

        >>> dict(Counts(out=5, written=5, inserted=3, late=1).effects)
        {'inserted': 3, 'late': 1}
        """
        names = ("inserted", "updated", "deleted", "late")
        return {n: found for n in names if (found := getattr(self, n))}

    @property
    def set_aside(self) -> int:
        """Rows that went into a quarantine."""
        return self.quarantined + self.malformed

    @property
    def balanced(self) -> bool:
        """The invariant of the write path: nothing lost, nothing doubled."""
        return self.out == self.written + self.dropped + self.quarantined


class RuleCount(Frozen):
    """What came of one expectation in one epoch.

    Args:
        violations: rows that violate it; of a rule about the table or its columns, 1 if it is
            violated.
        rows: how many it was about; None if nobody knows, and for rules about no rows.
        value: of a rule about the table, what was measured.
        tolerated: whether that many violations are within its tolerance.
        severity: how bad a violation is.
        tolerance: how many are tolerated, as text; None: none.
        until: of a rule that holds now, when it will be violated if nothing comes (seconds since
            1970, UTC); None if time alone does not change that, or nobody knows.
    """

    dataset: str
    rule: str
    action: str
    violations: int
    rows: int | None = None
    value: str | None = None
    tolerated: bool = False
    severity: str = "medium"
    tolerance: str | None = None
    until: float | None = None

    @classmethod
    def of(
        cls,
        dataset: str,
        expectation: Expectation,
        violations: int,
        rows: int | None = None,
        value: str | None = None,
        until: float | None = None,
    ) -> RuleCount:
        """What came of an expectation of a dataset."""
        tolerance = expectation.tolerance
        return cls(
            dataset,
            expectation.name,
            str(expectation.action),
            violations,
            rows,
            value,
            tolerance is not None and violations > 0 and tolerance.allows(violations, rows or 0),
            str(expectation.severity),
            None if tolerance is None else str(tolerance),
            until,
        )

    @property
    def of_rows(self) -> bool:
        """True if it is about single rows, so that `violations` is a number of rows."""
        return self.value is None

    @property
    def fails(self) -> bool:
        """True if nothing may be published because of it."""
        if self.action in (Action.DROP, Action.QUARANTINE):
            return self.broken and self.tolerance is not None
        return self.broken and self.action == Action.FAIL

    @property
    def broken(self) -> bool:
        """True if it is violated by more than its tolerance."""
        return self.violations > 0 and not self.tolerated

    def __add__(self, later: RuleCount) -> RuleCount:
        """The same of two epochs; what a later one measured is what holds.

        >>> one = RuleCount("t", "r", "warn", 1, 5, tolerated=True)
        >>> both = one + RuleCount("t", "r", "warn", 3, 5)
        >>> both.violations, both.rows, both.broken
        (4, 10, True)
        """
        rows = None if self.rows is None or later.rows is None else self.rows + later.rows
        return replace(
            later,
            violations=self.violations + later.violations,
            rows=rows,
            tolerated=not (self.broken or later.broken) and (self.tolerated or later.tolerated),
        )


class RuleWindow(Frozen):
    """What came of one check in the rows of the last minutes.

    Args:
        violations: rows that violate it, of `rows`.
        seconds: how long a row counts.
        beyond: whether they are more than its tolerance.
    """

    dataset: str
    rule: str
    violations: int
    rows: int
    seconds: float
    beyond: bool = False


class Staged(Frozen):
    """What an engine made of one `Work`; nothing of it is visible to readers yet.

    Args:
        table: the good rows.
        quarantines: by dataset name (the target's, and those of temporary views); only
            those that have rows.
        counts: of the target; `view_counts` of the views that have expectations.
        source_schemas: by `Read.name`, the columns found in sources, for `Source.bind`.
        read: rows read from streaming inputs where the engine knows it, else None.
        refreshed: whether a quarantine changes although no row goes from it into the table.
        unparsed: by path, files that had rows of which not one could be parsed: how many.
        missing: by `Read.name`, columns that earlier files had, and none of these.
        events: of a merge, the columns of its rows; the table's may be others.
        notes: what to tell of it once it is committed.
        told: where rows of files go, the numbers of the source files that those of the table came
            from; None: nobody looked.
    """

    table: StagedTable
    counts: Counts
    rules: tuple[RuleCount, ...]
    quarantines: Mapping[str, StagedTable] = field(default_factory=dict)
    view_counts: Mapping[str, Counts] = field(default_factory=dict)
    source_schemas: Mapping[str, Schema] = field(default_factory=dict)
    read: int | None = None
    refreshed: bool = False
    unparsed: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    events: Schema | None = None
    notes: tuple[str, ...] = ()
    told: frozenset[int] | None = None
    state: StagedTable | None = None

    @property
    def given(self) -> Schema:
        """The columns of the rows that rules are checked on."""
        return self.table.schema if self.events is None else self.events

    @property
    def failed(self) -> tuple[RuleCount, ...]:
        """The expectations because of which nothing may be published."""
        return tuple(r for r in self.rules if r.fails)
