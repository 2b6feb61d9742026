"""A continuous update: a live table of rates on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event as Flag, Lock
from typing import Literal, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    Event,
    Retried,
    UpdateStarted,
)
from qanat.observe.terminal.lines import remark
from qanat.observe.terminal.progress import redrawn
from qanat.text import count, duration, printable

WINDOW = 60.0
"""Seconds over which rates and shares are taken."""
_WIDE = 100
"""Columns of a terminal that has room for how long epochs take, and what a dataset just does."""
EVERY = 10.0
"""Seconds between two lines about a dataset."""


@dataclass(slots=True)
class Flowing:
    """One dataset as it stands; times are of a monotonic clock.

    Args:
        recent: epochs of the last `WINDOW` seconds: when, rows out of the query, rows quarantined.
        seconds: that the last epoch took.
        state: a few words.
        paused: True while no update works on it until it is resumed.
    """

    dataset: str
    recent: deque[tuple[float, int, int]] = field(default_factory=deque)
    began: float = 0.0
    epochs: int = 0
    written: int = 0
    quarantined: int = 0
    dropped: int = 0
    seconds: float | None = None
    last: float | None = None
    state: str = "waiting"
    failed: bool = False
    paused: bool = False

    def rate(self, now: float) -> float:
        """Rows a second, over the last `WINDOW` seconds or since it began."""
        self._forget(now)
        lasted = min(WINDOW, max(now - self.began, 1.0))
        return sum(rows for _, rows, _ in self.recent) / lasted

    def share(self, now: float) -> float | None:
        """Which part of the rows of the last `WINDOW` seconds went to quarantine."""
        self._forget(now)
        rows = sum(rows for _, rows, _ in self.recent)
        return sum(bad for *_, bad in self.recent) / rows if rows else None

    def _forget(self, now: float) -> None:
        while self.recent and self.recent[0][0] < now - WINDOW:
            self.recent.popleft()


class Flows:
    """All datasets of a continuous update, fed by events that may come from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._by_name: dict[str, Flowing] = {}
        self._lock = Lock()

    def add(self, event: Event) -> Flowing | None:
        """Take an event in; returns the dataset that it is about, if any."""
        with self._lock:
            match event:
                case UpdateStarted():
                    for name in event.datasets:
                        self._of(name)
                    return None
                case DatasetStarted():
                    flowing = self._of(event.dataset)
                    flowing.state, flowing.failed = "waiting for news", False
                case DatasetProgress():
                    flowing = self._of(event.dataset)
                    flowing.state, flowing.paused = event.message, event.paused
                case EpochCommitted():
                    flowing = self._of(event.dataset)
                    self._committed(flowing, event)
                case DatasetEnded(status="failed"):
                    flowing = self._of(event.dataset)
                    flowing.failed, flowing.state = True, event.reason
                case Retried():
                    flowing = self._of(event.dataset)
                    again = duration(event.wait_seconds)
                    flowing.state = f"trying again in {again}: {event.error}"
                case _:
                    return None
            return flowing

    def _committed(self, flowing: Flowing, event: EpochCommitted) -> None:
        counts, now = event.counts, self.clock()
        rows = counts.out + counts.malformed
        flowing.recent.append((now, rows, counts.set_aside))
        flowing.epochs += 1
        flowing.written += counts.written
        flowing.quarantined += counts.set_aside
        flowing.dropped += counts.dropped
        flowing.seconds, flowing.last, flowing.failed = event.seconds, now, False

    def _of(self, dataset: str) -> Flowing:
        found = self._by_name.get(dataset)
        if found is None:
            found = self._by_name[dataset] = Flowing(dataset, began=self.clock())
        return found

    def snapshot(self) -> list[Flowing]:
        """The datasets in the order in which the update takes them."""
        with self._lock:
            return list(self._by_name.values())


class ContinuousLines:
    """Writes, every ten seconds at most, a line about each dataset that had epochs.

    Failures, retries, warnings and recoveries are written at once. A stream whose reader has left
    is written to no more; the update goes on.

    Args:
        stream: text stream, flushed after every line.
        clock: seconds that only go forward.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream: TextIO | None = stream
        self._flows = Flows(clock)
        self._told: dict[str, tuple[float, Flowing]] = {}
        self._lock = Lock()

    def on(self, event: Event) -> None:
        """Take an event."""
        flowing = self._flows.add(event)
        with self._lock:
            if (line := remark(event)) is not None:
                self._write(line)
            if isinstance(event, DatasetEnded) and event.status == "failed":
                self._write(f"{event.dataset}: failed: {event.reason}")
            elif isinstance(event, DatasetEnded) and flowing is None:
                self._news(event.dataset, at_once=True)
            elif flowing is not None:
                self._news(flowing.dataset)

    def _news(self, dataset: str, at_once: bool = False) -> None:
        now = self._flows.clock()
        flowing = next((f for f in self._flows.snapshot() if f.dataset == dataset), None)
        if flowing is None:
            return
        at, before = self._told.get(dataset, (flowing.began - EVERY, Flowing(dataset)))
        epochs = flowing.epochs - before.epochs
        if not epochs or not (at_once or now - at >= EVERY):
            return
        parts = [count(flowing.written - before.written, "row") + " written"]
        if bad := flowing.quarantined - before.quarantined:
            parts.append(f"{bad:,} quarantined")
        if dropped := flowing.dropped - before.dropped:
            parts.append(f"{dropped:,} dropped")
        self._write(f"{dataset}: {count(epochs, 'epoch')}, {', '.join(parts)}")
        told = Flowing(dataset, epochs=flowing.epochs, written=flowing.written)
        told.quarantined, told.dropped = flowing.quarantined, flowing.dropped
        self._told[dataset] = (now, told)

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(printable(line) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            self._stream = None
        except OSError:
            pass  # A full disk, maybe, which has room again later: the update goes on.


class ContinuousView:
    """Shows a live table of rates; use it as a context manager around the update.

    If the terminal is closed meanwhile, nothing is shown any more.

    Args:
        stream: the terminal.
        colour: False for a terminal whose user asked for no colours.
        stop: set once the update has been told to stop; the view then says so.
    """

    def __init__(self, stream: TextIO, *, colour: bool = True, stop: Flag | None = None) -> None:
        self._flows = Flows()
        self._stop = stop or Flag()
        self._began = self._flows.clock()
        # Rich's own `no_color` leaves bold and dim.
        system: Literal["auto"] | None = "auto" if colour else None
        self._console = Console(file=stream, color_system=system, highlight=False)
        self._live = redrawn(self._console, self.render, 4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._live.stop()

    def on(self, event: Event) -> None:
        """Take an event."""
        self._flows.add(event)
        # A retry stands in the table until it works again.
        if not isinstance(event, Retried) and (line := remark(event)) is not None:
            with suppress(OSError):
                self._console.print(Text(line, style="yellow"))

    def render(self) -> RenderableType:
        """The table as it is now."""
        now, flows = self._flows.clock(), self._flows.snapshot()
        height = max(3, self._console.height - 5)
        # What stands still is shown in any case, then what had news last.
        ranked = sorted(flows, key=lambda f: (not (f.failed or f.paused), -(f.last or 0.0)))
        ranked = ranked[:height]
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("", min_width=1)
        table.add_column("Dataset", no_wrap=True)
        wide = self._console.width >= _WIDE
        numbers = ("Rows/s", "Written", "Quarantined", "Newest", "Epoch took", "Epochs")
        for header in numbers if wide else numbers[:4]:
            table.add_column(header, justify="right", no_wrap=True)
        if wide:
            table.add_column("")
        shown = [f for f in flows if f in ranked]
        for flowing in shown:
            cells = self._row(flowing, now)
            table.add_row(*(cells if wide else cells[:6]))
        hidden = f", {len(flows) - len(ranked)} not shown" if len(flows) > len(ranked) else ""
        text = f"{count(len(flows), 'dataset')}{hidden}, for {duration(now - self._began)};"
        ending = "stopping: what has begun is published; Ctrl-C again ends it at once"
        caption = f"{text} {ending if self._stop.is_set() else 'Ctrl-C stops'}"
        table.caption = Text(caption, style="dim")
        table.caption_justify = "left"
        # Below the table: there an error has the whole width.
        still = [f for f in shown if f.failed or f.paused]
        return Group(table, *(Text(printable(_why(f)), style=_mark(f)[1]) for f in still))

    def _row(self, flowing: Flowing, now: float) -> list[RenderableType]:
        sign, style = _mark(flowing)
        share = flowing.share(now)
        bad = f"{flowing.quarantined:,}" if flowing.quarantined else ""
        if share:
            bad += f" ({share:.1%})"
        since = "" if flowing.last is None else f"{duration(now - flowing.last)} ago"
        state = "" if flowing.failed or flowing.paused else printable(flowing.state)
        return [
            Text(sign, style=style),
            Text(printable(flowing.dataset)),
            f"{flowing.rate(now):,.0f}" if flowing.recent else "",
            f"{flowing.written:,}" if flowing.written else "",
            bad,
            since,
            "" if flowing.seconds is None else duration(flowing.seconds),
            f"{flowing.epochs:,}" if flowing.epochs else "",
            Text(state, style="dim", no_wrap=True, overflow="ellipsis"),
        ]


def _mark(flowing: Flowing) -> tuple[str, str]:
    """The sign in front of a dataset, and its style."""
    if flowing.failed:
        return "✗", "bold red"
    if flowing.paused:
        return "‖", "yellow"
    return ("●", "green") if flowing.epochs else ("·", "dim")


def _why(flowing: Flowing) -> str:
    """Why a dataset stands still."""
    return f"{_mark(flowing)[0]} {flowing.dataset}: {flowing.state}"
