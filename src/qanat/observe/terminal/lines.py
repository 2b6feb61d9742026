"""An update as plain lines, for logs of builds and dumb terminals; what its events add up to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TextIO

from qanat.model.event import (
    DatasetEnded,
    DatasetPaused,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    Event,
    LeaseAwaited,
    ProjectRead,
    Recovered,
    Retried,
    TableChecked,
    UpdateStarted,
    Warned,
)
from qanat.model.staged import RuleCount
from qanat.text import count, duration, printable, work_of


def remark(event: Event) -> str | None:
    """The line for a wait, a warning, a pause, a retry or a recovery; None for all other events.

    >>> remark(Warned("silver", "the clock was set back"))
    'silver: warning: the clock was set back'
    """
    match event:
        case LeaseAwaited(holder, host, pid, datasets, since, endless):
            text = f"waiting for {work_of(holder, host, pid, since, datasets)}"
            text += "; it runs continuously, until it is stopped" if endless else ""
        case DatasetPaused(dataset, reason):
            text = f"{dataset}: paused: {reason}"
        case TableChecked(dataset, rules):
            text = f"{dataset}: {'; '.join(map(_checked, rules))}"
        case Recovered(dataset, flow, epoch, how):
            text = f"{dataset}: recovered epoch {epoch} of {flow}: {how}"
        case Retried(dataset, attempt, error, wait_seconds):
            wait = duration(wait_seconds)
            text = f"{dataset}: attempt {attempt} failed, trying again in {wait}: {error}"
        case ProjectRead():
            text = "the project has changed and was read again"
        case Warned(None, message):
            text = f"warning: {message}"
        case Warned(dataset, message):
            text = f"{dataset}: warning: {message}"
        case _:
            return None
    return printable(text)


def _checked(rule: RuleCount) -> str:
    return f"{rule.rule} is {'violated' if rule.broken else 'kept again'}: {rule.value}"


@dataclass(slots=True)
class Tally:
    """One dataset, added up over its epochs; `began` and `seconds` are of a monotonic clock.

    `status` is `waiting` or `running`, then what the update says at its end.
    """

    dataset: str
    kind: str = ""
    status: str = "waiting"
    message: str = ""
    fraction: float | None = None
    epochs: int = 0
    files: int = 0
    out: int = 0
    written: int = 0
    quarantined: int = 0
    dropped: int = 0
    effects: dict[str, int] = field(default_factory=dict)
    began: float = 0.0
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """True if the update is done with it."""
        return self.status not in ("waiting", "running")


@dataclass(slots=True)
class Tallies:
    """All datasets of an update, fed by events that may come from several threads."""

    _by_name: dict[str, Tally] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def add(self, event: Event) -> Tally | None:
        """Take an event in; returns the tally of the dataset it is about, if any."""
        with self._lock:
            match event:
                case UpdateStarted():
                    for name in event.datasets:
                        self._by_name.setdefault(name, Tally(name))
                case DatasetStarted():
                    tally = self._of(event.dataset)
                    tally.kind, tally.status = event.kind, "running"
                    tally.began = time.monotonic()
                    return tally
                case DatasetProgress():
                    tally = self._of(event.dataset)
                    tally.message, tally.fraction = event.message, event.fraction
                    return tally
                case EpochCommitted():
                    tally = self._of(event.dataset)
                    counts = event.counts
                    tally.epochs += 1
                    tally.files += event.files_read
                    tally.out += counts.out + counts.malformed
                    tally.written += counts.written
                    tally.quarantined += counts.set_aside
                    tally.dropped += counts.dropped
                    for name, number in counts.effects.items():
                        tally.effects[name] = tally.effects.get(name, 0) + number
                    return tally
                case DatasetEnded():
                    tally = self._of(event.dataset)
                    tally.status, tally.message = event.status, event.reason
                    tally.seconds, tally.fraction = event.seconds, None
                    return tally
            return None

    def _of(self, dataset: str) -> Tally:
        return self._by_name.setdefault(dataset, Tally(dataset))

    def snapshot(self) -> list[Tally]:
        """The tallies in the order the update takes the datasets."""
        with self._lock:
            return list(self._by_name.values())


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
            took = duration(event.seconds)
            # No epoch has read or written anything: maintenance, whose reason says what it did.
            what = _rows(tally) if tally and tally.epochs else printable(event.reason)
            return f"{event.dataset}: updated in {took}" + (f": {what}" if what else "")
        case DatasetEnded(status="failed" | "skipped"):
            return f"{event.dataset}: {event.status}: {event.reason}"
    return remark(event)


def _rows(tally: Tally) -> str:
    parts = [count(tally.files, "file") + " read"] if tally.files else []
    parts.append(count(tally.written, "row") + " written")
    if tally.quarantined:
        parts.append(f"{tally.quarantined:,} quarantined")
    if tally.dropped:
        parts.append(f"{tally.dropped:,} dropped")
    parts += (f"{number:,} {name}" for name, number in tally.effects.items())
    return ", ".join(parts)
