"""Which datasets of a continuous update are to be looked at, and when.

A dataset that reads other datasets of the update is looked at when one of these has new rows. One
that reads from outside is asked again and again: at once after there was something, then at longer
and longer intervals. One that fails waits, longer each time. Nothing here does anything: it is a
timetable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from qanat.frozen import Frozen

_FIRST_LOOK = 0.01
"""Seconds to the second look at sources that had nothing; each wait is twice as long as before."""
_LONGEST_LOOK = 1.0
_SHARE = 10
"""All looks that find nothing may take one part in so many of one core."""
_FIRST_RETRY = 1.0
"""Seconds before a dataset that failed is tried again; doubled each time."""
_LONGEST_RETRY = 60.0
_SHORT = 1.0
"""Seconds that a look may last for which the end of an update is put off."""
_REST = 5
"""A dataset that is computed as a whole rests for so many times as long as it took."""


class Outcome(StrEnum):
    """What came of a look at a dataset."""

    NEWS = "news"
    NOTHING = "nothing"
    PAUSED = "paused"
    """It stands still until it is told to go on, which has to be asked."""
    FAILED = "failed"


class Entry(Frozen):
    """What the timetable has to know of one dataset.

    Args:
        reads: the datasets of the same update that it reads, through views too.
        asks: whether it reads anything from outside the update, which has to be asked.
        whole: whether each epoch computes all of it again.
        interval: seconds that its author wants between the starts of two epochs.
    """

    reads: tuple[str, ...] = ()
    asks: bool = False
    whole: bool = False
    interval: float = 0.0


@dataclass(slots=True)
class _State:
    """One dataset: `due` is None while only news from another dataset makes it due."""

    due: float | None
    started: float | None = None
    earliest: float = 0.0
    alive: bool = False
    woken: bool = False
    held: bool = False
    failures: int = 0
    retry: float = _FIRST_RETRY
    pause: float = _FIRST_LOOK
    cost: float = 0.0
    took: float = 0.0


@dataclass(slots=True)
class Agenda:
    """The timetable of a continuous update; all times are seconds of `clock`.

    Args:
        entries: by dataset.
        clock: never goes back.

    >>> agenda = Agenda({"bronze": Entry(asks=True), "silver": Entry(("bronze",))}, lambda: 0.0)
    >>> agenda.due()
    ['bronze']
    >>> agenda.start("bronze")
    >>> agenda.end("bronze", Outcome.NEWS)
    0.0
    >>> agenda.due()
    ['bronze', 'silver']
    """

    entries: Mapping[str, Entry]
    clock: Callable[[], float] = time.monotonic
    _states: dict[str, _State] = field(init=False)
    _readers: dict[str, list[str]] = field(init=False)
    _last: set[str] | None = None
    """Once it winds down: what was being looked at then, and is still."""

    def __post_init__(self) -> None:
        now = self.clock()
        self._states = {name: _State(now) for name in self.entries}
        self._readers = {name: [] for name in self.entries}
        for name, entry in self.entries.items():
            for other in entry.reads:
                self._readers[other].append(name)

    @property
    def running(self) -> tuple[str, ...]:
        """The datasets that are being looked at."""
        return tuple(n for n, s in self._states.items() if s.started is not None)

    def failures(self, name: str) -> int:
        """How often a dataset has failed since it last did not."""
        return self._states[name].failures

    @property
    def winding_down(self) -> bool:
        """True once `wind_down` was called."""
        return self._last is not None

    @property
    def ended(self) -> bool:
        """True once it has been wound down, and nothing is being looked at any more."""
        return self._last is not None and not self.running

    def wind_down(self) -> None:
        """Come to an end once all that is being looked at now has ended.

        Until then the others have their turns, if those are short: they do not stand still for as
        long as the longest one takes, and the end does not wait for them.
        """
        if self._last is None:
            self._last = set(self.running)

    def hold(self, names: Iterable[str]) -> None:
        """Begin no look at some datasets until they are let go."""
        for name in names:
            self._states[name].held = True

    def let_go(self, names: Iterable[str]) -> None:
        """Look at datasets again that were held, and at what reads them: others may have news."""
        now = self.clock()
        for name in names:
            state = self._states[name]
            state.held, state.due = False, now
            self._wake(name, now)

    def come_again(self) -> None:
        """Look once more at what is being looked at: it may end before all is taken."""
        for name in self.running:
            self._states[name].woken = True

    def due(self) -> list[str]:
        """What is to be looked at now, the longest overdue first.

        A dataset comes only once all that it reads have come: before that, tables may be missing.
        """
        now = self.clock()
        found = [(at, n) for n, at in self._waiting() if at <= now]
        return [name for _, name in sorted(found, key=lambda each: each[0])]

    def wait(self) -> float | None:
        """Seconds until something is due; None if nothing will be but by news."""
        times = [at for _, at in self._waiting()]
        return max(0.0, min(times) - self.clock()) if times else None

    def start(self, name: str) -> None:
        """A look at a dataset begins."""
        state = self._states[name]
        state.started, state.due, state.woken = self.clock(), None, False

    def end(self, name: str, outcome: Outcome) -> float:
        """A look at a dataset has ended; seconds until the next one, 0 if news decide."""
        state, entry, now = self._states[name], self.entries[name], self.clock()
        started = now if state.started is None else state.started
        state.started, state.took = None, now - started
        if self._last is not None:
            self._last.discard(name)
        if outcome is Outcome.FAILED:
            wait = min(state.retry, _LONGEST_RETRY)
            state.failures, state.retry = state.failures + 1, 2 * wait
            # Others' news do not make it come earlier: they may be what it fails for.
            state.due = state.earliest = now + wait
            # It may have committed epochs before it failed; its next look would find nothing new.
            self._wake(name, now)
            return wait
        state.failures, state.retry, state.alive = 0, _FIRST_RETRY, True
        if outcome is Outcome.PAUSED:
            state.due = now + _LONGEST_LOOK
            return _LONGEST_LOOK
        if outcome is Outcome.NEWS:
            rest = _REST * (now - started) if entry.whole else 0.0
            state.earliest = max(started + entry.interval, now + rest)
            state.pause = _FIRST_LOOK
            state.due = state.earliest if entry.asks else None
            self._wake(name, now)
        else:
            state.cost = now - started
            state.due = now + self._pause(state) if entry.asks else None
        if state.woken:
            state.due = state.earliest
        return 0.0 if state.due is None else max(0.0, state.due - now)

    def no_later(self, name: str, seconds: float | None) -> None:
        """Look at a dataset again after so many seconds at the latest, whatever news decide.

        Args:
            seconds: None: there is nothing that it has to be looked at for.
        """
        state = self._states[name]
        if seconds is not None and not state.failures and state.started is None:
            at = self.clock() + seconds
            state.due = at if state.due is None else min(state.due, at)

    def _waiting(self) -> Iterator[tuple[str, float]]:
        for name, state in self._states.items():
            if state.due is not None and state.started is None and self._may_begin(state):
                reads = self.entries[name].reads
                if state.alive or all(self._states[r].alive for r in reads):
                    yield name, max(state.due, state.earliest)

    def _may_begin(self, state: _State) -> bool:
        if state.held:
            return False
        return self._last is None or (bool(self._last) and state.alive and state.took <= _SHORT)

    def _wake(self, name: str, now: float) -> None:
        for reader in self._readers[name]:
            state = self._states[reader]
            state.woken = True
            if state.started is None and not state.failures:
                state.due = now

    def _pause(self, state: _State) -> float:
        """How long to wait before sources are asked again that had nothing."""
        asking = sum(s.cost for n, s in self._states.items() if self.entries[n].asks)
        pause = state.pause
        state.pause = min(2 * pause, _LONGEST_LOOK)
        # Looks that find nothing cost what they cost, however many datasets there are.
        return max(pause, _SHARE * asking) if pause >= _LONGEST_LOOK else pause
