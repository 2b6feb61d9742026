"""What is known of a table's columns after a look at all of its rows.

A figure is exact, or its `Method` says how it was found: small sketches and a sample keep the
memory of a profile bounded, however many rows there are.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from qanat.frozen import Frozen

PROFILED = "qanat.profile"
"""The table property that has each update profile the table, and keep that."""

Bound: TypeAlias = int | float | Decimal | str | bool | None
"""The lowest or highest value: a number, or the text of anything else; None without values."""


class Method(Enum):
    """How a figure was found."""

    EXACT = "exact"
    """From every row."""
    HASHED = "hashed"
    """From every row with one of the values that were chosen by their hashes."""
    SAMPLE = "sample"
    """From rows that were chosen by their position."""


class ValueCount(Frozen):
    """A value, or a pattern of values, as text, and how many rows have it."""

    value: str
    rows: int


class Quantile(Frozen):
    """The value, as text, below or at which a share (0 to 1) of the values lie."""

    share: float
    value: str


class Bin(Frozen):
    """How many values lie from `low` (included) to `high` (excluded, but in the last bin).

    Numbers for numbers, ISO 8601 for dates and times.
    """

    low: float | str
    high: float | str
    rows: int


class Numbers(Frozen):
    """What only numbers have.

    Args:
        mean, deviation: without NaN, infinities and numbers beyond 1e150; the deviation is the
            standard deviation of a sample.
        zeros, negatives: how many are 0, and how many less.
        not_finite: how many are NaN or infinite.
    """

    mean: float | None
    deviation: float | None
    zeros: int
    negatives: int
    not_finite: int = 0


class Texts(Frozen):
    """What only texts have.

    Args:
        shortest, longest: length in characters.
        mean_length: of all texts.
        empty: how many have no character.
        padded: how many begin or end with a space, or consist of spaces.
        patterns: the most frequent ones: `A` is an upper-case letter, `a` a lower-case one, `9` a
            digit; `a+` several. At most 60 characters of a text count.
        patterns_by: how they were counted.
        reads_as: what all texts could be read as: `whole numbers`, `numbers`, `dates`, `times`,
            `booleans`, `uuids`; None if nothing.
    """

    shortest: int
    longest: int
    mean_length: float
    empty: int
    padded: int
    patterns: tuple[ValueCount, ...] = ()
    patterns_by: Method = Method.EXACT
    reads_as: str | None = None


class Entries(Frozen):
    """How many entries the lists or maps of a column have."""

    fewest: int
    most: int
    mean: float


class ColumnProfile(Frozen):
    """One column.

    Args:
        type: its SQL name.
        rows: of the table.
        nulls: exact.
        distinct: different values without NULL; `distinct_by` says how they were counted.
        low, high: exact; None for nested values. Texts are cut after 200 characters.
        values_by: how `quantiles`, `histogram` and `top` were found.
        quantiles: at 1, 5, 25, 50, 75, 95 and 99 %, of numbers, dates and times.
        top: the most frequent values; none if hardly a value repeats.
        hints: any of `constant`, `all distinct`, `increasing`, `decreasing` (in the order of the
            table; strictly or not), and `reads as …`.
        hints_by: how they were found, where not exactly.
    """

    name: str
    type: str
    rows: int
    nulls: int
    distinct: int
    distinct_by: Method = Method.EXACT
    low: Bound = None
    high: Bound = None
    values_by: Method = Method.EXACT
    quantiles: tuple[Quantile, ...] = ()
    histogram: tuple[Bin, ...] = ()
    top: tuple[ValueCount, ...] = ()
    numbers: Numbers | None = None
    texts: Texts | None = None
    entries: Entries | None = None
    hints: tuple[str, ...] = ()
    hints_by: Method = Method.EXACT

    @property
    def nulls_share(self) -> float:
        """NULLs of all rows, 0 to 1.

        >>> ColumnProfile("a", "bigint", 4, 1, 3).nulls_share
        0.25
        """
        return self.nulls / self.rows if self.rows else 0.0

    def quantile(self, share: float) -> str | None:
        """The value of one of the quantiles; None if it has none."""
        return next((q.value for q in self.quantiles if q.share == share), None)


class Association(Frozen):
    """Two columns that go together.

    Args:
        measure: `correlation` (Pearson's, of numbers, dates and times: -1 to 1) or `association`
            (Cramér's V, corrected for chance, of columns with few values: 0 to 1).
    """

    one: str
    other: str
    measure: str
    value: float


class CandidateKey(Frozen):
    """Columns whose values no two rows share, and none of which is NULL.

    Args:
        examined: rows that were compared with all others that might have the same values.
        by: exact if these were all rows.
    """

    columns: tuple[str, ...]
    examined: int
    by: Method = Method.EXACT


class Profiled(Frozen):
    """What an engine finds out about rows.

    Args:
        rows: how many there are.
        sampled: how many of them are in the sample; all of them where tables are small.
        associations: those that are not weak, strongest first, from the sample.
        keys: of up to three columns, the shortest first; none has a part that is a key itself.
    """

    rows: int
    sampled: int
    columns: tuple[ColumnProfile, ...]
    associations: tuple[Association, ...] = ()
    keys: tuple[CandidateKey, ...] = ()

    def __getitem__(self, column: str) -> ColumnProfile:
        """The profile of one column.

        Raises:
            KeyError: there is no such column.

        >>> Profiled(4, 4, (ColumnProfile("a", "bigint", 4, 1, 3),))["a"].nulls
        1
        """
        for each in self.columns:
            if each.name == column:
                return each
        raise KeyError(column)


class Profile(Frozen):
    """The columns of a table, a file or a query, described.

    Args:
        name: of the table, or what was asked about.
        version: of the table; None if it is none.
        where: the condition by which the rows were chosen, if any.
        seconds: wall time.
        at: when it was made, seconds since 1970 (UTC).
        update: that has made and kept it; None if somebody asked for it.
    """

    name: str
    profiled: Profiled
    version: int | None = None
    where: str | None = None
    seconds: float = 0.0
    at: float = 0.0
    update: str | None = None
