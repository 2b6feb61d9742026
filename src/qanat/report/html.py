"""Results as HTML for notebooks: escaped, without scripts or anything from elsewhere.

Colours are of middle brightness and the text has the page's own, so that both are read on light
and on dark pages. Nothing is lost where a page drops styles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal, NewType

from qanat.frozen import Frozen
from qanat.text import Cell, Value, cell_of, printable

Part = NewType("Part", str)
"""HTML that is safe: everything that came from data is escaped."""

Mood = Literal["ok", "bad", "plain"]

COLOURS = {
    "green": "var(--q-green,#2da44e)",
    "red": "var(--q-red,#e5534b)",
    "yellow": "var(--q-yellow,#bf8700)",
    "cyan": "var(--q-cyan,#2188a6)",
    "bright_black": "var(--q-grey,#808891)",
    "dim": "var(--q-grey,#808891)",
}
"""A notebook has none of these variables; a page of Qanat's own has, for light and for dark."""
_SHORT = 32
"""Characters of a value that is not broken into lines."""
_MOODS = {"ok": "green", "bad": "red", "plain": ""}
_STYLE = """\
.qanat{font:13px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;color:inherit;max-width:100%;\
overflow-x:auto}
.qanat p{margin:.6em 0 .3em;font-weight:600;white-space:pre-wrap}
.qanat small{font-weight:400;opacity:.65;margin-left:.8em}
.qanat table{border-collapse:collapse;margin:.2em 0 .6em;font-variant-numeric:tabular-nums;\
color:inherit;border:0;width:auto}
.qanat th,.qanat td{padding:.2em .9em .2em .3em;text-align:left;vertical-align:top;border:0;\
background:none;color:inherit;max-width:36em;white-space:pre-wrap;overflow-wrap:break-word}
.qanat tr{background:none}
.qanat th{font-weight:600;border-bottom:1px solid #80889180;white-space:nowrap}
.qanat tbody tr+tr td{border-top:1px solid #80889130}
.qanat .r{text-align:right}
.qanat .s{white-space:nowrap}
.qanat pre{font:12px/1.45 ui-monospace,Menlo,Consolas,monospace;margin:.2em 0 .8em;padding:0;\
background:none;color:inherit;white-space:pre-wrap}
"""


class Inline(Frozen):
    """A cell of a table that is HTML itself, such as a small plot or a link.

    Args:
        part: what stands in it.
        right: aligned to the right, if the whole column is.
    """

    part: Part
    right: bool = False


def text(value: str) -> str:
    """Text from data: escaped, and with nothing in it that works unseen."""
    return escape(printable(value))


def page(*parts: Part) -> str:
    """What a notebook shows for one result."""
    return f'<div class="qanat"><style>{_STYLE}</style>{"".join(parts)}</div>'


def heading(line: str, mood: Mood = "plain", remark: str = "") -> Part:
    """A line above what follows, with a remark beside it."""
    colour = _MOODS[mood]
    style = f' style="color:{COLOURS[colour]}"' if colour else ""
    lines = "\n".join(text(part) for part in line.split("\n"))
    small = f"<small>{text(remark)}</small>" if remark else ""
    return Part(f"<p{style}>{lines}{small}</p>")


def table(headers: Sequence[str], rows: Iterable[Sequence[Value | Inline]]) -> Part:
    """A table; a column of numbers is aligned to the right, as in `qanat.text`."""
    body = [[v if isinstance(v, Inline) else cell_of(v) for v in row] for row in rows]
    right = [bool(body) and all(row[i].right for row in body) for i in range(len(headers))]
    head = "".join(_tag("th", Cell(h), r) for h, r in zip(headers, right, strict=True))
    lines = (
        "<tr>" + "".join(_tag("td", c, r) for c, r in zip(row, right, strict=True)) + "</tr>"
        for row in body
    )
    return Part(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>")


def preformatted(lines: Iterable[tuple[str, str | None]]) -> Part:
    """Lines of equal letters, each with the name of its colour or None."""
    shown = (_styled(Cell(line, colour)) for line, colour in lines)
    return Part("<pre>" + "\n".join(shown) + "</pre>")


def _styled(cell: Cell) -> str:
    shown = text(cell.text)
    if cell.style == "bold":
        return f"<b>{shown}</b>"
    colour = COLOURS.get(cell.style or "")
    return f'<span style="color:{colour}">{shown}</span>' if colour else shown


def _tag(name: str, cell: Cell | Inline, right: bool) -> str:
    scope = ' scope="col"' if name == "th" else ""
    # Short values stay on one line: a date broken at its hyphens is hard to read.
    short = isinstance(cell, Cell) and len(cell.text) <= _SHORT
    classes = [*(["r"] if right else []), *(["s"] if short else [])]
    kind = f' class="{" ".join(classes)}"' if classes else ""
    shown = _styled(cell) if isinstance(cell, Cell) else cell.part
    return f"<{name}{scope}{kind}>{shown}</{name}>"
