"""What figures of a sample may mean for rows to come: confidence, chance, round numbers."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from qanat.model.expectation import Tolerance

_Z = 3.0
"""Standard deviations: one of 700 epochs that are as all others is beyond."""
_COLLISIONS = 5.0
"""Repeated values that chance would have to make, if their absence is to mean anything."""
_MOST_TOLERATED = 0.2


def upper_share(share: float, rows: int) -> float:
    """The share that so many rows of the same kind hardly exceed: the bound of Wilson's interval.

    Of an epoch, not of all rows that were seen: a check is for one epoch at a time.

    >>> round(upper_share(0.01, 1000), 4), round(upper_share(0.01, 100), 3)
    (0.0247, 0.1)
    """
    if rows <= 0:
        return 1.0
    square = _Z * _Z
    middle = share + square / (2 * rows)
    spread = _Z * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    return min(1.0, (middle + spread) / (1 + square / rows))


def tolerated(share: float, rows: int) -> Tolerance | None:
    """What to tolerate of a share in epochs of so many rows, rounded up; None if too much.

    >>> str(tolerated(0.01, 1000)), tolerated(0.1, 10)
    ('2.5 %', None)
    """
    most = upper_share(share, rows)
    if most > _MOST_TOLERATED:
        return None
    digits = 1 if most < 0.1 else 0
    percent = Decimal(repr(most)) * 100
    rounded = percent.quantize(Decimal(1).scaleb(-digits), ROUND_CEILING)
    return Tolerance(share=float(rounded / 100))


def beyond_chance(rows: int, possible: float) -> bool:
    """True if chance would have made values repeat, so that it means something if none does.

    Args:
        possible: how many different values there might be.

    >>> beyond_chance(1000, 1000), beyond_chance(100, 1_000_000)
    (True, False)
    """
    return possible > 0 and rows * rows / (2 * possible) >= _COLLISIONS


def room(low: Decimal, high: Decimal) -> tuple[Decimal, Decimal]:
    """Round bounds that leave as much room again on both sides, but none below 0 if nothing is.

    >>> [f"{b:f}" for b in room(Decimal(3), Decimal(480))]
    ['0', '1000']
    >>> [f"{b:f}" for b in room(Decimal(2010), Decimal(2024))]
    ['1990', '2040']
    >>> [f"{b:f}" for b in room(Decimal("-0.2"), Decimal("0.7"))]
    ['-1.1', '1.6']
    """
    span = high - low
    step = Decimal(1).scaleb(span.adjusted()) if span else Decimal(1)
    lowest = ((low - span) / step).to_integral_value(ROUND_FLOOR) * step
    highest = ((high + span) / step).to_integral_value(ROUND_CEILING) * step
    if low >= 0:
        lowest = max(lowest, Decimal(0))
    if high <= 0:
        highest = min(highest, Decimal(0))
    return lowest, highest


def plain(value: Decimal) -> int | float:
    """A number as YAML has it.

    >>> plain(Decimal("1E+3")), plain(Decimal("0.5"))
    (1000, 0.5)
    """
    return int(value) if value == value.to_integral_value() else float(value)
