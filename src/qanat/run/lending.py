"""How a continuous update lets others work on its datasets for a while.

It holds the lease of its datasets for as long as it runs, so that a replay, a task of an
orchestrator or a full refresh would never get their turn. Who waits for it asks for what it needs
(`qanat.ports.requests`). The continuous update then begins nothing more with these datasets, gives
them back between two epochs, and takes them again once nobody asks for them or works on them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from qanat.errors import UpdateRunningError
from qanat.model.event import DatasetProgress
from qanat.model.name import Names
from qanat.run.agenda import Agenda
from qanat.run.attempt import RunningUpdate

_LOOK = 0.25
"""Seconds between two looks whether somebody asks, or is done."""


@dataclass(slots=True)
class Lending:
    """What a continuous update has given to others for a while.

    Args:
        running: the update.
        names: its datasets.
        agenda: when they are looked at.
    """

    running: RunningUpdate
    names: Sequence[str]
    agenda: Agenda
    _held: Names = field(default_factory=Names)
    """Of which no look begins; those among them that are `_given` are others' to work on."""
    _given: Names = field(default_factory=Names)
    _looked: float = -math.inf

    def look(self) -> Names:
        """Give what is asked for, and take back what is no longer needed.

        Returns:
            What others may have changed meanwhile.
        """
        if (now := time.monotonic()) - self._looked < _LOOK:
            return Names()
        self._looked = now
        asked = self._asked()
        self._hold(Names(n for n in asked if n not in self._held))
        at_work = Names(self.agenda.running)
        free = [n for n in self._held if n not in self._given and n not in at_work]
        if free:
            self.running.lease.give(free, self.names)
            self._given = Names((*self._given, *free))
            for name in free:
                self._tell(name, "another update works on it")
        return self._taken_back(Names(n for n in self._given if n not in asked))

    @property
    def waits(self) -> bool:
        """True if something is held that is still being worked on."""
        return any(n not in self._given for n in self._held)

    def _asked(self) -> Names:
        requests = self.running.session.ledger.requests()
        return Names(n for n in self.names if any(r is None or n in r for r in requests))

    def _hold(self, names: Names) -> None:
        self.agenda.hold(names)
        self._held = Names((*self._held, *names))

    def _taken_back(self, names: Names) -> Names:
        if not names:
            return names
        lease = self.running.lease
        try:
            lease.extend(names, free_only=True)
        except UpdateRunningError:
            return Names()
        back = Names(n for n in names if lease.covers(n))
        self._held = Names(n for n in self._held if n not in back)
        self._given = Names(n for n in self._given if n not in back)
        for name in back:
            self._tell(name, "waiting for news")
        return back

    def _tell(self, name: str, what: str) -> None:
        self.running.tell(DatasetProgress(name, what))
