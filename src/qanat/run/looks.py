"""What a continuous update looks at now and then, beside the work of its datasets."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from qanat.model.event import DatasetProgress, Warned
from qanat.run.attempt import RunningUpdate
from qanat.run.silence import next_due, tell_of_silence
from qanat.text import duration

_PAUSES = 0.5
"""Seconds between two looks whether a dataset was paused, or told to go on."""
_SILENCE = 0.5
"""Seconds between two looks whether something should have come and has not, if one is due."""
_ANEW = 10.0
"""Seconds after which it is asked anew what is due: epochs of other updates count, too."""


@dataclass(slots=True)
class Looks:
    """Tells what people and sources have done, or have not, to the observers of an update.

    Args:
        running: the update.
        names: its datasets.
    """

    running: RunningUpdate
    names: Sequence[str]
    _paused: frozenset[str] = frozenset()
    _looked: float = -math.inf
    _due: float = math.inf
    _silent: dict[str, float] = field(default_factory=dict)
    """By dataset of which silence was told, when that was."""
    _listened: float = field(default_factory=time.monotonic)

    def at_pauses(self) -> None:
        """Look whether people have paused or resumed a dataset, at most every half second."""
        if (now := time.monotonic()) - self._looked < _PAUSES:
            return
        self._looked, session = now, self.running.session
        session.look_at_pauses()
        paused = frozenset(n for n in self.names if n in session.paused)
        for name in self.names:
            if name in paused - self._paused:
                self.running.tell(DatasetProgress(name, str(session.paused[name]), paused=True))
            elif name in self._paused - paused:
                self.running.tell(DatasetProgress(name, "waiting for news"))
        self._paused = paused

    def came(self, dataset: str) -> None:
        """Rows have come; tell of it where it was told that none did."""
        if (since := self._silent.pop(dataset, None)) is not None:
            ago = duration(time.monotonic() - since)
            self.running.tell(Warned(dataset, f"rows come again, {ago} after that was missed"))

    def at_silence(self) -> None:
        """Look whether nothing has come for too long: as soon as something is late."""
        waited = time.monotonic() - self._listened
        if waited < _SILENCE or (waited < _ANEW and time.time() < self._due):
            return
        paused = self.running.session.paused
        names = [n for n in self.names if n not in paused]
        now = time.monotonic()
        self._silent |= dict.fromkeys(tell_of_silence(self.running, names), now)
        self._due, self._listened = next_due(self.running.session, names), time.monotonic()
