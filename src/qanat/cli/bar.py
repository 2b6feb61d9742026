"""Work of many like pieces, as a bar that fills; plain lines where there is no terminal."""

from __future__ import annotations

import time
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_EVERY = 15.0
"""Seconds between plain lines."""


class Bar:
    """A bar, or lines; use it as a context manager around the work.

    Args:
        stream: the terminal, or whatever standard error is.
        live: whether the stream is a terminal that a person watches.
        colour: False for a terminal whose user asked for no colours.
    """

    def __init__(self, stream: TextIO, *, live: bool, colour: bool = True) -> None:
        self._stream = stream
        self._live = live
        self._total = 0
        self._done = 0
        self._note = ""
        self._began = self._said = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=stream, color_system="auto" if colour else None, highlight=False),
            transient=True,
            disable=not live,
        )
        self._task = self._progress.add_task("", note="")

    def prepare(self, what: str) -> None:
        """Say what is being done before anything can be counted."""
        self._progress.update(self._task, description=what, total=None)
        if not self._live:
            self._say(what)

    def begin(self, what: str, total: int) -> None:
        """Start to count.

        Args:
            what: what is being done, a few words.
            total: how many pieces there are.
        """
        self._total, self._done = total, 0
        self._began = self._said = time.monotonic()
        self._progress.reset(self._task, total=total, description=what)

    def advance(self, note: str = "") -> None:
        """One piece is done; `note` is shown beside the bar."""
        self._done += 1
        self._note = note
        self._progress.update(self._task, completed=self._done, note=note)
        now = time.monotonic()
        if not self._live and now - self._said >= _EVERY:
            self._said = now
            left = (now - self._began) / self._done * (self._total - self._done)
            text = f"{self._done:,} of {self._total:,}, about {left / 60:,.0f} min left"
            self._say(f"{text}{', ' + note if note else ''}")

    def _say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
