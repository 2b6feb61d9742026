"""A graph as an SVG drawing: boxes in columns, each to the right of what it comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from qanat.report.html import Part, text
from qanat.text.characters import cells, clip, printable

_HEIGHT, _ROW, _COLUMN, _MARGIN = 40, 56, 56, 8
_LETTER, _PADDING, _WIDEST = 7.2, 12, 34
"""Width of a letter and of a box's margin in pixels; letters that a box shows."""
_COLOURS = {
    "streaming table": "#4184e4",
    "materialized view": "#2da44e",
    "sink": "#986ee2",
    "quarantine": "#e5534b",
    "files": "#bf8700",
    "delta table": "#bf8700",
    "python function": "#2188a6",
}
_OTHER = "#808891"
_SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Box:
    """One node: its name, what it is, and a remark that is shown in the place of that."""

    name: str
    kind: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Placed:
    box: Box
    x: float
    y: float
    width: float


def drawing(
    boxes: Sequence[Box],
    edges: Sequence[tuple[str, str]],
    dashed: Collection[tuple[str, str]] = (),
) -> Part:
    """An SVG element of a graph without circles.

    Args:
        boxes: each after those that it comes from.
        edges: (from, to) by name.
        dashed: those of the edges that are drawn so.
    """
    placed = _placed(_columns(boxes, edges), boxes)
    lines = [
        _edge(placed[here], placed[there], (here, there) in dashed)
        for here, there in edges
        if here in placed and there in placed
    ]
    width = max(p.x + p.width for p in placed.values()) + _MARGIN
    height = max(p.y for p in placed.values()) + _HEIGHT + _MARGIN
    style = "max-width:none;color:inherit;font:12px system-ui,sans-serif"
    return Part(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" style="{style}">'
        + "".join([*lines, *map(_box, placed.values())])
        + "</svg>"
    )


def _columns(boxes: Sequence[Box], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The names of the boxes, column by column, ordered so that few edges cross."""
    sources: dict[str, list[str]] = {b.name: [] for b in boxes}
    targets: dict[str, list[str]] = {b.name: [] for b in boxes}
    for here, there in edges:
        if here in sources and there in sources:
            sources[there].append(here)
            targets[here].append(there)
    depth: dict[str, int] = {}
    for box in boxes:
        depth[box.name] = 1 + max((depth.get(s, -1) for s in sources[box.name]), default=-1)
    columns: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in reversed([b.name for b in boxes]):
        # A source stands beside its first reader: a long line says less than a short one.
        if not sources[name] and targets[name]:
            depth[name] = min(depth[t] for t in targets[name]) - 1
    for box in boxes:
        columns[depth[box.name]].append(box.name)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        near = sources if forwards else targets
        for column in columns if forwards else reversed(columns):
            _sort(column, near, columns)
    return columns


def _sort(
    column: list[str], near: Mapping[str, Sequence[str]], columns: Sequence[Sequence[str]]
) -> None:
    """Order a column by where, on average, the neighbours of its boxes stand."""
    heights = {n: _share(at, len(c)) for c in columns for at, n in enumerate(c)}
    means = {
        name: sum(heights[n] for n in near[name]) / len(near[name])
        if near[name]
        else heights[name]
        for name in column
    }
    column.sort(key=means.__getitem__)


def _share(at: int, number: int) -> float:
    return (at + 0.5) / number


def _placed(columns: Sequence[Sequence[str]], boxes: Sequence[Box]) -> dict[str, _Placed]:
    by_name = {b.name: b for b in boxes}
    tallest = max(map(len, columns))
    placed: dict[str, _Placed] = {}
    x = float(_MARGIN)
    for column in columns:
        width = max(map(_width, (by_name[n] for n in column)))
        top = _MARGIN + (tallest - len(column)) * _ROW / 2
        for at, name in enumerate(column):
            placed[name] = _Placed(by_name[name], x, top + at * _ROW, width)
        x += width + _COLUMN
    return placed


def _below(box: Box) -> str:
    return clip(printable(box.remark or box.kind), _WIDEST + 4)


def _width(box: Box) -> float:
    name = cells(clip(printable(box.name), _WIDEST)) * _LETTER
    return max(name, cells(_below(box)) * _LETTER * 0.88) + 2 * _PADDING


def _box(placed: _Placed) -> str:
    box, x, y = placed.box, placed.x, placed.y
    colour = _COLOURS.get(box.kind, _OTHER)
    full = escape(
        printable(f"{box.name} ({box.kind})" + (f" = {box.remark}" if box.remark else ""))
    )
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


def _edge(here: _Placed, there: _Placed, dashed: bool) -> str:
    x1, y1 = here.x + here.width, here.y + _HEIGHT / 2
    x2, y2 = there.x - 5, there.y + _HEIGHT / 2
    bend = max(24.0, (x2 - x1) / 2)
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    curve = (
        f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    )
    head = f"M{x2 + 5:.0f} {y2:.0f}l-6 -3.5v7z"
    return (
        f'<path d="{curve}" fill="none" stroke="{_OTHER}"{dashes}/>'
        f'<path d="{head}" fill="{_OTHER}"/>'
    )
