"""What keeps a project's datasets up to date until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from qanat.errors import QanatError, UpdateRunningError
from qanat.model.event import Warned
from qanat.model.staged import Counts, RuleCount
from qanat.ports.observer import Observer
from qanat.project.selecting import Names, selection
from qanat.project.shown import Update, shown
from qanat.project.stamps import Stamps, stamps_of
from qanat.project.upkeep import run_module
from qanat.run.results import DatasetResult, UpdateResult
from qanat.run.session import Session

_LOOK = 1.0
"""Seconds between two looks whether the project's files have changed."""
_FIRST_PAUSE = 1.0
"""Seconds before another update begins where one could not go on; doubled each time."""
_LONGEST_PAUSE = 60.0
_LASTED = 60.0
"""An update that ran for so many seconds could go on: the next pause is the first again."""


class Continuous:
    """The part of an opened project that keeps its datasets up to date."""

    _stamped: Stamps | None

    @property
    def session(self) -> Session:
        """The opened project and its adapters as they are."""
        raise NotImplementedError

    def _current(self) -> Session:
        raise NotImplementedError

    def _reopened(self) -> Session:
        raise NotImplementedError

    def _take_up(self, reopened: Session) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close what was opened."""
        raise NotImplementedError

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

        >>> import threading
        >>> stop = threading.Event()
        >>> threading.Timer(0.5, stop.set).start()
        >>> project.run_continuously(stop=stop).status
        'succeeded'
        """
        asked, stop = selection(select), stop or threading.Event()
        watch = _Watch(self, reload or threading.Event(), observers)
        self._current()
        module, sum_, began, pause = run_module("continuous"), _Sum(), False, _FIRST_PAUSE
        ending = module.Ending(stop, patience, watch.changed)
        while True:
            started = time.monotonic()
            try:
                done = module.keep_updating(self.session, asked, ending, observers, wait)
                sum_.add(done)
                began, resting = True, not (stop.is_set() or watch.found)
            except UpdateRunningError:
                raise
            except QanatError as error:
                if not began:
                    raise
                text = f"{error.message}; trying again in {pause:g} s"
                _tell(observers, Warned(None, text))
                # Connections may be broken: open them anew.
                self.close()
                resting = True
            if stop.is_set():
                return shown(Update, sum_.result)
            lasted = time.monotonic() - started
            if lasted >= _LASTED:
                pause = _FIRST_PAUSE
            elif resting:
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            watch.take_up()


class _Watch:
    """Looks whether the files of a project declare something else by now."""

    def __init__(
        self, project: Continuous, reload: threading.Event, observers: Sequence[Observer]
    ) -> None:
        self._project = project
        self._reload = reload
        self._observers = observers
        self._looked = time.monotonic()
        self._stamps = stamps_of(project.session)
        self.found = False
        """True once they do; `take_up` has the project go on with that."""
        self._next: Session | None = None

    def changed(self) -> bool:
        """True if there is something else to go on with, which is not wrong."""
        if self.found or not (self._due() or self._reload.is_set()):
            return self.found
        stamps = stamps_of(self._project.session)
        if stamps is None or (stamps == self._stamps and not self._reload.is_set()):
            return False
        self._reload.clear()
        self._stamps = stamps
        with self._telling():
            reopened = self._project._reopened()
            reopened.require()
            self._next, self.found = reopened, True
        return self.found

    def take_up(self) -> None:
        """Let the project go on with what its files declare now."""
        if self._next is not None:
            self._project._take_up(self._next)
            _tell(self._observers, Warned(None, "the project has changed and was read again"))
        self._next, self.found = None, False

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
            text = f"the project has changed and is wrong: {error.message}"
            _tell(self._observers, Warned(None, f"{text}; it goes on as it was"))


class _Sum:
    """The results of several updates as those of one."""

    def __init__(self) -> None:
        self._last: UpdateResult | None = None
        self._seconds = 0.0
        self._recovered: list[object] = []
        self._datasets: dict[str, DatasetResult] = {}

    def add(self, result: UpdateResult) -> None:
        """Add one more, which came later."""
        self._last = result
        self._seconds += result.seconds
        for each in result.datasets:
            before = self._datasets.get(each.dataset)
            self._datasets[each.dataset] = each if before is None else _both(before, each)

    @property
    def result(self) -> UpdateResult:
        """All of them; where a dataset stands is what the last one says."""
        last = self._last or UpdateResult("", "succeeded", 0.0, ())
        now = [self._datasets[d.dataset] for d in last.datasets]
        return replace(last, seconds=self._seconds, datasets=tuple(now))


def _both(first: DatasetResult, second: DatasetResult) -> DatasetResult:
    rules: dict[tuple[str, str, str], int] = {}
    for rule in (*first.rules, *second.rules):
        key = (rule.dataset, rule.rule, rule.action)
        rules[key] = rules.get(key, 0) + rule.violations
    updated = second.status == "unchanged" and first.epochs
    return replace(
        second,
        status="updated" if updated else second.status,
        reason=first.reason if updated else second.reason,
        counts=sum((first.counts, second.counts), Counts()),
        rules=tuple(RuleCount(*key, number) for key, number in rules.items()),
        files=first.files + second.files,
        seconds=first.seconds + second.seconds,
        version=second.version or first.version,
        read=(first.read or 0) + (second.read or 0),
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
        epochs=first.epochs + second.epochs,
    )


def _tell(observers: Sequence[Observer], event: Warned) -> None:
    for observer in observers:
        observer.on(event)
