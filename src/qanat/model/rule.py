"""The rules that data are checked by: what holds, without what becomes of it if it does not.

A rule is about one row (`Predicate`), a row among others (`Unique`, `References`, `Monotonic`),
the table (`Aggregate`, `Fresh`, `Distribution`, `SameRows`) or its columns (`HasColumns`). Each
writes itself as its author would behind EXPECT.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, TypeAlias

from qanat.frozen import Frozen
from qanat.model.schema import DataType
from qanat.secret import masked


class Scope(StrEnum):
    """Which rows a table rule looks at."""

    TABLE = "table"
    """Those of the table as it would be after this epoch."""
    EPOCH = "epoch"
    """Those that this epoch adds to the table."""


class Level(StrEnum):
    """What a rule has to look at to say whether it holds."""

    ROW = "row"
    """One row, and no other."""
    SET = "set"
    """Each row, among others: it says which rows break it."""
    TABLE = "table"
    """All rows together: no row by itself breaks it."""
    SCHEMA = "schema"
    """Names and types of columns."""

    @property
    def of_rows(self) -> bool:
        """True if single rows break such rules, and can be set aside."""
        return self in (Level.ROW, Level.SET)


# -- rules of a row, and of rows among others --------------------------------------------------


class Predicate(Frozen):
    """A condition on one row; FALSE or NULL is a violation.

    Args:
        sql: the condition, in `dialect`.
        written: what the author wrote, if that was in another dialect.
    """

    level: ClassVar[Level] = Level.ROW
    datasets: ClassVar[tuple[str, ...]] = ()

    sql: str
    dialect: str
    written: str | None = None

    def __str__(self) -> str:
        return masked(self.sql if self.written is None else self.written)


class Unique(Frozen):
    """No two kept rows of the table agree on all `columns`.

    As SQL's UNIQUE: a key with a NULL in it equals nothing. The first row with a key is kept,
    later ones (in the table's history, then in source order) are violations.

    >>> str(Unique(("carrier", "flight")))
    'UNIQUE (carrier, flight)'
    """

    level: ClassVar[Level] = Level.SET
    datasets: ClassVar[tuple[str, ...]] = ()

    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"UNIQUE ({', '.join(self.columns)})"


class References(Frozen):
    """Each row's `columns` occur as `target_columns` of `dataset`.

    As SQL's FOREIGN KEY (MATCH SIMPLE): a row with a NULL among `columns` passes.

    >>> str(References(("country",), "countries", ("code",)))
    '(country) REFERENCES countries (code)'
    """

    level: ClassVar[Level] = Level.SET

    columns: tuple[str, ...]
    dataset: str
    target_columns: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets whose rows the rule reads."""
        return (self.dataset,)

    def __str__(self) -> str:
        mine, theirs = ", ".join(self.columns), ", ".join(self.target_columns)
        return f"({mine}) REFERENCES {self.dataset} ({theirs})"


class Monotonic(Frozen):
    """Each row's `column` is no less than that of every row before it.

    Rows are compared in the order of the table: its history, then the order of the source. A row
    violates the rule if it is less than the greatest value before it (greater than the least, if
    `descending`), or, if `strict`, equal to it. NULLs are passed over.

    >>> str(Monotonic("at")), str(Monotonic("n", descending=True, strict=True))
    ('INCREASING (at)', 'STRICTLY DECREASING (n)')
    """

    level: ClassVar[Level] = Level.SET
    datasets: ClassVar[tuple[str, ...]] = ()

    column: str
    descending: bool = False
    strict: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, as other rules have theirs."""
        return (self.column,)

    def __str__(self) -> str:
        word = "DECREASING" if self.descending else "INCREASING"
        return f"{'STRICTLY ' if self.strict else ''}{word} ({self.column})"


# -- rules of a table --------------------------------------------------------------------------


class Measure(Frozen):
    """Something that a condition measures: an aggregate, or a query of another dataset.

    Args:
        written: as its author wrote it.
        sql: in the dialect of the condition.
    """

    written: str
    sql: str


class Aggregate(Frozen):
    """A condition on aggregates of many rows, such as `count(*) BETWEEN 1000 AND 5000`.

    Args:
        sql: the condition, in `dialect`; it may read other datasets in subqueries.
        scope: whether it is about the whole table or the rows of one epoch.
        reads: (name in `sql`, dataset) of each dataset that subqueries read.
        measures: what it measures, to be told with the result.
        written: what the author wrote, if `sql` differs from it.

    >>> str(Aggregate("avg(delay) < 30", "duckdb", Scope.EPOCH))
    'EPOCH (avg(delay) < 30)'
    """

    level: ClassVar[Level] = Level.TABLE

    sql: str
    dialect: str
    scope: Scope = Scope.TABLE
    reads: tuple[tuple[str, str], ...] = ()
    measures: tuple[Measure, ...] = ()
    written: str | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets whose rows the rule reads."""
        return tuple(dict.fromkeys(dataset for _, dataset in self.reads))

    def __str__(self) -> str:
        text = self.sql if self.written is None else self.written
        return f"{self.scope.upper()} ({masked(text)})"


class Fresh(Frozen):
    """The latest value of a column, a date or time, is at most so many seconds old.

    It is about the table as it would be after this epoch, at the time of the update.

    >>> str(Fresh("loaded_at", 7200)), str(Fresh("at", 90))
    ('FRESH (loaded_at) WITHIN 2 HOURS', 'FRESH (at) WITHIN 90 SECONDS')
    """

    level: ClassVar[Level] = Level.TABLE
    datasets: ClassVar[tuple[str, ...]] = ()

    column: str
    seconds: float

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, as other rules have theirs."""
        return (self.column,)

    def __str__(self) -> str:
        units = (("DAY", 86400), ("HOUR", 3600), ("MINUTE", 60), ("SECOND", 1))
        unit, length = next((u for u in units if not self.seconds % u[1]), units[-1])
        number = f"{self.seconds / length:g}"
        return f"FRESH ({self.column}) WITHIN {number} {unit}{'' if number == '1' else 'S'}"


class Distribution(Frozen):
    """The values of a column are distributed as those of a column of another dataset.

    It is about the rows of the epoch: in a table of years, a shift would show when it is long too
    late. The distance is that of Kolmogorov and Smirnov for numbers, dates and times, and half the
    sum of the differences of shares (total variation) for all other values; both are from 0 (the
    same) to 1. NULLs are left out.

    >>> str(Distribution("delay", "last_year", "delay", 0.1))
    'DISTRIBUTION (delay) LIKE last_year (delay) WITHIN 0.1'
    """

    level: ClassVar[Level] = Level.TABLE

    column: str
    dataset: str
    target_column: str
    at_most: float

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, as other rules have theirs."""
        return (self.column,)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets whose rows the rule reads."""
        return (self.dataset,)

    def __str__(self) -> str:
        return (
            f"DISTRIBUTION ({self.column}) LIKE {self.dataset} ({self.target_column})"
            f" WITHIN {self.at_most:g}"
        )


class SameRows(Frozen):
    """The table has the rows of another dataset: the same keys, with the same values.

    Args:
        keys: columns that identify a row in both.
        columns: those that are compared; empty: all that both have.

    >>> str(SameRows("orders", ("id",), ("amount",)))
    'SAME ROWS AS orders KEYS (id) COLUMNS (amount)'
    """

    level: ClassVar[Level] = Level.TABLE

    dataset: str
    keys: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets whose rows the rule reads."""
        return (self.dataset,)

    def __str__(self) -> str:
        only = f" COLUMNS ({', '.join(self.columns)})" if self.columns else ""
        return f"SAME ROWS AS {self.dataset} KEYS ({', '.join(self.keys)}){only}"


class HasColumns(Frozen):
    """The table has these columns.

    A declared column list makes a table have them; this says what the query has to give by itself,
    however its sources evolve.

    Args:
        fields: names with types; None where any type will do.
        ordered: they stand in this order, though others may stand between them.
        only: there are no others.

    >>> str(HasColumns((("id", None), ("name", None)), ordered=True, only=True))
    'COLUMNS (id, name) IN ORDER ONLY'
    """

    level: ClassVar[Level] = Level.SCHEMA
    datasets: ClassVar[tuple[str, ...]] = ()

    fields: tuple[tuple[str, DataType | None], ...]
    ordered: bool = False
    only: bool = False

    def __str__(self) -> str:
        inner = ", ".join(n if kind is None else f"{n} {kind}" for n, kind in self.fields)
        ends = (" IN ORDER" if self.ordered else "") + (" ONLY" if self.only else "")
        return f"COLUMNS ({inner}){ends}"


Rule: TypeAlias = (
    Predicate
    | Unique
    | References
    | Monotonic
    | Aggregate
    | Fresh
    | Distribution
    | SameRows
    | HasColumns
)

ORDERED = (Unique, Monotonic)
"""Rules for which it counts which rows come before others, those of the table included."""


def of_table(rule: Rule) -> bool:
    """True if a rule is about all rows of the table, also those that an epoch leaves as they are.

    >>> of_table(Fresh("at", 60)), of_table(Aggregate("count(*) > 0", "duckdb", Scope.EPOCH))
    (True, False)
    """
    return isinstance(rule, Fresh | SameRows) or (
        isinstance(rule, Aggregate) and rule.scope is Scope.TABLE
    )


def of_epoch(rule: Rule) -> bool:
    """True if a rule is about the rows of one epoch together.

    >>> of_epoch(Distribution("x", "t", "x", 0.1)), of_epoch(Unique(("id",)))
    (True, False)
    """
    return rule.level is Level.TABLE and not of_table(rule)
