"""Small plots as SVG and HTML: histograms, lines with a band, bars and sparklines.

They fill the width they are given, down to that of a phone, with letters of the page's size: what
is drawn stretches, what is written does not. Colours are variables of a page
(`qanat.report.page`, which has `STYLE`), with values of middle brightness for notebooks. Each
plot has a title for screen readers, and each bar and point one for the mouse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from qanat.frozen import Frozen
from qanat.report.html import Part, text

STYLE = """
.plot { margin: .5rem 0 1rem; display: grid; grid-template-columns: max-content 1fr;
  gap: .15rem .5rem; max-width: 46rem; }
.plot figcaption { grid-column: 1 / -1; font-size: .9rem; font-weight: 600; }
.plot figcaption small { font-weight: 400; margin-left: .6em; }
.plot .y, .plot .x { display: flex; justify-content: space-between; color: var(--soft, #808891);
  font-size: .78rem; font-variant-numeric: tabular-nums; }
.plot .y { flex-direction: column; text-align: right; } .plot .x { grid-column: 2; gap: 1em; }
.plot svg { display: block; width: 100%; height: 7rem; overflow: visible; }
.p-bar { fill: var(--bar, #5f86bd); } .p-bar:hover { fill: var(--ink, #808891); }
.p-band { fill: var(--band, #5f86bd33); }
.p-grid { stroke: var(--line, #80889140); vector-effect: non-scaling-stroke; }
.p-line, .p-dot, .p-odd { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round;
  stroke-linejoin: round; stroke: var(--curve, #1f5fae); stroke-width: 1.6; }
.p-dot { stroke-width: 5; } .p-odd { stroke: var(--bad, #e5534b); stroke-width: 9; }
.spark { display: inline-block; width: 6.5rem; height: 1.2rem; vertical-align: -.25rem;
  overflow: visible; }
.spark .p-dot { stroke-width: 4; } .spark .p-odd { stroke-width: 6; }
table.bars { min-width: 0; width: 100%; max-width: 46rem; border-collapse: collapse; }
table.bars { table-layout: fixed; }
table.bars th { font-weight: 400; white-space: normal; width: 34%; overflow-wrap: break-word; }
table.bars td.r { width: 6rem; } table.bars td.bar { padding-right: 0; }
table.bars svg { display: block; width: 100%; height: .8rem; }
"""

_WIDTH, _HEIGHT = 1000.0, 100.0
_LEAST = 1.0
"""Height of a bar of few: it must be visible beside bars of many."""

T = TypeVar("T")
Shown = Callable[[float], str]
"""How a number is written."""


class Bin(Frozen):
    """One bar of a histogram: the values from `low` to `high`, and how many there are."""

    low: float
    high: float
    rows: int


def short(value: float) -> str:
    """A number for an axis.

    >>> short(1200), short(0.12345), short(3_450_000), short(2.0)
    ('1,200', '0.1235', '3,450,000', '2')
    """
    if not math.isfinite(value):
        return str(value)
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def histogram(
    bins: Sequence[Bin],
    title: str,
    shown: Shown = short,
    remark: str = "",
    noun: str = "rows",
    labels: Sequence[str] = (),
) -> Part:
    """Bars over an axis of numbers.

    Args:
        bins: from low to high; they may be of different widths, and then the area of a bar, not
            its height, tells how many there are.
        title: above it, and for screen readers.
        shown: how a value of the axis is written: a date, for example, that was made a number.
        remark: beside the title.
        noun: what is counted.
        labels: as many as bins: what each is called; default: its borders.

    >>> 'title>0 to 5: 3 rows<' in histogram([Bin(0, 5, 3), Bin(5, 10, 1)], "age")
    True
    """
    if not bins:
        return Part("")
    low, high = bins[0].low, bins[-1].high
    span = (high - low) or 1.0
    # A bar for a single value has no width; it gets that of an even share.
    widths = [(b.high - b.low) / span * _WIDTH or _WIDTH / len(bins) for b in bins]
    heights = [b.rows / w for b, w in zip(bins, widths, strict=True)]
    highest = max(heights) or 1.0
    bars = []
    for at, (each, width, height) in enumerate(zip(bins, widths, heights, strict=True)):
        if not each.rows:
            continue
        tall = max(height / highest * _HEIGHT, _LEAST)
        x = min((each.low - low) / span * _WIDTH, _WIDTH - width)
        gap = min(2.0, width / 5)
        name = labels[at] if labels else f"{shown(each.low)} to {shown(each.high)}"
        label = f"{name}: {each.rows:,} {noun}"
        bars.append(
            f'<rect class="p-bar" x="{x:.2f}" y="{_HEIGHT - tall:.2f}" '
            f'width="{max(width - gap, 0.5):.2f}" height="{tall:.2f}">'
            f"<title>{text(label)}</title></rect>"
        )
    even = max(widths) - min(widths) < _WIDTH * 1e-6
    top = f"{max(b.rows for b in bins):,}" if even else ""
    total = sum(b.rows for b in bins)
    about = f"{title}: histogram of {total:,} {noun} from {shown(low)} to {shown(high)}"
    return _figure(title, remark, about, bars, (top, "0"), (shown(low), shown(high)))


def line(
    values: Sequence[float | None],
    title: str,
    labels: Sequence[str],
    band: Sequence[tuple[float, float] | None] = (),
    marks: Collection[int] = (),
    shown: Shown = short,
    remark: str = "",
) -> Part:
    """A series, the band in which it was expected, and the points that stand out.

    Args:
        values: in order; None where there is none.
        labels: as many: when or where each was, such as the time of an update.
        band: as many: the lowest and highest that was expected, or None; empty for no band.
        marks: the places of those that are out of the ordinary.

    >>> drawn = line([1, 2, 90], "rows", ["a", "b", "c"], [None, (0, 5), (0, 5)], {2})
    >>> "c: 90, expected 0 to 5, out of the ordinary" in drawn
    True
    """
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return Part("")
    bands = [*band] or [None] * len(values)
    edges = [edge for pair in bands if pair is not None for edge in pair if math.isfinite(edge)]
    low, high = _range([*known, *edges])
    scale = _Scale(len(values), low, high)
    drawn = [
        f'<path class="p-grid" d="M0 {y:.0f}H{_WIDTH:.0f}"/>' for y in (0, _HEIGHT / 2, _HEIGHT)
    ]
    drawn += _band(bands, scale)
    drawn += _curve(values, scale)
    for at, value in enumerate(values):
        if value is None or not math.isfinite(value):
            continue
        pair = bands[at]
        label = f"{labels[at]}: {shown(value)}"
        if pair is not None:
            label += f", expected {shown(pair[0])} to {shown(pair[1])}"
        odd = at in marks
        label += ", out of the ordinary" if odd else ""
        kind = "p-odd" if odd else "p-dot"
        drawn.append(_dot(kind, scale.x(at), scale.y(value), label))
    about = f"{title}: {len(known):,} values from {shown(min(known))} to {shown(max(known))}"
    about += f", {len(marks):,} out of the ordinary" if marks else ""
    return _figure(title, remark, about, drawn, (shown(high), shown(low)), (labels[0], labels[-1]))


def bars(labels: Sequence[str], values: Sequence[float], title: str, shown: Shown = short) -> Part:
    """A table with a bar in each line: the most frequent values, shares, sizes.

    >>> bars(["a", "b"], [3, 1], "values").count("<rect")
    2
    """
    highest = max((abs(v) for v in values), default=0.0) or 1.0
    lines = (
        f'<tr><th scope="row">{text(label)}</th><td class="r">{text(shown(value))}</td>'
        '<td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="p-bar" width="{abs(value) / highest * 100:.2f}" height="10"/>'
        "</svg></td></tr>"
        for label, value in zip(labels, values, strict=True)
    )
    body = "".join(lines)
    if not body:
        return Part("")
    return Part(f'<table class="bars" aria-label="{text(title)}"><tbody>{body}</tbody></table>')


def sparkline(
    values: Sequence[float | None], title: str, marks: Collection[int] = (), shown: Shown = short
) -> Part:
    """A series as large as a word; its last value, and those that stand out, are dots.

    >>> sparkline([1, 2, 3], "rows").startswith('<svg class="spark"')
    True
    """
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return Part("")
    scale = _Scale(len(values), *_range(known))
    drawn = [*_curve(values, scale)]
    last = max(at for at, v in enumerate(values) if v is not None and math.isfinite(v))
    for at in sorted({*marks, last}):
        value = values[at]
        if value is not None and math.isfinite(value):
            kind = "p-odd" if at in marks else "p-dot"
            drawn.append(_dot(kind, scale.x(at), scale.y(value)))
    about = f"{title}: {', '.join('none' if v is None else shown(v) for v in values[-10:])}"
    return Part(
        f'<svg class="spark" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" '
        f'preserveAspectRatio="none"><title>{text(about)}</title>{"".join(drawn)}</svg>'
    )


def columns(values: Sequence[int], title: str) -> Part:
    """Bars as large as a word: a histogram beside other figures; empty if all are 0.

    >>> columns([1, 0, 3], "ages").count("<rect")
    2
    """
    highest = max(values, default=0)
    if not highest:
        return Part("")
    width = _WIDTH / len(values)
    bars = "".join(
        f'<rect class="p-bar" x="{at * width:.1f}" width="{width * 0.85:.1f}"'
        f' y="{_HEIGHT - tall:.1f}" height="{tall:.1f}"/>'
        for at, value in enumerate(values)
        if value and (tall := max(value / highest * _HEIGHT, 6.0))
    )
    return Part(
        f'<svg class="spark" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" '
        f'preserveAspectRatio="none"><title>{text(title)}</title>{bars}</svg>'
    )


class _Scale(Frozen):
    """From places and values to the drawing's own coordinates."""

    places: int
    low: float
    high: float

    def x(self, at: int) -> float:
        return _WIDTH / 2 if self.places == 1 else at / (self.places - 1) * _WIDTH

    def y(self, value: float) -> float:
        clipped = min(max(value, self.low), self.high)
        return _HEIGHT - (clipped - self.low) / (self.high - self.low) * _HEIGHT


def _range(values: Iterable[float]) -> tuple[float, float]:
    """Where an axis begins and ends: at 0 where that is near."""
    known = [*values]
    low, high = min(known), max(known)
    if low > 0 and low < high * 0.6:
        low = 0.0
    if low == high:
        space = abs(low) * 0.1 or 1.0
        low, high = (0.0 if low == 0 else low - space), high + space
    return low, high


def _band(bands: Sequence[tuple[float, float] | None], scale: _Scale) -> Iterator[str]:
    for at, pairs in _stretches(bands):
        # Half a place to either side, so that a band of one place can be seen as well.
        half = _WIDTH / max(scale.places - 1, 1) / 2
        points = [(max(scale.x(at + i) - half, 0), p) for i, p in enumerate(pairs)]
        points.append((min(scale.x(at + len(pairs) - 1) + half, _WIDTH), pairs[-1]))
        upper = [f"{x:.1f} {scale.y(p[1]):.1f}" for x, p in points]
        lower = [f"{x:.1f} {scale.y(p[0]):.1f}" for x, p in reversed(points)]
        yield f'<path class="p-band" d="M{"L".join([*upper, *lower])}z"/>'


def _curve(values: Sequence[float | None], scale: _Scale) -> Iterator[str]:
    finite = [v if v is not None and math.isfinite(v) else None for v in values]
    for at, known in _stretches(finite):
        points = "L".join(f"{scale.x(at + i):.1f} {scale.y(v):.1f}" for i, v in enumerate(known))
        yield f'<path class="p-line" d="M{points}"/>'


def _stretches(values: Sequence[T | None]) -> Iterator[tuple[int, list[T]]]:
    """Values that follow one another without a gap, each list with where it begins."""
    for missing, found in groupby(enumerate(values), lambda pair: pair[1] is None):
        pairs = [*found]
        if not missing:
            yield pairs[0][0], [v for _, v in pairs if v is not None]


def _dot(kind: str, x: float, y: float, label: str = "") -> str:
    # A line without length and with round ends: a circle would be stretched with the drawing.
    title = f"<title>{text(label)}</title>" if label else ""
    return f'<path class="{kind}" d="M{x:.1f} {y:.1f}h0">{title}</path>'


def _figure(
    title: str,
    remark: str,
    about: str,
    drawn: Iterable[str],
    y: tuple[str, str],
    x: tuple[str, str],
) -> Part:
    small = f"<small>{text(remark)}</small>" if remark else ""
    return Part(
        f'<figure class="plot"><figcaption>{text(title)}{small}</figcaption>{_axis("y", y)}'
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" role="img">'
        f"<title>{text(about)}</title>{''.join(drawn)}</svg>{_axis('x', x)}</figure>"
    )


def _axis(name: str, ends: tuple[str, str]) -> str:
    spans = "".join(f"<span>{text(end)}</span>" for end in ends)
    return f'<div class="{name}" aria-hidden="true">{spans}</div>'
