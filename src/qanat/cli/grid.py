"""Tables of text: columns that line up, on a terminal also cut to its width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qanat.cli import screen
from qanat.observe.terminal.characters import cells, clip, printable

GAP = "  "
WIDEST = 40
"""Columns of a terminal that one value may take."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its style on terminals that show colours (a colour name, or `dim`)."""

    text: str
    style: str | None = None


Value = str | int | None | Cell


def grid(
    headers: Sequence[str], rows: Sequence[Sequence[Value]], *, width: int | None = None
) -> list[str]:
    """The lines of a table. A column whose values are all numbers is aligned to the right.

    Args:
        rows: text is made printable; whole numbers get thousands separators; None is a dash.
        width: columns of the terminal to fit into, None for no limit. Long values are cut
            first; columns that do not fit are left out, and a last line says how many.

    >>> print("\\n".join(grid(["Table", "Rows"], [["bronze", 1200], ["silver", 7]])))
    Table    Rows
    bronze  1,200
    silver      7
    """
    right = [
        bool(rows) and all(r[i] is None or isinstance(r[i], int) for r in rows)
        for i in range(len(headers))
    ]
    body = [[_cell(value) for value in row] for row in rows]
    head = [printable(h) for h in headers]
    if width is not None:
        head = [clip(h, WIDEST) for h in head]
        body = [[Cell(clip(c.text, WIDEST), c.style) for c in row] for row in body]
    sizes = [
        max([cells(head[i]), *(cells(row[i].text) for row in body)]) for i in range(len(head))
    ]
    shown = _fitting(sizes, width)
    lines = [_line([Cell(h, "bold") for h in head[:shown]], sizes, right)]
    lines += [_line(row[:shown], sizes, right) for row in body]
    if shown < len(head):
        hidden = ", ".join(head[shown:])
        lines.append(clip(f"… and {len(head) - shown} more columns: {hidden}", width or WIDEST))
    return lines


def _cell(value: Value) -> Cell:
    if isinstance(value, Cell):
        return Cell(printable(value.text), value.style)
    if value is None:
        return Cell("–", "dim")
    return Cell(f"{value:,}" if isinstance(value, int) else printable(value))


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


def _line(row: Sequence[Cell], sizes: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for cell, size, to_right in zip(row, sizes, right, strict=False):
        space = " " * (size - cells(cell.text))
        text = styled(cell)
        parts.append(space + text if to_right else text + space)
    return GAP.join(parts).rstrip()


def styled(cell: Cell) -> str:
    """The text of a cell in its style."""
    match cell.style:
        case None:
            return cell.text
        case "bold" | "dim":
            return screen.paint(cell.text, **{cell.style: True})
        case colour:
            return screen.paint(cell.text, fg=colour)
