"""What the next point of a series is expected to be, by whichever predictor did best lately.

A point that is missing (None) keeps its place, so that seasons stay in step, and counts for
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import mul
from statistics import fmean, median
from typing import TypeAlias

from qanat.frozen import Frozen
from qanat.model.anomaly import ENOUGH

Point: TypeAlias = float | None
Expected: TypeAlias = Mapping[int, float]
"""By place in a series, what a predictor expects there, given only the points before it."""

PERIODS = (*range(2, 15), 24, 28, 30, 31, 48, 52, 96, 144, 168)
"""Lengths of seasons that are looked for, in updates: days of a week, hours of a day, …"""
JUDGED = 150
"""The newest points by which predictors are judged, and their errors known."""
_RECENT = 30
"""Of these, the newest decide which predictor is used."""
_SHORT = 7
"""Points of a rolling median, and of a level."""
_LONG = 28
"""Points of a long median."""
_SEASONS = 4
"""Of a seasonal median."""
_CORRELATED = 0.3
"""How much of a season must repeat itself, from 0 to 1."""
_PEAK = 0.1
"""By how much more than half of one."""


class Forecast(Frozen):
    """What is expected of the next point.

    Args:
        expected: its value.
        earlier: what the same predictor expects of earlier points.
        errors: by place, by how much these differ from it.
        predictor: its name.
        period: of the season, in points; 0 if none was found.
    """

    expected: float
    earlier: Expected
    errors: Mapping[int, float]
    predictor: str
    period: int


def forecast(points: Sequence[Point]) -> Forecast | None:
    """What is expected after these points, oldest first; None if there are too few.

    >>> week = [10.0, 11.0, 10.0, 11.0, 10.0, 2.0, 1.0]
    >>> found = forecast(week * 5)
    >>> found.expected, found.predictor, found.period
    (10.0, 'seasonal median', 7)
    """
    best: Forecast | None = None
    least, next_ = 0.0, len(points)
    values = {n: p for n, p in enumerate(points) if p is not None}
    period = season(points)
    for name, expected in _expectations(points, period).items():
        errors = {n: v - expected[n] for n, v in values.items() if n in expected}
        # One that knows little yet has to wait.
        least_known = ENOUGH if best is None else max(ENOUGH, len(best.errors) // 2)
        if next_ not in expected or len(errors) < least_known:
            continue
        error = fmean(map(abs, list(errors.values())[-_RECENT:]))
        # Of equals the first: simpler ones come first.
        if best is None or error < least:
            earlier = {n: expected[n] for n in errors}
            best, least = Forecast(expected[next_], earlier, errors, name, period), error
    return best


# -- seasons ----------------------------------------------------------------------------------


def season(points: Sequence[Point]) -> int:
    """After how many points a series repeats itself; 0 if it does not.

    >>> season([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0] * 4), season([1.0] * 30)
    (7, 0)
    """
    centred = _centred(points)
    power = sum(map(mul, centred, centred))
    best, most = 0, _CORRELATED
    for period in PERIODS:
        if len(points) < 3 * period or not power:
            break
        found = _correlation(centred, period, power)
        # A multiple of a season repeats itself as well: it has to be clearly better. And what
        # only changes slowly is even more like what was half as long ago.
        better = found > most * (1.05 if best else 1.0)
        if better and found > _correlation(centred, period // 2, power) + _PEAK:
            best, most = period, found
    return best


def _centred(points: Sequence[Point]) -> list[float]:
    """The points around zero; those out of all proportion are cut, so that no burst decides."""
    known = [p for p in points if p is not None]
    if not known:
        return []
    level = median(known)
    usual = 4 * fmean(abs(p - level) for p in known)
    return [0.0 if p is None else max(-usual, min(p - level, usual)) for p in points]


def _correlation(centred: Sequence[float], period: int, power: float) -> float:
    shared = len(centred) - period
    product: float = sum(map(mul, centred, centred[period:]))
    return product / power * len(centred) / shared


# -- the pool of predictors ---------------------------------------------------------------------


def _expectations(points: Sequence[Point], period: int) -> Mapping[str, Expected]:
    """By predictor, simple ones first, what it expects of the newest points and of the next."""
    first = max(1, len(points) - JUDGED)
    last, rolling = _last(points, first), _rolling(points, first, _SHORT, 3)
    long = _rolling(points, first, _LONG, _SHORT)
    plain = {"last": last, "rolling median": rolling, "long median": long}
    if not period:
        return plain
    seasonal = _seasonal(points, max(1, first - _SHORT), period)
    levelled = _levelled(points, first, seasonal)
    between = {n: (last[n] + value) / 2 for n, value in levelled.items() if n in last}
    return {
        **plain,
        "seasonal median": {n: value for n, value in seasonal.items() if n >= first},
        "seasonal median at the present level": levelled,
        "between the last and that": between,
    }


def _last(points: Sequence[Point], first: int) -> Expected:
    newest = next((p for p in reversed(points[:first]) if p is not None), None)
    found = {}
    for place in range(first, len(points) + 1):
        if newest is not None:
            found[place] = newest
        if place < len(points) and points[place] is not None:
            newest = points[place]
    return found


def _rolling(points: Sequence[Point], first: int, most: int, least: int) -> Expected:
    found = {}
    for place in range(first, len(points) + 1):
        known = [p for p in points[max(0, place - most) : place] if p is not None]
        if len(known) >= least:
            found[place] = median(known)
    return found


def _seasonal(points: Sequence[Point], first: int, period: int) -> Expected:
    found = {}
    for place in range(first, len(points) + 1):
        before = range(place - period, max(-1, place - period * _SEASONS - 1), -period)
        known = [p for n in before if (p := points[n]) is not None]
        if known:
            found[place] = median(known)
    return found


def _levelled(points: Sequence[Point], first: int, seasonal: Expected) -> Expected:
    found = {}
    for place in range(first, len(points) + 1):
        off = [
            value - seasonal[n]
            for n in range(max(0, place - _SHORT), place)
            if (value := points[n]) is not None and n in seasonal
        ]
        if place in seasonal and len(off) > 2:
            found[place] = seasonal[place] + median(off)
    return found
