"""How much epochs bring, and how new it is: what only several of them can tell."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence, Ladder
from qanat.text import count

_LEAST_EPOCHS = 8
_MOST_APART = 4.0
"""How many times as many rows as the smallest epoch the one in the middle may have."""
_OLDEST = 7 * 86_400.0
"""Seconds: a column that is ever older than that at the end of an epoch has no freshness."""
_STEADY = 4.0
"""How many times the usual age the greatest may be: beyond that, the ages follow no rhythm."""


def volume(evidence: Evidence) -> Iterator[Ladder]:
    """Each epoch brings at least half the rows that the smallest one did.

    Of a materialized view, which each epoch writes anew, the same is said of the whole table.
    """
    volumes = evidence.volumes
    if len(volumes) < _LEAST_EPOCHS or median(volumes) > _MOST_APART * min(volumes):
        return
    least = _floor(min(volumes) // 2)
    if least > 0:
        low, high = min(volumes), max(volumes)
        rows = count(high, "row") if low == high else f"{low:,} to {count(high, 'row')}"
        seen = f"{rows} in each of {len(volumes)} epochs"
        given: tuple[tuple[str, object], ...] = (("min", least),)
        given += (("of", "epoch"),) if evidence.appends else ()
        yield (Candidate("row_count", given, seen, name="enough_rows"),)


def _floor(number: int) -> int:
    """A number rounded down to its first digit: 148 to 100."""
    unit = int(10 ** (len(str(number)) - 1))
    return number // unit * unit


def freshness(evidence: Evidence) -> Iterator[Ladder]:
    """The newest value is at most three times as old as it ever was at the end of an epoch."""
    for column, lags in evidence.lags.items():
        if len(lags) < _LEAST_EPOCHS or max(lags) > _OLDEST:
            continue
        longest = max(*lags, 1.0)
        if longest > _STEADY * max(median(lags), 60.0):
            continue
        within = span(3 * longest)
        seen = f"at most {span(longest)} old at the end of {len(lags)} epochs"
        yield (Candidate("fresh", (("column", column), ("within", within)), seen),)


def span(seconds: float) -> str:
    """A duration in the largest unit that suits it, rounded up.

    >>> span(50), span(5000), span(200_000)
    ('1 minute', '2 hours', '3 days')
    """
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds > length or unit == "minute":
            number = -int(-seconds // length)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    raise AssertionError
