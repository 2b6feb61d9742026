"""The borders of histograms: round numbers of bins between the lowest and the highest value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime

BINS = 20


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
