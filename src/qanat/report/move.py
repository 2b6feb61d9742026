"""What got another name, or was dropped."""

from __future__ import annotations

from qanat.report.html import heading, page
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Shape
from qanat.run.results import MoveResult
from qanat.text import printable

MOVE = Shape(
    "MoveDocument",
    MoveResult,
    (VERSION_KEY, "what", "old", "new", "definitions"),
    "What got another name, or was dropped (`new` is null then). `what`: `dataset`, `flow` or"
    " `source`. `definitions`: datasets\nwhose definitions have changed by that name alone, and"
    " count as unchanged.",
)

_MOVED = {
    "dataset": "its table, quarantine, positions and history",
    "flow": "its positions and history",
    "source": "what was read of it",
}


def move_text(result: MoveResult) -> str:
    """What has happened, in a sentence."""
    old = printable(result.old)
    if result.new is None:
        return f"{old} is dropped, with its table, quarantine and positions."
    return f"{old} is called {printable(result.new)} now, with {_MOVED[result.what]}."


def move_html(result: MoveResult) -> str:
    """The same for a notebook."""
    return page(heading(move_text(result), "ok"))
