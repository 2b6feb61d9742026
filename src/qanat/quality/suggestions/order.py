"""Two columns of which one is never greater than the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from qanat.model.profile import ColumnProfile
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence, Ladder, identifies, moment, values_of
from qanat.quality.suggestions.moments import parsed
from qanat.text import count, percent

_MOST_COLUMNS = 12
"""Columns that are compared, each with each other."""
_SURPRISING = 0.05
"""The share of rows that would break it if the columns had nothing to do with each other."""
_WEIGHTS = (
    (0.01, 0.03),
    (0.05, 0.12),
    (0.25, 0.22),
    (0.5, 0.26),
    (0.75, 0.22),
    (0.95, 0.12),
    (0.99, 0.03),
)
"""Quantiles of a profile, each with the share of values that it stands for; together all."""


def order(evidence: Evidence) -> Iterator[Ladder]:
    """Columns that are in order in every row, though they would not be so by chance.

    A quantity that is never greater than an amount says nothing if quantities are small numbers
    and amounts large ones. So it is reckoned how many rows would break the order if the values of
    one column stood beside those of the other at random.
    """
    columns = [c for c in evidence.columns if _comparable(c)][:_MOST_COLUMNS]
    points = {c.name: _points(c) for c in columns}
    for one, other in permutations(columns, 2):
        if (moment(one) or moment(other)) and one.type != other.type:
            continue
        mine, theirs = points[one.name], points[other.name]
        # Columns with the same quantiles are copies, more likely than an order.
        if not mine or not theirs or not _below(mine, theirs) or mine == theirs:
            continue
        chance = by_chance(mine, theirs)
        if chance >= _SURPRISING:
            rows = count(min(values_of(one), values_of(other)), "row")
            reason = f"holds in {rows}; {percent(chance)} would break it by chance"
            arguments = (("column", one.name), ("operator", "<="), ("other", other.name))
            name = f"{one.name}_before_{other.name}" if moment(one) else None
            name = name or f"{one.name}_at_most_{other.name}"
            yield (Candidate("compare", arguments, reason, passes=True, name=name),)


def _comparable(column: ColumnProfile) -> bool:
    if moment(column):
        return True
    return column.numbers is not None and column.distinct > 2 and not identifies(column)


def _points(column: ColumnProfile) -> tuple[float, ...]:
    """The lowest value, the quantiles, and the highest value; none if some are unknown."""
    quantiles = [column.quantile(share) for share, _ in _WEIGHTS]
    found = []
    for value in (column.low, *quantiles, column.high):
        if value is None:
            return ()
        if moment(column):
            when = parsed(value)
            if when is None:
                return ()
            found.append(when.timestamp())
        else:
            found.append(float(value))
    return tuple(found)


def _below(mine: Sequence[float], theirs: Sequence[float]) -> bool:
    """True if no quantile of one column is greater than the other's.

    If one is, some row must break the order (where no value is NULL), so no row need be read.
    """
    return all(a <= b for a, b in zip(mine, theirs, strict=True))


def by_chance(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The share of pairs of values, taken at random, of which the first is greater.

    Args:
        mine, theirs: the lowest value, the seven quantiles, the highest value.
    """
    pairs = [
        (share * other, a > b)
        for (_, share), a in zip(_WEIGHTS, mine[1:-1], strict=True)
        for (_, other), b in zip(_WEIGHTS, theirs[1:-1], strict=True)
    ]
    return sum(weight for weight, broken in pairs if broken)


def implied(pairs: Sequence[tuple[str, str]], pair: tuple[str, str]) -> bool:
    """True if an order follows from others.

    >>> implied([("a", "b"), ("b", "c")], ("a", "c")), implied([("a", "b")], ("a", "c"))
    (True, False)
    """
    reached, more = {pair[0]}, True
    while more:
        found = {b for a, b in pairs if a in reached and (a, b) != pair} - reached
        reached |= found
        more = bool(found)
    return pair[1] in reached
