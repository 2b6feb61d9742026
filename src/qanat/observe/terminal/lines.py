"""An update as plain lines, for logs of builds and dumb terminals."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TextIO

from qanat.model.event import DatasetEnded, DatasetProgress, DatasetStarted, Event
from qanat.observe.terminal.remarks import remark
from qanat.observe.terminal.tally import Tallies, Tally
from qanat.text.amounts import count, duration
from qanat.text.characters import printable

SILENCE = 15.0
"""Seconds after which a dataset that still computes says so."""


class LinesObserver:
    """Writes a line when a dataset has ended, recovers or retries, and while a long one computes.

    Nothing is written about unchanged datasets: the summary counts them. A stream whose reader
    has left is written to no more; the update goes on.

    Args:
        stream: text stream, flushed after every line.
        clock: seconds that only go forward.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream: TextIO | None = stream
        self._clock = clock
        self._told: dict[str, float] = {}
        self._tallies = Tallies()
        self._lock = Lock()

    def on(self, event: Event) -> None:
        """Take an event."""
        tally = self._tallies.add(event)
        line = self._silence(event) or _line(event, tally)
        if line is not None:
            self._write(printable(line))

    def _silence(self, event: Event) -> str | None:
        if isinstance(event, DatasetStarted):
            self._told[event.dataset] = self._clock()
        if not isinstance(event, DatasetProgress):
            return None
        now = self._clock()
        if now - self._told.setdefault(event.dataset, now) < SILENCE:
            return None
        self._told[event.dataset] = now
        share = "" if event.fraction is None else f", {event.fraction:.0%} of this epoch"
        return f"{event.dataset}: {event.message}{share}"

    def _write(self, line: str) -> None:
        with self._lock:
            if self._stream is None:
                return
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except BrokenPipeError:
                self._stream = None


def _line(event: Event, tally: Tally | None) -> str | None:
    match event:
        case DatasetEnded(status="updated"):
            return f"{event.dataset}: updated in {duration(event.seconds)}{_rows(tally)}"
        case DatasetEnded(status="failed" | "skipped"):
            return f"{event.dataset}: {event.status}: {event.reason}"
    return remark(event)


def _rows(tally: Tally | None) -> str:
    if tally is None:
        return ""
    parts = [count(tally.files, "file") + " read"] if tally.files else []
    parts.append(count(tally.written, "row") + " written")
    if tally.quarantined:
        parts.append(f"{tally.quarantined:,} quarantined")
    if tally.dropped:
        parts.append(f"{tally.dropped:,} dropped")
    return ": " + ", ".join(parts)
