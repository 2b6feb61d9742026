"""What rules of suggestion go by: a profile, and what it does not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeAlias

from qanat.frozen import Frozen
from qanat.model.profile import ColumnProfile, Profiled
from qanat.model.suggestion import Candidate

LEAST_VALUES = 30
"""A column with fewer values that are not NULL suggests nothing."""
FEW = 20
"""Different values of a column up to which they are listed."""

Ladder: TypeAlias = tuple[Candidate, ...]
"""Candidates for the same thing, the strictest first."""


class Target(Frozen):
    """A column of another dataset that no two of its rows share.

    Args:
        low, high: its bounds, as `ColumnProfile` has them.
    """

    dataset: str
    column: str
    type: str
    rows: int
    low: Any = None
    high: Any = None


class Evidence(Frozen):
    """What is known of the older rows of a dataset.

    Args:
        profiled: of these rows.
        typical: the median of the rows that an epoch brought; tolerated shares are for that many.
        ended: when the newest of these epochs ended, seconds since 1970 (UTC).
        values: by column, all its values with how many rows have each, most frequent first; only
            of columns that have few.
        keys: columns that the dataset is declared to be kept by.
        not_null: columns that its schema says are never NULL.
        targets: what columns may refer to.
        volumes: rows that each of these epochs brought, oldest first.
        lags: by column of times, how old its newest value was at the end of each epoch, seconds.
        appends: whether epochs add rows, and replace none.
        known: the declared checks, one for each thing that they say.
    """

    profiled: Profiled
    typical: int = 0
    ended: float = 0.0
    values: Mapping[str, tuple[tuple[Any, int], ...]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    not_null: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    volumes: tuple[int, ...] = ()
    lags: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    appends: bool = True
    known: tuple[Candidate, ...] = ()

    @property
    def columns(self) -> tuple[ColumnProfile, ...]:
        """Those that have enough values to tell something."""
        return tuple(c for c in self.profiled.columns if values_of(c) >= LEAST_VALUES)


def values_of(column: ColumnProfile) -> int:
    """How many values are not NULL."""
    return column.rows - column.nulls


def whole(column: ColumnProfile) -> bool:
    """True of whole numbers."""
    return column.numbers is not None and isinstance(column.low, int)


def moment(column: ColumnProfile) -> bool:
    """True of dates and times."""
    return column.type in ("date", "timestamp", "timestamp_ntz")


def identifies(column: ColumnProfile) -> bool:
    """True if the name of a column says that it identifies something.

    >>> named = lambda name: ColumnProfile(name, "bigint", 9, 0, 9)
    >>> [identifies(named(n)) for n in ("id", "customerId", "order_no", "valid", "amount")]
    [True, True, True, False, False]
    """
    name = column.name
    words = name.replace("-", "_").lower().split("_")
    return words[-1] in _IDENTIFYING or name.endswith(("Id", "ID", "Key"))


_IDENTIFYING = frozenset(
    {"id", "key", "uuid", "guid", "no", "nr", "number", "code", "sku", "isbn"}
)
