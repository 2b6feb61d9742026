"""An update's line in the ledger, written once something is to be written."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from qanat.model.record import UpdateRecord, UpdateStatus
from qanat.run.workspace import Workspace


@dataclass(slots=True)
class Entry:
    """The line of one update; an update that finds nothing to do leaves none.

    Args:
        id: identifier of the update.
        command: as the history shows it.
    """

    ws: Workspace
    id: str
    command: str = "run"
    begun: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Write it, unless it is there."""
        with self._lock:
            if not self.begun:
                environment = self.ws.project.environment
                record = UpdateRecord(self.id, environment, self.command, time.time())
                self.ws.ledger.begin_update(record)
                self.begun = True

    def end(self, status: UpdateStatus) -> None:
        """Write how the update ended."""
        if self.begun:
            self.ws.ledger.end_update(self.id, status)
