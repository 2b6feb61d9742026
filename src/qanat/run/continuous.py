"""A continuous update: the datasets are looked at again and again, as their sources have news.

It is the same update as any other (a lease, a line in the history, epochs on the same stages), one
that does not end by itself: `agenda` says when each dataset's turn comes. A dataset that fails is
tried again, while the others go on. From time to time the update ends and another begins, so that
the history stays readable, and what is left by a failure is recovered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from queue import Empty, SimpleQueue

from qanat.disk import explained
from qanat.errors import QanatError, UpdateRunningError
from qanat.frozen import Frozen
from qanat.model.event import DatasetEnded, DatasetProgress, DatasetStarted, Retried
from qanat.model.name import Names
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.record import CONTINUOUS, UpdateStatus
from qanat.ports.observer import Observer
from qanat.run.agenda import Agenda, Outcome
from qanat.run.attempt import RunningUpdate
from qanat.run.clocked import Clock
from qanat.run.dataset import Around, DatasetRun
from qanat.run.entries import entries_of
from qanat.run.entry import LedgerEntry, failure_of, open_update
from qanat.run.lending import Lending
from qanat.run.looks import Looks
from qanat.run.recovery import start_clean
from qanat.run.results import Chosen, DatasetResult, Selection, UpdateResult, choose_datasets
from qanat.run.session import Session
from qanat.run.silence import end_hour
from qanat.run.sums import Sums
from qanat.run.update import around_now, attempted, result_of
from qanat.run.watching import Watch

LEASE = 6.0
"""Seconds without a sign of life after which another process goes on in this one's place."""
_LONGEST = 3600.0
"""Seconds after which an update ends for another one to begin."""
_MOST = 5000
"""Epochs after which it does: the ledger keeps ten thousand events of an update."""
_STUCK = 60.0
"""Seconds after which it does where an epoch that a crash left open cannot be ended."""
_TICK = 0.2
"""Seconds between two looks whether it is to end."""


class Ending(Frozen):
    """What ends a continuous update.

    Args:
        stop: set to stop it: epochs that have begun come to their end first.
        patience: seconds that they may take; what is not published by then is given up.
        renewed: whether the project is declared otherwise by now, so that another is to begin.
    """

    stop: threading.Event
    patience: float = 30.0
    renewed: Callable[[], bool] = bool


@dataclass(slots=True)
class Totals:
    """One dataset, added up over all its turns."""

    dataset: Dataset = field(init=False)
    sums: Sums = field(default_factory=Sums)
    seconds: float = 0.0
    reason: str = "nothing new"
    error: QanatError | None = None
    paused: bool = False

    def add(self, run: DatasetRun, seconds: float, reason: str, error: QanatError | None) -> None:
        """Take in what one turn has done."""
        self.sums.add(*run.epochs)
        self.error, self.paused = error, run.paused
        if run.epochs or run.paused or error is not None:
            self.reason = reason
        self.seconds += seconds if run.epochs else 0.0

    @property
    def status(self) -> str:
        """How it stands."""
        return "failed" if self.error else "updated" if self.sums.epochs else "unchanged"

    @property
    def ended(self) -> DatasetEnded:
        """The last event about it."""
        failure = None if self.error is None else failure_of(self.error)
        name = self.dataset.name
        return DatasetEnded(name, self.status, self.reason, self.seconds, failure)

    def result(self, session: Session) -> DatasetResult:
        """All of it, as the result of one update."""
        told = (self.status, self.reason, self.seconds, self.error)
        return replace(result_of(session, self.dataset, self.sums, *told), paused=self.paused)


def keep_updating(
    session: Session,
    selection: Selection,
    ending: Ending,
    totals: dict[str, Totals],
    observers: Sequence[Observer] = (),
    wait: float | bool = True,
) -> UpdateResult:
    """Bring datasets up to date until something ends that.

    Args:
        selection: which ones; what it says of refreshes does not count.
        totals: what earlier updates have done, by dataset; what this one does is added.
        wait: seconds to wait for other updates of the same datasets; True: as long as it takes.

    Returns:
        How the datasets stand, with all that `totals` has.

    Raises:
        ProblemsError: the declarations are wrong; nothing was run.
        SelectionError: the selection names something that is not there.
        UpdateRunningError: another update works on one of the datasets.
        QanatError: what concerns all datasets, such as a ledger that does not answer.
    """
    session.require()
    asked, chosen = Selection(selection.select), list[Chosen]()

    def choose() -> Sequence[str]:
        chosen.append(choose_datasets(session, asked))
        return chosen[-1].datasets

    opening = open_update(
        session,
        choose,
        observers,
        command=CONTINUOUS,
        wait=wait,
        lasts=LEASE,
        stop=ending.stop,
    )
    with ExitStack() as frame:
        try:
            opened = frame.enter_context(opening)
        except UpdateRunningError:
            if not ending.stop.is_set():
                raise
            # It stood by for another one until it was stopped.
            results = tuple(totals[n].result(session) for n in chosen[-1].datasets if n in totals)
            return UpdateResult("", str(UpdateStatus.SUCCEEDED), 0.0, results)
        frame.enter_context(explained("use"))
        frame.enter_context(_impatient(opened.running, ending))
        entry = opened.entry
        running = replace(opened.running, goes_on=True, watch=Watch(goes_on=True))
        start_clean(running, entry.begin)
        for name in chosen[-1].datasets:
            totals.setdefault(name, Totals()).dataset = session.pipeline.dataset(name)
        clock = Clock(session.clocks)
        turns = _Turns(running, entry, chosen[-1], around_now(session), totals, clock)
        with session.readables.running(chosen[-1].datasets):
            _go_on(turns, ending)
        # Of one that failed nobody knows what would have come.
        names = (n for n in chosen[-1].datasets if n not in session.paused)
        steady = [n for n in names if totals[n].error is None]
        end_hour(running, entry.started, steady)
        results = tuple(totals[n].result(session) for n in chosen[-1].datasets)
        opened.failed = "; ".join(f"{r.dataset}: {r.reason}" for r in results if r.error) or None
    return UpdateResult(
        entry.id if entry.begun else "",
        str(opened.status),
        opened.seconds,
        results,
        tuple(running.recovered),
    )


class Turn(Frozen):
    """What one turn of a dataset came to."""

    dataset: str
    outcome: Outcome
    error: QanatError | None = None
    left_open: bool = False


@dataclass(slots=True)
class _Turns:
    """Gives datasets their turns, and adds up what they do. Several threads take turns at once."""

    running: RunningUpdate
    entry: LedgerEntry
    chosen: Chosen
    around: Around
    totals: dict[str, Totals]
    clock: Clock
    epochs: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str, running: RunningUpdate) -> Turn:
        """Bring one dataset up to date with what is there now."""
        session, started = running.session, time.monotonic()
        dataset = self.totals[name].dataset
        running = replace(running, at_ns=time.time_ns())
        if session.project.reads_from is not None or _foreign(session, name):
            session.look_again()
        session.look_at_pauses()
        run = DatasetRun(running, dataset, self.chosen, self.around, self.entry.begin)
        _, reason, error = attempted(run)
        if run.epochs:
            self.clock.took(running, dataset, run.epochs)
        elif not run.paused:
            self.clock.look(running, dataset, self.entry.begin)
        stale = self.clock.error(name) if error is None else None
        with self._lock:
            self.epochs += len(run.epochs)
            told = (reason, error) if stale is None else (stale.message, stale)
            self.totals[name].add(run, time.monotonic() - started, *told)
        if run.epochs:
            self._recorded(dataset)
            if session.store.maintains:
                # Loaded only where something was committed.
                maintain = import_module("qanat.run.upkeep").maintain_after
                maintain(running, self.entry, {name: len(run.epochs)})
        if error is not None:
            opened = Names(e.dataset for e in session.ledger.open_epochs())
            # What recovery could not end just now, it is not asked again for at once.
            left_open = name in opened and name not in self.running.stuck
            return Turn(name, Outcome.FAILED, error, left_open)
        if run.paused:
            return Turn(name, Outcome.PAUSED)
        return Turn(name, Outcome.NEWS if run.epochs else Outcome.NOTHING)

    def taken_back(self, names: Names) -> bool:
        """Know what others have done with datasets; whether they left something to recover."""
        session = self.running.session
        session.look_again(names)
        around = around_now(session)
        with self._lock:
            self.around = around
        opened = Names(e.dataset for e in session.ledger.open_epochs())
        return any(n in opened and n not in self.running.stuck for n in names)

    def end_those_begun(self) -> None:
        """Let turns that have begun end after their epoch, however much there is to take."""
        self.running.ending.set()
        self.running = replace(self.running, ending=threading.Event())

    def _recorded(self, dataset: Dataset) -> None:
        """Know what the ledger has been told of a dataset, if that is another definition now."""
        session = self.running.session
        known = self.around.definitions.get(dataset.name)
        fingerprint, _ = session.analysis.definitions[dataset.name]
        view = dataset.kind is DatasetKind.MATERIALIZED_VIEW
        if view or known is None or known.fingerprint != fingerprint:
            around = around_now(session)
            with self._lock:
                self.around = around


def _go_on(turns: _Turns, ending: Ending) -> None:
    """Give datasets their turns until the update is to end."""
    running = turns.running
    session, names = running.session, turns.chosen.datasets
    agenda = Agenda(entries_of(session, names))
    for name in names:
        running.tell(DatasetStarted(name, str(turns.totals[name].dataset.kind)))
    finished: SimpleQueue[Future[Turn]] = SimpleQueue()
    left_open, looks = False, Looks(running, names)
    lending = Lending(running, names, agenda)
    until = time.monotonic() + (_STUCK if running.stuck else _LONGEST)
    with ThreadPoolExecutor(session.threads, thread_name_prefix="qanat") as pool:
        try:
            while not (ending.stop.is_set() or agenda.ended):
                if not agenda.winding_down and (left_open or _ends(turns, ending, until)):
                    turns.end_those_begun()
                    agenda.wind_down()
                left_open |= _lend(turns, agenda, lending)
                looks.at_pauses()
                looks.at_silence()
                free = session.threads - len(agenda.running)
                for name in agenda.due()[: max(0, free)]:
                    agenda.start(name)
                    pool.submit(turns.take, name, turns.running).add_done_callback(finished.put)
                left = agenda.wait()
                turn = _next(finished, _TICK if left is None else min(left, _TICK))
                left_open |= turn is not None and _after(turns, agenda, looks, turn)
            turns.end_those_begun()
            while agenda.running:
                if (turn := _next(finished, _TICK)) is not None:
                    agenda.end(turn.dataset, turn.outcome)
            for name in names:
                running.tell(turns.totals[name].ended)
        except BaseException:
            running.stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            session.interrupt()
            raise


def _lend(turns: _Turns, agenda: Agenda, lending: Lending) -> bool:
    """Let others in, and take back what they are done with; whether they left it to recovery."""
    back = lending.look()
    left_open = bool(back) and turns.taken_back(back)
    agenda.let_go(back)
    if lending.waits:
        agenda.come_again()
        turns.end_those_begun()
    return left_open


def _next(finished: SimpleQueue[Future[Turn]], seconds: float) -> Turn | None:
    try:
        return finished.get(timeout=max(seconds, 0.001)).result()
    except Empty:
        return None


def _after(turns: _Turns, agenda: Agenda, looks: Looks, turn: Turn) -> bool:
    """Note what a turn came to; whether another update has to begin for it."""
    running, name = turns.running, turn.dataset
    failures = agenda.failures(name)
    wait = agenda.end(name, turn.outcome)
    agenda.no_later(name, turns.clock.wait(name))
    if turn.outcome is Outcome.NEWS:
        looks.came(name)
    if turn.error is None:
        if failures:
            running.tell(DatasetStarted(name, str(turns.totals[name].dataset.kind)))
        # Also one that had nothing to take.
        pause = running.session.paused.get(name)
        state = "waiting for news" if pause is None else str(pause)
        running.tell(DatasetProgress(name, state, paused=pause is not None))
        return False
    if not failures:
        failure = failure_of(turn.error)
        running.tell(DatasetEnded(name, "failed", turn.error.message, 0.0, failure))
    running.tell(Retried(name, failures + 1, turn.error.message, wait))
    # Only recovery, at the start of an update, can end an epoch that was left open.
    return turn.left_open


def _ends(turns: _Turns, ending: Ending, until: float) -> bool:
    """True if another update is to begin: this one winds down, see `Agenda.wind_down`."""
    return ending.renewed() or time.monotonic() > until or turns.epochs >= _MOST


@contextmanager
def _impatient(running: RunningUpdate, ending: Ending) -> Iterator[None]:
    """Stop what computes, recovery included, once it goes on for too long after the stop."""
    done = threading.Event()

    def watch() -> None:
        while not ending.stop.wait(_TICK):
            if done.is_set():
                return
        if done.wait(ending.patience):
            return
        running.stopping.set()
        while not done.wait(_TICK):
            running.session.interrupt()

    thread = threading.Thread(target=watch, daemon=True, name="qanat-patience")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _foreign(session: Session, name: str) -> bool:
    """True if a flow reads a table that others write to."""
    flows = session.analysis.flows_into(name)
    refs = (r.source for f in flows for r in f.reads)
    return any(session.source(ref).neighbour(ref) is not None for ref in refs)
