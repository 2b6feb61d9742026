"""An update as a table that changes while a person watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, Self, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from qanat.model.event import Event
from qanat.observe.terminal.lines import Tallies, Tally, remark
from qanat.text import duration, printable

SIGNS = {
    "updated": ("✓", "green"),
    "unchanged": ("=", "dim"),
    "failed": ("✗", "bold red"),
    "skipped": ("-", "yellow"),
    "waiting": ("·", "dim"),
}

_WIDE = 80
"""Columns of a terminal that has room for the kinds of datasets beside their names and numbers."""


def redrawn(console: Console, render: Callable[[], RenderableType], per_second: float) -> Live:
    """What draws again and again in one place of a terminal, and leaves nothing there at last."""
    return Live(
        console=console,
        get_renderable=render,
        refresh_per_second=per_second,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


class ProgressObserver:
    """Shows a live table; use it as a context manager around the update.

    The table goes when the update ends, so that the summary takes its place; warnings, retries
    and recoveries stay above it.

    Args:
        stream: the terminal.
        colour: False for a terminal whose user asked for no colours.
    """

    def __init__(self, stream: TextIO, *, colour: bool = True) -> None:
        self._tallies = Tallies()
        self._spinner = Spinner("dots")
        # Rich's own `no_color` leaves bold and dim.
        system: Literal["auto"] | None = "auto" if colour else None
        self._console = Console(file=stream, color_system=system, highlight=False)
        self._live = redrawn(self._console, self._render, 10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def on(self, event: Event) -> None:
        """Take an event."""
        self._tallies.add(event)
        line = remark(event)
        if line is not None:
            self._console.print(Text(line, style="yellow"))

    def _render(self) -> RenderableType:
        tallies = self._tallies.snapshot()
        shown = visible(tallies, max(3, self._console.height - 5))
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        table.add_column("Dataset", no_wrap=True)
        wide = self._console.width >= _WIDE
        if wide:
            table.add_column("Kind", style="dim", no_wrap=True)
        for header in ("Read", "Written", "Quarantined", "Dropped", "Time"):
            table.add_column(header, justify="right", no_wrap=True)
        # Where the terminal is narrow this column gives way: only its texts refuse to wrap.
        table.add_column("")
        for tally in shown:
            sign, name, kind, *rest = self._row(tally)
            table.add_row(sign, name, *([kind] if wide else []), *rest)
        done = sum(t.ended for t in tallies)
        table.caption = Text(f"{done} of {len(tallies)} datasets", style="dim")
        table.caption_justify = "left"
        return table

    def _row(self, tally: Tally) -> list[RenderableType]:
        running = tally.status == "running"
        sign, style = SIGNS.get(tally.status, ("?", ""))
        seconds = time.monotonic() - tally.began if running else tally.seconds
        message = tally.message
        if running and tally.fraction is not None:
            message = f"{tally.fraction:4.0%} {message}"
        numbers = (tally.out, tally.written, tally.quarantined, tally.dropped)
        timed = running or tally.status in ("updated", "failed")
        return [
            self._spinner if running else Text(sign, style=style),
            Text(printable(tally.dataset)),
            tally.kind,
            *(f"{n:,}" if n else "" for n in numbers),
            duration(seconds) if timed else "",
            Text(printable(message), style="dim", no_wrap=True, overflow="ellipsis"),
        ]


def visible(tallies: list[Tally], height: int) -> list[Tally]:
    """The datasets to show when there are more than lines: what runs, what failed, then the
    most recently ended and the next to start; in their order.

    >>> [t.dataset for t in visible([Tally("a", status="updated"), Tally("b", status="running"),
    ...                              Tally("c")], 2)]
    ['a', 'b']
    """
    urgency = {"running": 0, "failed": 1}
    ended = max((i for i, t in enumerate(tallies) if t.ended), default=0)
    ranked = sorted(
        range(len(tallies)),
        key=lambda i: (urgency.get(tallies[i].status, 2), abs(i - ended)),
    )
    return [tallies[i] for i in sorted(ranked[:height])]
