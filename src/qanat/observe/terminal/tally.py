"""What the events of an update say about each dataset so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock

from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    Event,
    UpdateStarted,
)


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
    files: int = 0
    out: int = 0
    written: int = 0
    quarantined: int = 0
    dropped: int = 0
    began: float = 0.0
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether the update is done with it."""
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
                    tally.files += event.files_read
                    tally.out += counts.out + counts.malformed
                    tally.written += counts.written
                    tally.quarantined += counts.quarantined + counts.malformed
                    tally.dropped += counts.dropped
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
