"""What an update is known by: its identifier, its observers, its line in the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex

from qanat.errors import LeaseLostError
from qanat.model.event import Event, UpdateEnded
from qanat.model.record import UpdateRecord, UpdateStatus
from qanat.ports.observer import Observer
from qanat.run.diary import Diary
from qanat.run.gate import Gate
from qanat.run.pulse import Pulse
from qanat.run.session import Session


def new_id() -> str:
    """An identifier for an update: sorted as text, updates are sorted by their start (UTC)."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S-") + token_hex(3)


def telling(observers: Sequence[Observer]) -> Callable[[Event], None]:
    """What hands an event to all observers."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer.on(event)

    return tell


@dataclass(slots=True)
class Entry:
    """The line of one update; an update that finds nothing to do leaves none.

    Args:
        id: identifier of the update.
        gate: opened when the line is written, closed when it ends.
        command: as the history shows it.

    Attributes:
        diary: the observer that keeps what the update tells.
    """

    session: Session
    id: str
    gate: Gate
    command: str = "run"
    begun: bool = False
    diary: Diary = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pulse: Pulse = field(init=False)

    def __post_init__(self) -> None:
        self._pulse = Pulse(self.session.scratches, self.id)
        self.diary = Diary(self.session.ledger, self.id)

    def begin(self) -> None:
        """Write it, unless it is there."""
        with self._lock:
            if not self.begun:
                # First: who is said to run and has no pulse must be dead.
                self._pulse.start()
                self.gate.open()
                environment = self.session.project.environment
                record = UpdateRecord(self.id, environment, self.command, time.time())
                self.session.ledger.begin_update(record, self.gate.lease.current)
                self.begun = True
                self.diary.begin()

    def end(self, ended: UpdateEnded, error: str | None = None) -> None:
        """Write how the update ended, and what stopped it; tell observers of it after that."""
        status = UpdateStatus(ended.status)
        self.diary.end(ended)
        try:
            if self.begun:
                # First: who dies in between is looked for, since its update is said to run.
                self.gate.close()
                # Who has taken over ends what lost its lease, once it has nothing left to remove.
                with suppress(LeaseLostError):
                    self.session.ledger.end_update(self.id, status, self.gate.lease.current, error)
        finally:
            self._pulse.stop()
