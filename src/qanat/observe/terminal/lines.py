"""An update as plain lines, for logs of builds and dumb terminals."""

from __future__ import annotations

from threading import Lock
from typing import TextIO

from qanat.model.event import DatasetEnded, DatasetStarted, Event
from qanat.observe.terminal.amounts import count, duration
from qanat.observe.terminal.characters import printable
from qanat.observe.terminal.remarks import remark
from qanat.observe.terminal.tally import Tallies, Tally


class LinesObserver:
    """Writes a line when a dataset starts, ends, recovers or retries.

    Nothing is written about unchanged datasets: the summary counts them. A stream whose reader
    has left is written to no more; the update goes on.

    Args:
        stream: text stream, flushed after every line.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._tallies = Tallies()
        self._lock = Lock()

    def on(self, event: Event) -> None:
        """Take an event."""
        tally = self._tallies.add(event)
        line = _line(event, tally)
        if line is not None:
            self._write(printable(line))

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
        case DatasetStarted():
            return f"{event.dataset}: started ({event.kind})"
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
