"""Tables of text: columns that line up, on a terminal also cut to its width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qanat.text.amounts import count
from qanat.text.characters import cells, clip, printable
from qanat.text.style import PLAIN, Layout, Paint

GAP = "  "
WIDEST = 40
"""Columns of a terminal that one value may take."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a table.

    Args:
        text: any text; control characters are shown, not sent.
        style: where colours are shown: a colour's name, `bold` or `dim`.
        right: a number, or something that may stand among numbers; a column of nothing else
            is aligned to the right.
    """

    text: str
    style: str | None = None
    right: bool = False


Value = str | int | None | Cell


def grid(
    headers: Sequence[str], rows: Sequence[Sequence[Value]], layout: Layout = PLAIN
) -> list[str]:
    """The lines of a table.

    Args:
        rows: whole numbers get thousands separators; None becomes a dash.
        layout: where it has a width, long values are cut first; columns that do not fit are
            left out, and a last line names them.

    >>> print("\\n".join(grid(["Table", "Rows"], [["bronze", 1200], ["silver", 7]])))
    Table    Rows
    bronze  1,200
    silver      7
    """
    width = layout.width
    widest = None if width is None else min(width, WIDEST)
    head = [_cut(Cell(h, "bold"), widest) for h in headers]
    body = [[_cut(_cell(value), widest) for value in row] for row in rows]
    columns = range(len(head))
    right = [bool(body) and all(row[i].right for row in body) for i in columns]
    sizes = [max(cells(row[i].text) for row in [head, *body]) for i in columns]
    shown = _fitting(sizes, width)
    lines = [_line(row[:shown], sizes, right, layout.paint) for row in [head, *body]]
    if shown < len(head):
        more = count(len(head) - shown, "more column")
        hidden = ", ".join(h.text for h in head[shown:])
        lines.append(clip(f"… and {more}: {hidden}", width or WIDEST))
    return lines


def _cell(value: Value) -> Cell:
    match value:
        case Cell():
            return value
        case None:
            return Cell("–", "dim", right=True)
        case int():
            return Cell(f"{value:,}", right=True)
    return Cell(value)


def _cut(cell: Cell, widest: int | None) -> Cell:
    if widest is None:
        return replace(cell, text=printable(cell.text))
    # A value may be megabytes long: what cannot be seen need not be made printable.
    return replace(cell, text=clip(printable(cell.text[: widest + 1]), widest))


def _fitting(sizes: Sequence[int], width: int | None) -> int:
    """How many columns fit, from the left; at least one."""
    if width is None:
        return len(sizes)
    used = 0
    for shown, size in enumerate(sizes):
        used += size + (len(GAP) if shown else 0)
        if used > width:
            return max(1, shown)
    return len(sizes)


def _line(row: Sequence[Cell], sizes: Sequence[int], right: Sequence[bool], paint: Paint) -> str:
    parts = []
    for cell, size, to_right in zip(row, sizes, right, strict=False):
        space = " " * (size - cells(cell.text))
        text = cell.text if cell.style is None else paint(cell.text, cell.style)
        parts.append(space + text if to_right else text + space)
    return GAP.join(parts).rstrip()
