"""How a continuous update lets others work on its datasets for a while.

It holds the lease of its datasets for as long as it runs, so a replay, a task of an orchestrator
or a full refresh would never get their turn. A command that waits for it therefore writes into the
ledger which datasets it needs (`qanat.ports.requests`). A dataset then goes through three states:

- held: the continuous update starts no more epochs of it, and waits for the one that runs;
- given: it has left the lease, so the other command can take it;
- back: nobody asks for it or works on it any more, so it is in the lease again.
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
"""Seconds between two readings of the ledger's requests."""


@dataclass(slots=True)
class Lending:
    """Gives datasets of a continuous update to other commands, and takes them back.

    Args:
        running: the update.
        names: its datasets.
        agenda: when the turn of each comes; held datasets get none.
    """

    running: RunningUpdate
    names: Sequence[str]
    agenda: Agenda
    _held: Names = field(default_factory=Names)
    """Datasets of which no epoch starts, with those that are `_given`."""
    _given: Names = field(default_factory=Names)
    """Held datasets that are out of the lease: another command may work on them."""
    _looked: float = -math.inf

    def look(self) -> Names:
        """Give what is asked for, and take back what is no longer needed.

        Call it often: it reads the ledger once in a quarter of a second.

        Returns:
            The datasets taken back just now, which another command may have changed.
        """
        if (now := time.monotonic()) - self._looked < _LOOK:
            return Names()
        self._looked = now
        asked = self._asked()
        self._hold(Names(n for n in asked if n not in self._held))
        # An epoch that has begun ends first.
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
        """True if a dataset is held whose epoch has not ended yet."""
        return any(n not in self._given for n in self._held)

    def _asked(self) -> Names:
        """The datasets of this update that others ask for; a request of None asks for all."""
        requests = self.running.session.ledger.requests()
        return Names(n for n in self.names if any(r is None or n in r for r in requests))

    def _hold(self, names: Names) -> None:
        self.agenda.hold(names)
        self._held = Names((*self._held, *names))

    def _taken_back(self, names: Names) -> Names:
        """Those of some datasets that are in the lease again: no other command has them."""
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
