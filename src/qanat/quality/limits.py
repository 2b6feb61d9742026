"""Between which values the next point of a metric is nothing out of the ordinary.

Counts are looked at on a log scale, shares as logits: a half is as far from normal as a double.
How wide the limits are, the errors of past forecasts say (as in conformal prediction), and no
narrower than chance makes a count of that size, nor than what is worth a look.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist, median
from typing import Protocol, TypeAlias

from qanat.frozen import Frozen
from qanat.model.anomaly import ENOUGH
from qanat.quality.forecast import Forecast, forecast

Parts: TypeAlias = tuple[int, int]
"""Rows that are counted, and of how many; a count of rows is part of no whole: 0."""
_KNOWN = 30
"""So many errors tell of their tail as much as the normal distribution does."""
_FEW = 4
"""Limits by so many errors are twice as wide: how far few ones spread is unsure."""
_YOUNG = 14
"""Points after which a level is no burst any more."""
_TAIL = 10
"""One of so many errors is taken for the tail of all."""
_WORTH_COUNT = 0.05
"""Of a count: a smaller difference is worth nobody's time."""
_WORTH_SHARE = 0.001


class Limits(Frozen):
    """The limits of one point.

    Args:
        low, high: in the metric's own unit, rows or a share.
        expected: what was forecast.
        accepted: further ranges, of values that somebody has called expected.
    """

    low: float
    high: float
    expected: float
    accepted: tuple[tuple[float, float], ...] = ()

    def allow(self, value: float) -> bool:
        """True if a value is nothing out of the ordinary."""
        return any(low <= value <= high for low, high in ((self.low, self.high), *self.accepted))

    @property
    def highest(self) -> float:
        """The highest value that is allowed."""
        return max(self.high, *(high for _, high in self.accepted), self.high)


class Scale(Protocol):
    """How values of a metric are compared."""

    def of(self, part: int, whole: int) -> float:
        """A value on the scale on which forecasts are made."""
        ...

    def back(self, value: float, whole: int) -> float:
        """A value of that scale in the metric's own unit."""
        ...

    def chance(self, value: float, whole: int) -> float:
        """The standard deviation that chance gives such a value on the scale."""
        ...

    def least(self, value: float, whole: int, z: float) -> tuple[float, float]:
        """Between which values chance, and what is worth no look, may bring one."""
        ...


class Count(Frozen):
    """Counts of rows: on a log scale. They are parts of no whole."""

    def of(self, part: int, whole: int) -> float:
        """The logarithm."""
        return math.log1p(part)

    def back(self, value: float, whole: int) -> float:
        """The count."""
        return max(0.0, math.expm1(min(value, 60.0)))

    def chance(self, value: float, whole: int) -> float:
        """As Poisson has it: the root of the count."""
        count = self.back(value, whole)
        return math.sqrt(count) / (count + 1)

    def least(self, value: float, whole: int, z: float) -> tuple[float, float]:
        """Some rows more or less, by chance, or a few percent."""
        count = self.back(value, whole)
        low, high = _counted(count, z)
        return min(low, count * (1 - _WORTH_COUNT)), max(high, count * (1 + _WORTH_COUNT))


class Share(Frozen):
    """Shares of rows: as logits.

    Few rows say little, so their share is drawn towards that of all rows: by half a row of
    those that are counted.

    Args:
        usual: the share of all rows of the history, neither 0 nor 1.
    """

    usual: float

    @classmethod
    def among(cls, history: Sequence[Parts | None]) -> Share:
        """The scale for a history."""
        known = [parts for parts in history if parts is not None]
        part, whole = (sum(each) for each in zip(*known, strict=True)) if known else (0, 0)
        return cls((part + 0.5) / (whole + 1))

    @property
    def _extra(self) -> float:
        """Rows that are added to all others, of which the usual share counts: half a row."""
        return 0.5 / min(self.usual, 1 - self.usual)

    def of(self, part: int, whole: int) -> float:
        """The logit."""
        extra = self._extra
        share = (part + extra * self.usual) / (whole + extra)
        return math.log(share / (1 - share))

    def back(self, value: float, whole: int) -> float:
        """The share."""
        extra, drawn = self._extra, 1 / (1 + math.exp(-max(-60.0, min(value, 60.0))))
        found = (drawn * (whole + extra) - extra * self.usual) / max(1, whole)
        return max(0.0, min(found, 1.0))

    def chance(self, value: float, whole: int) -> float:
        """As it is if each row is one or not by itself."""
        share = self.back(value, whole)
        rare = whole * min(share, 1 - share)
        return math.sqrt(rare) / (rare + 0.5)

    def least(self, value: float, whole: int, z: float) -> tuple[float, float]:
        """Some rows more or less, by chance, or a thousandth of all."""
        share, most = self.back(value, whole), max(1, whole)
        # Of shares beyond a half, the rows that are left are the ones that are counted.
        if share <= 0.5:
            low, high = (each / most for each in _counted(share * whole, z))
        else:
            high, low = (1 - each / most for each in _counted((1 - share) * whole, z))
        return min(low, share - _WORTH_SHARE), max(high, share + _WORTH_SHARE)


class Norm(Frozen):
    """What the history of a metric lets expect of its next point.

    Args:
        forecast: on the metric's scale.
        besides: the variance of errors that chance does not explain; it is the same at all times.
        down, up: margins, in standard deviations.
        z: how many of them chance may do by itself.
        accepted: values that somebody has called expected, lowest first.
    """

    scale: Scale
    forecast: Forecast
    besides: float
    down: float
    up: float
    z: float
    accepted: tuple[Parts, ...] = ()

    def limits(self, whole: int) -> Limits:
        """The limits of the next point.

        Args:
            whole: of a share, the rows that the point is a part of.
        """
        scale, expected = self.scale, self.forecast.expected
        spread = _spread(self.besides, scale.chance(expected, whole))
        low, high = scale.least(expected, whole, self.z)
        return Limits(
            max(0.0, min(low, scale.back(expected - spread * self.down, whole))),
            max(high, scale.back(expected + spread * self.up, whole)),
            scale.back(expected, whole),
            tuple(self._around(whole)),
        )

    def _around(self, whole: int) -> Iterator[tuple[float, float]]:
        """The ranges of accepted values below and above what is expected: such may come again."""
        scale = self.scale
        values = sorted(scale.of(*parts) for parts in self.accepted)
        for side in (False, True):
            some = [v for v in values if (v > self.forecast.expected) is side]
            if some:
                ends = [(v, _spread(self.besides, scale.chance(v, whole))) for v in some]
                (first, below), (last, above) = ends[0], ends[-1]
                low = scale.back(first - max(self.down, self.z) * below, whole)
                yield low, scale.back(last + max(self.up, self.z) * above, whole)


def norm(
    history: Sequence[Parts | None],
    scale: Scale,
    alpha: float,
    accepted: Sequence[Parts] = (),
    levels: Sequence[Mapping[int, float]] = (),
) -> Norm | None:
    """What a history lets expect of the next point; None if it is too short to tell.

    Args:
        history: oldest first; None where a point does not count.
        alpha: how often a point may be beyond the limits though nothing is wrong, from 0 to 1.
        accepted: points that are missing in the history: nothing is expected because of them,
            but values like theirs may come again.
        levels: of each time that a new level began, oldest first: by place, its first points, what
            had been expected there.

    >>> rows = norm([(n, 0) for n in [100, 104, 98, 101] * 5], Count(), 0.001).limits(0)
    >>> rows.allow(102), rows.allow(50), round(rows.expected)
    (True, False, 100)
    >>> norm([(100, 0)] * 5, Count(), 0.001) is None
    True
    """
    z = NormalDist().inv_cdf(1 - alpha / 2)
    known = [parts for parts in history if parts is not None]
    if len(known) > ENOUGH and not any(part for part, _ in known):
        # Most shares are of nothing at all, as NULLs in a column that has none.
        nothing = Forecast(scale.of(*known[-1]), {}, {}, "last", 0)
        return Norm(scale, nothing, 0.0, 0.0, 0.0, z, tuple(accepted))
    points = [None if parts is None else scale.of(*parts) for parts in history]
    accepted = [*accepted, *_levelled(points, history, scale, levels)]
    found = forecast(points)
    if found is None:
        return None
    errors = list(found.errors.values())
    wholes = [(history[place] or (0, 0))[1] for place in found.errors]
    chances = [scale.chance(e, w) for e, w in zip(found.earlier.values(), wholes, strict=True)]
    # By medians, so that a burst or two do not decide: 0.455 is that of squared normal values.
    besides = max(0.0, median(map(_square, errors)) / 0.455 - median(map(_square, chances)))
    scaled = [e / _spread(besides, c) for e, c in zip(errors, chances, strict=True)]
    down, up = (_settled([side * e for e in scaled], alpha / 2, z) for side in (-1, 1))
    return Norm(scale, found, besides, down, up, z, tuple(accepted))


def _levelled(
    points: list[float | None],
    history: Sequence[Parts | None],
    scale: Scale,
    levels: Sequence[Mapping[int, float]],
) -> Iterator[Parts]:
    """Bring all points to the present level, so that forecasts need not learn it.

    Yields:
        What had been expected where the newest level is so young that it may have been a burst.
    """
    for level in levels:
        off, before = list[float](), list[Parts]()
        for place, expected in level.items():
            parts, point = history[place], points[place]
            if parts is not None and point is not None:
                whole = parts[1]
                before.append((round(expected * (whole or 1)), whole))
                off.append(point - scale.of(*before[-1]))
        if off:
            first, by = min(level), median(off)
            points[:first] = [None if p is None else p + by for p in points[:first]]
            if len(points) - first < _YOUNG:
                yield from before


def _settled(scaled: Sequence[float], alpha: float, z: float) -> float:
    """The margin by errors that are few, perhaps: drawn towards that of normal ones, and wider."""
    if not any(scaled):
        return 0.0
    number = len(scaled)
    known = number / (number + _KNOWN)
    return (known * margin(scaled, alpha) + (1 - known) * z) * (1 + _FEW / number)


def _spread(besides: float, chance: float) -> float:
    return math.sqrt(besides + chance * chance) or 1.0


def _square(value: float) -> float:
    return value * value


def margin(errors: Sequence[float], alpha: float) -> float:
    """How large an error is that only a share `alpha` of all is beyond.

    Where that is rarer than the number of errors can tell, the largest ones are taken for the
    tail of an exponential distribution, and it is read off there.

    >>> margin([n / 100 for n in range(100)], 0.25)
    0.75
    >>> margin([0.0] * 50, 0.001)
    0.0
    """
    largest = sorted((max(0.0, e) for e in errors), reverse=True)
    tail = max(5, len(largest) // _TAIL)
    rank = alpha * len(largest)
    if rank >= tail:
        return largest[int(rank) - 1]
    start = largest[min(tail, len(largest) - 1)]
    beyond = sum(e - start for e in largest[:tail]) / tail
    return start + beyond * math.log(tail / rank)


_MANY = 100.0
"""A Poisson distribution of so many on average is close to a normal one."""


def _counted(expected: float, z: float) -> tuple[float, float]:
    """Between which values a count lies by chance, as Poisson has it.

    Where nothing is expected, half a row is: that none came before does not make one impossible.
    """
    if expected < _MANY:
        rest = 1 - NormalDist().cdf(z)
        return _poisson(expected, rest)[0], _poisson(expected + 0.5, rest)[1]
    root = math.sqrt(expected + 0.375)  # Anscombe's transform
    return (root - z / 2) ** 2 - 0.375, (root + z / 2) ** 2 - 0.375


def _poisson(expected: float, alpha: float) -> tuple[float, float]:
    """The lowest and the highest count of which the rest has at most `alpha` on each side.

    >>> _poisson(0.1, 0.001), _poisson(20.0, 0.001)
    ((0, 2), (8, 35))
    """
    count, chance = 0, math.exp(-expected)
    below, low = 0.0, 0
    while below + chance <= 1 - alpha:
        low += below + chance <= alpha
        below, count = below + chance, count + 1
        chance *= expected / count
    return low, count
