"""The borders of histograms: round numbers of bins between the lowest and the highest value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

BINS = 20
_LONGEST = 1_000_000
"""Places of a grid at most: more are as good as none."""


def edges(low: float, high: float, whole: bool) -> list[float]:
    """The borders of the bins; whole numbers that are few have a bin each.

    >>> edges(1, 3, whole=True), len(edges(0.0, 1.0, whole=False))
    ([1.0, 2.0, 3.0, 4.0], 21)
    """
    if low == high:
        return [float(low), float(high)]
    if whole:
        step = max(1, -(-int(high - low + 1) // BINS))
        count = -(-int(high - low + 1) // step)
        return [float(low + step * i) for i in range(count + 1)]
    return [low + (high - low) * i / BINS for i in range(BINS)] + [float(high)]


def grid_of(values: Sequence[float]) -> float | None:
    """The distance of which all distances between sorted values are multiples; None if of none.

    >>> grid_of([0.0, 0.05, 0.06]), grid_of([1.0, 2.5, 2.6]), grid_of([7.0])
    (0.01, 0.1, None)
    >>> grid_of([0.0, 0.3, 1.0]) is None
    True
    """
    gaps = [b - a for a, b in pairwise(values) if b > a]
    if not gaps:
        return None
    # Differences of decimals are not exact: 0.06 - 0.05 is 0.009999999999999995.
    unit = float(f"{min(gaps):.9g}")
    steps = [gap / unit for gap in gaps]
    if sum(steps) > _LONGEST or any(abs(s - round(s)) > 1e-6 for s in steps):
        return None
    return unit


def grid_edges(low: float, high: float, unit: float) -> tuple[list[float], int]:
    """The borders of bins that hold equally many places of a grid, and how many that are.

    >>> grid_edges(0.0, 0.03, 0.01)
    ([0.0, 0.01, 0.02, 0.03, 0.04], 1)
    >>> grid_edges(1764494327121.0, 1764494327123.0, 1.0)[0][0]
    1764494327121.0
    """
    places = round((high - low) / unit) + 1
    step = -(-places // BINS)
    count = -(-places // step)
    # Sums of decimals are exact only as decimals: 0.1 + 0.2 is 0.30000000000000004.
    first, width = Decimal(repr(low)), Decimal(repr(unit)) * step
    return [float(first + width * at) for at in range(count + 1)], step


def placed(value: float, borders: Sequence[float]) -> int:
    """The number of the bin of a value; those beyond the borders are in the outer ones.

    >>> placed(2, [1, 2, 3]), placed(3, [1, 2, 3])
    (1, 1)
    """
    return min(max(bisect_right(borders, value) - 1, 0), len(borders) - 2)


def moment_text(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, without a time at midnight.

    >>> moment_text(0.0), moment_text(90.0), moment_text(1e14)
    ('1970-01-01', '1970-01-01T00:01:30', '1e+14')
    """
    try:
        text = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=0).isoformat()
    except (ValueError, OverflowError, OSError):  # years that Python does not have
        return f"{seconds:g}"
    return text.removesuffix("T00:00:00")
