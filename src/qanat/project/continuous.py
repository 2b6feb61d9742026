"""What keeps a project's datasets up to date until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from qanat.errors import LedgerLostError, QanatError, UpdateRunningError
from qanat.model.event import Event, ProjectRead, UpdateStarted, Warned
from qanat.ports.observer import Observer
from qanat.project.followed import Followed
from qanat.project.pages import keep_page
from qanat.project.selecting import Names, selection
from qanat.project.shown import Update, shown
from qanat.project.stamps import Stamps, stamps_of
from qanat.project.upkeep import run_module
from qanat.run.session import Session

_LOOK = 1.0
"""Seconds between two looks whether the project's files have changed."""
_FIRST_PAUSE = 1.0
"""Seconds before another update begins where one could not go on; doubled each time."""
_LONGEST_PAUSE = 60.0
_LASTED = 60.0
"""An update that ran for so many seconds could go on: the next pause is the first again."""


class Continuous(Followed):
    """The part of an opened project that keeps its datasets up to date."""

    def run_continuously(
        self,
        select: Names = (),
        *,
        stop: threading.Event | None = None,
        reload: threading.Event | None = None,
        patience: float = 30.0,
        wait: float | bool = True,
        observers: Sequence[Observer] = (),
    ) -> Update:
        """Keep datasets up to date: each takes what its sources have as soon as it is there.

        A dataset that fails is tried again, at longer and longer intervals, while the others go
        on. What concerns all of them (a ledger that does not answer, a full disk) is tried again,
        too. When the project's files change, the new declarations count from the next epoch on; if
        they are wrong, the former ones go on.

        Args:
            select: only these; default: all.
            stop: set it, from another thread or a signal handler, to stop: epochs that have begun
                are published, no other begins, and this function returns.
            reload: set it to read the project's files again even if they seem unchanged.
            patience: seconds that epochs may take to end once `stop` is set.
            wait: seconds to wait for other updates of these datasets; True: as long as it takes,
                as a second process does that stands by for the first one.
            observers: get every event as it happens.

        Returns:
            All that was done, as one update would tell it. `failed` has the datasets that failed
            when it stopped.

        Raises:
            ProblemsError: the declarations are wrong; nothing was run.
            SelectionError: a name matches nothing.
            UpdateRunningError: another update works on one of the datasets.
            LedgerLostError: the file of the ledger was removed meanwhile.

        >>> import threading
        >>> stop = threading.Event()
        >>> threading.Timer(0.5, stop.set).start()
        >>> project.run_continuously(stop=stop).status
        'succeeded'
        """
        asked, stop = selection(select), stop or threading.Event()
        self._current()
        reload = reload or threading.Event()
        watch = Watch(lambda: stamps_of(self.session), self._reopened, reload, observers)
        module, begun, pause = run_module("continuous"), _Begun(), _FIRST_PAUSE
        ending, totals = module.Ending(stop, patience, watch.changed), dict[str, Any]()
        first = time.monotonic()
        while True:
            started = time.monotonic()
            try:
                told = (*observers, begun)
                done = module.keep_updating(self.session, asked, ending, totals, told, wait)
                if stop.is_set():
                    keep_page(self.session, done.id, observers)
                    return shown(Update, replace(done, seconds=time.monotonic() - first))
            except (UpdateRunningError, LedgerLostError):
                # Without its ledger, an update would read everything again, maybe into a folder
                # whose disk is not mounted: that is for people to decide.
                raise
            except QanatError as error:
                if stop.is_set() or not begun.seen:
                    raise
                text = f"{error.message}; trying again in {pause:g} s"
                _tell(observers, Warned(None, text))
                # Connections may be broken: open them anew.
                self.close()
            lasted = time.monotonic() - started
            if lasted >= _LASTED:
                pause = _FIRST_PAUSE
            elif not watch.found:
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            if (reopened := watch.taken()) is not None:
                self._take_up(reopened)


class _Begun:
    """An observer that knows whether an update has ever begun: then its declarations are right."""

    seen = False

    def on(self, event: Event) -> None:
        """Take an event."""
        self.seen = self.seen or isinstance(event, UpdateStarted)


class Watch:
    """Looks whether the files of a project declare something else by now."""

    def __init__(
        self,
        stamps: Callable[[], Stamps | None],
        reopened: Callable[[], Session],
        reload: threading.Event,
        observers: Sequence[Observer],
    ) -> None:
        self._stamps_now = stamps
        self._reopened = reopened
        self._reload = reload
        self._observers = observers
        self._looked = time.monotonic()
        self._stamps = stamps()
        self.found = False
        """True once they do, until `taken`."""
        self._next: Session | None = None

    def changed(self) -> bool:
        """True if there is something else to go on with, which is not wrong."""
        if self.found or not (self._due() or self._reload.is_set()):
            return self.found
        stamps = self._stamps_now()
        if stamps is None or (stamps == self._stamps and not self._reload.is_set()):
            return False
        self._reload.clear()
        self._stamps = stamps
        with self._telling():
            reopened = self._reopened()
            reopened.require()
            self._next, self.found = reopened, True
        return self.found

    def taken(self) -> Session | None:
        """What there is to go on with, once; None if there is nothing else."""
        found, self._next, self.found = self._next, None, False
        if found is not None:
            _tell(self._observers, ProjectRead())
        return found

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return False
        self._looked = now
        return True

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except QanatError as error:
            where = f" ({error.location})" if error.location else ""
            text = f"the project has changed and is wrong: {error.message}{where}"
            told = f"{text}; the former declarations go on, and `qanat validate` tells more"
            _tell(self._observers, Warned(None, told))


def _tell(observers: Sequence[Observer], event: Event) -> None:
    for observer in observers:
        observer.on(event)
