"""A graph as an SVG drawing: boxes in columns, each to the right of what it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from zlib import crc32

from qanat.frozen import Frozen
from qanat.report.html import Part, text
from qanat.text import cells, clip, printable

_HEIGHT, _ROW, _LANE, _COLUMN, _MARGIN = 40, 54, 22, 56, 6
_LETTER, _PADDING, _WIDEST = 7.2, 12, 34
"""Width of a letter and of a box's margin in pixels; letters that a box shows."""
_COLOURS = {
    "streaming table": "#4184e4",
    "materialized view": "#2da44e",
    "sink": "#986ee2",
    "quarantine": "#e5534b",
    "python function": "#2188a6",
}
_SOURCES = ("#bf8700", "#d4722a", "#8a9a1f", "#b5546e", "#1f8a83")
"""Of what comes from outside: one for each kind, whichever connectors there are."""
_OTHER = "#808891"
_GREY = frozenset({"column", "temporary view", "unknown"})
_SWEEPS = 4


class Box(Frozen):
    """One node: its name, what it is, and a remark that is shown in the place of that."""

    name: str
    kind: str
    remark: str = ""


class _Placed(Frozen):
    """Where a box stands, or (without one) where a long line passes through a column."""

    box: Box | None
    x: float
    middle: float
    width: float


def drawing(
    boxes: Sequence[Box],
    edges: Sequence[tuple[str, str]],
    dashed: Collection[tuple[str, str]] = (),
) -> Part:
    """An SVG element of a graph without circles.

    Args:
        boxes: each after those that it comes from; at least one.
        edges: (from, to) by name.
        dashed: those of the edges that are drawn so.
    """
    by_name = {b.name: b for b in boxes}
    known = [e for e in edges if e[0] in by_name and e[1] in by_name]
    depth = _depths(by_name, known)
    paths = {edge: _path(edge, depth) for edge in known}
    columns = _columns(depth, paths.values())
    placed, height = _placed(columns, by_name)
    lines = [_line([placed[n] for n in paths[e]], e in dashed) for e in known]
    shown = [_box(p.box, p) for p in placed.values() if p.box is not None]
    width = max(p.x + p.width for p in placed.values()) + _MARGIN
    style = "max-width:none;color:inherit;font:12px system-ui,sans-serif"
    return Part(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" style="{style}">'
        + "".join([*lines, *shown])
        + "</svg>"
    )


def _depths(names: Iterable[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The column of each box: right of all that it comes from."""
    sources: dict[str, list[str]] = {name: [] for name in names}
    targets: dict[str, list[str]] = {name: [] for name in sources}
    for here, there in edges:
        sources[there].append(here)
        targets[here].append(there)
    depth: dict[str, int] = {}
    for name, above in sources.items():
        depth[name] = 1 + max((depth.get(s, -1) for s in above), default=-1)
    for name, above in sources.items():
        # A source stands beside its first reader: a long line says less than a short one.
        if not above and targets[name]:
            depth[name] = max(0, min(depth[t] for t in targets[name]) - 1)
    return depth


def _path(edge: tuple[str, str], depth: Mapping[str, int]) -> list[str]:
    """An edge's ends, and in between a place of its own in each column that it crosses."""
    here, there = edge
    between = range(depth[here] + 1, depth[there])
    return [here, *(f"{here}\0{there}\0{column}" for column in between), there]


def _columns(depth: Mapping[str, int], paths: Iterable[Sequence[str]]) -> list[list[str]]:
    """The boxes and crossings of each column, ordered so that few lines cross."""
    columns: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, column in depth.items():
        columns[column].append(name)
    sources: dict[str, list[str]] = defaultdict(list)
    targets: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for at, crossing in enumerate(path[1:-1], depth[path[0]] + 1):
            columns[at].append(crossing)
        for here, there in pairwise(path):
            sources[there].append(here)
            targets[here].append(there)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        near = sources if forwards else targets
        for each in columns if forwards else reversed(columns):
            _sort(each, near, columns)
    return columns


def _sort(
    column: list[str], near: Mapping[str, Sequence[str]], columns: Sequence[Sequence[str]]
) -> None:
    """Order a column by where, on average, the neighbours of its boxes stand."""
    heights = {n: (at + 0.5) / len(c) for c in columns for at, n in enumerate(c)}
    means = {
        name: sum(heights[n] for n in near[name]) / len(near[name])
        if near.get(name)
        else heights[name]
        for name in column
    }
    column.sort(key=means.__getitem__)


def _placed(
    columns: Sequence[Sequence[str]], boxes: Mapping[str, Box]
) -> tuple[dict[str, _Placed], float]:
    """Where everything stands, and how high the drawing is."""
    rows = [[_ROW if name in boxes else _LANE for name in column] for column in columns]
    tallest = max(map(sum, rows))
    placed: dict[str, _Placed] = {}
    x = float(_MARGIN)
    for column, heights in zip(columns, rows, strict=True):
        width = max((_width(boxes[n]) for n in column if n in boxes), default=0.0)
        y = _MARGIN + (tallest - sum(heights)) / 2
        for name, height in zip(column, heights, strict=True):
            placed[name] = _Placed(boxes.get(name), x, y + height / 2, width)
            y += height
        x += width + _COLUMN
    return placed, tallest + 2 * _MARGIN


def _colour(kind: str) -> str:
    """The colour of a kind of node: the same in every drawing, also for kinds of others."""
    if kind in _GREY:
        return _OTHER
    source = kind.removesuffix(" column").encode()
    return _COLOURS.get(kind) or _SOURCES[crc32(source) % len(_SOURCES)]


def _below(box: Box) -> str:
    return clip(printable(box.remark or box.kind), _WIDEST + 4)


def _width(box: Box) -> float:
    name = cells(clip(printable(box.name), _WIDEST)) * _LETTER
    return max(name, cells(_below(box)) * _LETTER * 0.88) + 2 * _PADDING


def _box(box: Box, placed: _Placed) -> str:
    x, y = placed.x, placed.middle - _HEIGHT / 2
    colour = _colour(box.kind)
    remark = f" = {box.remark}" if box.remark else ""
    full = escape(printable(f"{box.name} ({box.kind}){remark}"))
    name = text(clip(printable(box.name), _WIDEST))
    return (
        f"<g><title>{full}</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{placed.width:.0f}" height="{_HEIGHT}" rx="5" '
        f'fill="{colour}" fill-opacity=".13" stroke="{colour}"/>'
        f'<text x="{x + _PADDING:.0f}" y="{y + 17:.0f}" fill="currentColor" '
        f'font-weight="600">{name}</text>'
        f'<text x="{x + _PADDING:.0f}" y="{y + 32:.0f}" fill="currentColor" opacity=".65" '
        f'font-size="11">{text(_below(box))}</text></g>'
    )


def _line(path: Sequence[_Placed], dashed: bool) -> str:
    """A line from box to box, straight where it crosses a column, with a head."""
    curve = f"M{path[0].x + path[0].width:.0f} {path[0].middle:.0f}"
    for here, there in pairwise(path):
        x1, x2 = here.x + here.width, there.x - (5 if there is path[-1] else 0)
        y1, y2, bend = here.middle, there.middle, (x2 - x1) / 2
        curve += f"C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
        if there is not path[-1]:
            curve += f"h{there.width:.0f}"
    end = path[-1]
    head = f"M{end.x:.0f} {end.middle:.0f}l-6 -3.5v7z"
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<path d="{curve}" fill="none" stroke="{_OTHER}"{dashes}/>'
        f'<path d="{head}" fill="{_OTHER}"/>'
    )
