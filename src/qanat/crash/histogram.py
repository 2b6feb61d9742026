"""A histogram of how long recoveries took, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

_WIDTH, _HEIGHT = 1000, 170
_LEFT, _TOP, _BOTTOM = 62, 24, 40
_LABEL = 130
_BARS = 40
_TAIL = 1.5
"""Recoveries longer than so many times the 99th percentile share one bar at the end."""


def histogram(seconds: Sequence[float], median: float, p99: float) -> str:
    """An SVG with a bar for each span of seconds.

    Args:
        seconds: the durations; not empty.
        median: their median, marked by a line.
        p99: their 99th percentile, marked by a line.
    """
    longest = max(seconds)
    cut = p99 * _TAIL
    step = nice(min(longest, cut) / 8)
    top = step * max(1, math.ceil(min(longest, cut) / step - 1e-9))
    counts = [0] * (_BARS + 1)
    for each in seconds:
        counts[_BARS if each > top else min(int(each / top * _BARS), _BARS - 1)] += 1
    if not counts[-1]:
        counts.pop()
    highest = max(counts)
    # Two more places than `_BARS`: one for the tail's bar, and a gap before it.
    width = (_WIDTH - _LEFT) / (_BARS + 2)
    parts = [*_amounts(highest), *_bars(counts, highest, width, top)]
    for n in range(round(top / step) + 1):
        x = _LEFT + n * step / top * _BARS * width
        parts.append(_text(x, _HEIGHT - _BOTTOM + 14, f"{n * step:.10g}", "middle"))
    if len(counts) > _BARS:
        parts.append(_text(_WIDTH, _HEIGHT - _BOTTOM + 14, "longer", "end"))
    middle = _LEFT + _BARS * width / 2
    parts.append(
        _text(middle, _HEIGHT - 4, "seconds to run again and verify everything", "middle")
    )
    # Write one label to the left of its line and one to the right: the lines may coincide.
    for name, value, anchor, off in (("median", median, "end", -4), ("p99", p99, "start", 4)):
        x = _LEFT + min(value / top, 1.0) * _BARS * width
        if x < _LEFT + _LABEL:
            anchor, off = "start", 4
        elif x > _WIDTH - _LABEL:
            anchor, off = "end", -4
        parts.append(
            f'<path class="mark" d="M{x:.1f} {_TOP - 12}V{_HEIGHT - _BOTTOM}"/>'
            + _text(x + off, _TOP - 4, f"{name} {value:.2f} s", anchor)
        )
    return (
        f'<div class="wide"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{len(seconds)} recoveries by duration">{"".join(parts)}</svg></div>'
    )


def nice(least: float) -> float:
    """The smallest number of the series …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … that is at least `least`.

    >>> nice(0.031), nice(3), nice(0)
    (0.05, 5.0, 0.01)
    """
    if least <= 0:
        return 0.01
    power: float = 10.0 ** math.floor(math.log10(least))
    return float(f"{next(m for m in (1, 2, 5, 10) if m * power >= least * 0.999999) * power:.6g}")


def _bars(counts: Sequence[int], highest: int, width: float, top: float) -> Iterator[str]:
    room = _HEIGHT - _TOP - _BOTTOM
    for n, count in enumerate(counts):
        if not count:
            continue
        tail = n == _BARS
        # A bar of one recovery must be visible beside bars of thousands.
        height = max(room * count / highest, 1.5)
        x = _LEFT + (n + tail) * width
        span = f"longer than {top:.3g} s"
        if not tail:
            span = f"{n * top / _BARS:.3f} to {(n + 1) * top / _BARS:.3f} s"
        yield (
            f'<rect class="bar" x="{x + 1:.2f}" y="{_HEIGHT - _BOTTOM - height:.2f}"'
            f' width="{width - 2:.2f}" height="{height:.2f}"><title>{count:,} took {span}</title>'
            "</rect>"
        )


def _amounts(highest: int) -> Iterator[str]:
    """Horizontal grid lines with their counts."""
    room = _HEIGHT - _TOP - _BOTTOM
    step = max(1, round(nice(highest / 4)))
    for amount in range(0, highest + 1, step):
        y = _HEIGHT - _BOTTOM - room * amount / highest
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH}"/>'
        yield _text(_LEFT - 6, y + 4, f"{amount:,}", "end")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
