"""Which numbers a column has: some of a few, between two bounds, none below 0."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from qanat.model.profile import ColumnProfile
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence, Ladder, identifies, values_of, whole
from qanat.quality.suggestions.likely import plain, room
from qanat.text import count

_FREQUENT = 3
"""Rows that each value must have, if others are to be unlikely."""
_PER_VALUE = 10
"""Rows for each different value that a set needs."""
_MOST_LISTED = 10
"""Whole numbers with gaps between them are listed up to so many, else they have a range."""
_FAR = 10
"""How many times as far as all others lie apart, a value lies away that belongs to no range."""
_MEANING: tuple[tuple[frozenset[str], int, int], ...] = (
    (frozenset({"lat", "latitude"}), -90, 90),
    (frozenset({"lon", "lng", "long", "longitude"}), -180, 180),
    (frozenset({"percent", "percentage", "pct"}), 0, 100),
    (frozenset({"month"}), 1, 12),
    (frozenset({"day"}), 1, 31),
    (frozenset({"hour"}), 0, 23),
    (frozenset({"minute", "second"}), 0, 59),
)
"""Words that say between which bounds a number lies by its meaning."""


def numbers(evidence: Evidence, column: ColumnProfile) -> Iterator[Ladder]:
    """The values themselves if they are few; bounds by meaning; bounds with room; not negative."""
    if column.numbers is None or column.low is None or column.high is None or column.distinct < 2:
        return
    if identifies(column) or (whole(column) and "all distinct" in column.hints):
        return  # numbers that name things go on and on
    if column.numbers.not_finite:
        return
    low, high = Decimal(str(column.low)), Decimal(str(column.high))
    seen = f"{column.low:,} to {column.high:,} in {count(values_of(column), 'value')}"
    steps = [*_few(evidence, column, seen), *_by_meaning(column, low, high, seen)]
    if not steps or column.distinct > 2:
        steps += _with_room(column, low, high, seen)
    if low >= 0:
        steps.append(_between(column, Decimal(0), None, f"{seen}: none is negative"))
    yield tuple(steps)


def _few(evidence: Evidence, column: ColumnProfile, seen: str) -> Iterator[Candidate]:
    listed = evidence.values.get(column.name, ())
    if not whole(column) or not supported(listed):
        return
    values = sorted(value for value, _ in listed)
    if values == list(range(values[0], values[-1] + 1)) and len(values) > 2:
        reason = f"{seen}, each of them in {min(n for _, n in listed):,} rows or more"
        yield _between(column, Decimal(values[0]), Decimal(values[-1]), reason)
    elif len(values) <= _MOST_LISTED:
        yield Candidate(
            "one_of",
            (("column", column.name), ("values", values)),
            set_reason(listed),
            passes=True,
        )


def supported(listed: tuple[tuple[object, int], ...]) -> bool:
    """True if values are so frequent that others are unlikely.

    By Good and Turing, the share of values not seen yet is about that of those seen once.

    >>> supported((("a", 40), ("b", 5))), supported((("a", 44), ("b", 1)))
    (True, False)
    """
    rows = sum(n for _, n in listed)
    frequent = all(n >= _FREQUENT for _, n in listed)
    return len(listed) > 1 and frequent and rows >= _PER_VALUE * len(listed)


def set_reason(listed: tuple[tuple[object, int], ...]) -> str:
    """The figures that speak for a set of values."""
    rows, rarest = sum(n for _, n in listed), min(n for _, n in listed)
    return (
        f"{count(rows, 'value')}, only {len(listed)} different ones; the rarest {rarest:,} times"
    )


def _by_meaning(
    column: ColumnProfile, low: Decimal, high: Decimal, seen: str
) -> Iterator[Candidate]:
    words = set(column.name.lower().split("_"))
    for known, least, most in _MEANING:
        # A percentage that never exceeds 1 is a share.
        if words & known and low >= least and high <= most and (high > 1 or most != 100):
            yield _between(column, Decimal(least), Decimal(most), f"{seen}, by its name")
            return
    if not whole(column) and low >= 0 and Decimal("0.5") <= high <= 1:
        yield _between(column, Decimal(0), Decimal(1), f"{seen}: as shares are")


def _with_room(
    column: ColumnProfile, low: Decimal, high: Decimal, seen: str
) -> Iterator[Candidate]:
    ends = column.quantile(0.01), column.quantile(0.99)
    if ends[0] is None or ends[1] is None:
        return
    inner = Decimal(ends[0]), Decimal(ends[1])
    width = inner[1] - inner[0]
    # A bound that an outlier sets would let all other faults pass.
    far_low, far_high = inner[0] - low > _FAR * width, high - inner[1] > _FAR * width
    lowest, highest = room(
        inner[0] if far_low else low,
        inner[1] if far_high else high,
    )
    if far_low and far_high:
        return
    reason = f"{seen}; the bounds leave as much room again"
    if far_low or far_high:
        end = "below" if far_low else "above"
        reason = f"{seen}; the bound leaves room; none {end}, where outliers are far off"
    yield _between(column, None if far_low else lowest, None if far_high else highest, reason)


def _between(
    column: ColumnProfile, low: Decimal | None, high: Decimal | None, reason: str
) -> Candidate:
    bounds = (("min", low), ("max", high))
    given = tuple((key, plain(bound)) for key, bound in bounds if bound is not None)
    return Candidate("between", (("column", column.name), *given), reason, passes=True)
