"""Which datasets no update works on for now."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from qanat.model.record import Pause
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY, moment
from qanat.report.shape import Key, Shape
from qanat.text import PLAIN, Layout, Value, grid, utc

PAUSE = Shape(
    "Pause",
    Pause,
    ("dataset", Key("since", of=str, make=lambda pause: moment(pause.since)), "reason"),
    "A dataset that no update works on until it is told to go on.",
)
PAUSES = Shape(
    "PausesDocument",
    Sequence[Pause],
    (VERSION_KEY, Key("paused", of=list[Pause], make=list)),
    "The datasets that are paused.",
)
RESUMED = Shape(
    "ResumedDocument",
    Sequence[str],
    (VERSION_KEY, Key("resumed", of=list[str], make=list)),
    "The datasets that were paused, and that updates work on again.",
)
PARTS = (PAUSE,)

_HEADERS = ("Dataset", "Paused since", "Reason")
_NONE = "No dataset is paused."


def pauses_text(pauses: Sequence[Pause], layout: Layout = PLAIN, options: str = "") -> str:
    """The datasets that are paused, and how they go on.

    Args:
        options: of the user's command, to be repeated in the one to type next.
    """
    if not pauses:
        return _NONE
    names = " ".join(shlex.quote(pause.dataset) for pause in pauses)
    return "\n".join(
        [
            *grid(_HEADERS, _rows(pauses), layout),
            "",
            "What to type next:",
            f"  qanat resume{options} {names}  let updates work on {_them(pauses)} again",
        ]
    )


def pauses_html(pauses: Sequence[Pause]) -> str:
    """The same for a notebook."""
    return page(table(_HEADERS, _rows(pauses)) if pauses else heading(_NONE, "ok"))


def resumed_text(names: Sequence[str]) -> str:
    """Which datasets go on.

    >>> resumed_text(["bronze", "silver"])
    'Updates work on bronze and silver again.'
    """
    if not names:
        return _NONE
    *others, last = names
    before = f"{', '.join(others)} and " if others else ""
    return f"Updates work on {before}{last} again."


def _rows(pauses: Sequence[Pause]) -> list[list[Value]]:
    return [[pause.dataset, utc(pause.since), pause.reason or None] for pause in pauses]


def _them(pauses: Sequence[Pause]) -> str:
    return "it" if len(pauses) == 1 else "them"
