"""One update: every selected dataset, each after what it reads, in parallel where it may be.

An update has an identifier, a record in the ledger (`LedgerEntry`) and events there (`Diary`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from secrets import token_hex
from threading import Lock

from qanat.disk import explained
from qanat.errors import LeaseLostError, QanatError, naming
from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    Event,
    EventRecord,
    Failure,
    LeaseAwaited,
    UpdateEnded,
    UpdateStarted,
    Warned,
)
from qanat.model.name import Names
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.record import Lease, UpdateRecord, UpdateStatus
from qanat.model.work import Counts
from qanat.ports.ledger import Ledger
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.dataset import Around, DatasetRun
from qanat.run.identity import past_sources
from qanat.run.lease import Gate, HeldLease, Patience, Pulse
from qanat.run.recovery import start_clean
from qanat.run.results import Chosen, DatasetResult, Selection, UpdateResult, choose_datasets
from qanat.run.session import Session

MOST = 10_000
"""Events kept of one update; beyond that only failures, and how the update ended."""


class Diary:
    """An observer that keeps the events of one update in the ledger.

    An update that finds nothing to do leaves no trace, so events wait here until the update is
    recorded. `DatasetProgress` is shown while it happens, and not kept.

    Args:
        update: its identifier.
        most: events to keep; failures come on top.
    """

    def __init__(self, ledger: Ledger, update: str, most: int = MOST) -> None:
        self._ledger = ledger
        self._update = update
        self._most = most
        self._waiting: list[EventRecord] = []
        self._number = 0
        self._left_out = 0
        self._recorded = False
        self._ended = False
        self._lock = Lock()

    def on(self, event: Event) -> None:
        """Take an event; after `end`, none is taken any more."""
        if isinstance(event, DatasetProgress):
            return
        with self._lock:
            if self._ended:
                return
            failed = isinstance(event, DatasetEnded) and event.failure is not None
            if self._number < self._most or failed:
                self._add(event)
            else:
                self._left_out += 1

    def begin(self) -> None:
        """The ledger knows of the update: hand over what has been told."""
        with self._lock:
            self._recorded = True
            self._hand_over()

    def end(self, event: UpdateEnded) -> None:
        """Take the last event, before the ledger records the end: both are written together."""
        with self._lock:
            if self._left_out:
                text = f"{self._left_out:,} more events were told; {self._most:,} are kept"
                self._add(Warned(None, text))
            self._add(event)
            self._ended = True

    def _add(self, event: Event) -> None:
        self._number += 1
        self._waiting.append(EventRecord(self._number, time.time(), event))
        if self._recorded:
            self._hand_over()

    def _hand_over(self) -> None:
        self._ledger.keep(self._update, self._waiting)
        self._waiting = []


def failure_of(error: QanatError) -> Failure:
    """What an event says of an error."""
    return Failure(**error.facts())


def new_id() -> str:
    """An identifier for an update: sorted as text, updates are sorted by their start (UTC)."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S-") + token_hex(3)


def telling(observers: Sequence[Observer]) -> Callable[[Event], None]:
    """What hands an event to all observers."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer.on(event)

    return tell


def leased(session: Session, datasets: Collection[str]) -> Names | None:
    """What a lease has to cover for an update of datasets; None for all that there are."""
    names = Names(datasets)
    kinds = DatasetKind.TEMPORARY_VIEW
    rest = (d for d in session.pipeline.datasets if d.kind is not kinds and d.name not in names)
    return None if next(rest, None) is None else names


def patience_of(wait: float | bool, tell: Callable[[Event], None]) -> Patience:
    """How long to wait for other updates: seconds, or True for as long as it takes."""

    def tell_of(other: Lease) -> None:
        tell(LeaseAwaited(other.holder, other.host, other.pid, tuple(other.datasets or ())))

    return Patience(math.inf if wait is True else float(wait), tell_of)


@dataclass(slots=True)
class LedgerEntry:
    """The line of one update; an update that finds nothing to do leaves none.

    Args:
        id: identifier of the update.
        gate: opened when the line is written, closed when it ends.
        diary: the observer that keeps what the update tells.
        datasets: what it is to work on.
        command: as the history shows it.
        started: when the update began, seconds since 1970 (UTC).

    """

    session: Session
    id: str
    gate: Gate
    diary: Diary
    datasets: Sequence[str]
    command: str = "run"
    started: float = field(default_factory=time.time)
    begun: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pulse: Pulse = field(init=False)

    def __post_init__(self) -> None:
        self._pulse = Pulse(self.session.scratches, self.id)

    def begin(self) -> None:
        """Record the update in the ledger, once."""
        with self._lock:
            if not self.begun:
                # Start the pulse before the ledger says "running": recovery takes an update that
                # runs without a pulse for crashed.
                self._pulse.start()
                self.gate.open()
                environment, leaves = self.session.project.environment, self._leaves()
                record = UpdateRecord(
                    self.id, environment, self.command, self.started, leaves=leaves
                )
                self.session.ledger.begin_update(record, self.gate.lease.latest)
                self.begun = True
                self.diary.begin()

    def _leaves(self) -> tuple[str, ...]:
        """Where files of the update may be left if it crashes."""
        flows = (f for n in self.datasets for f in self.session.analysis.flows_into(n))
        views = (v.dataset.name for flow in flows for v in flow.views)
        return tuple(Names([*self.datasets, *views, *(self.gate.lease.latest.datasets or ())]))

    def end(self, ended: UpdateEnded, error: str | None = None, untidy: bool = False) -> None:
        """Write how the update ended, and what stopped it; tell observers of it after that.

        Args:
            untidy: whether it could not remove what earlier updates had left. It is still said
                to run then, so that the next one looks for that.
        """
        status = UpdateStatus.RUNNING if untidy else UpdateStatus(ended.status)
        self.diary.end(ended)
        try:
            if self.begun:
                # Close the gate before the ledger says that the update has ended: if we are killed
                # in between, the next update still looks for what we leave.
                self.gate.close()
                # An update that has taken over the lease records the end of this one itself.
                with suppress(LeaseLostError):
                    self.session.ledger.end_update(self.id, status, self.gate.lease.latest, error)
        finally:
            self._pulse.stop()


def update(
    session: Session,
    selection: Selection | None = None,
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
) -> UpdateResult:
    """Bring datasets up to date.

    Args:
        selection: which ones, and how; default: all, only what is new.
        observers: get every event as it happens.
        wait: seconds to wait for other updates of the same datasets; True: as long as it takes.

    Raises:
        ProblemsError: the declarations are wrong; nothing was run.
        SelectionError: the selection names something that is not there.
        ResetError, RowsLostError: a full refresh is not possible, see `choose_datasets`.
        UpdateRunningError: another update works on one of the datasets.
    """
    session.require()
    selection = selection or Selection()
    chosen = choose_datasets(session, selection)
    started = time.monotonic()
    id = new_id()
    diary = Diary(session.ledger, id)
    tell = telling((diary, *observers))
    patience = patience_of(wait, tell)
    with (
        session.at_work,
        HeldLease(session.ledger, id, leased(session, chosen.datasets), patience) as lease,
    ):
        if lease.waited:
            session.look_again()
            # What the update has waited for may have changed what has to start over.
            chosen = choose_datasets(session, selection)
            lease.extend(chosen.datasets)
        gate = Gate(session.gates, lease)
        entry = LedgerEntry(session, id, gate, diary, chosen.datasets)
        running = RunningUpdate(session, lease, gate, entry.id, time.time_ns(), tell)
        tell(UpdateStarted(id, session.project.environment, chosen.datasets))
        status, error, failure = UpdateStatus.FAILED, None, None
        try:
            with explained("use"):
                start_clean(running, entry.begin, chosen.full_refresh)
                if chosen.full_refresh:
                    # All of them before anything starts: if this update is interrupted, the next
                    # one goes on with the rest.
                    entry.begin()
                    full = sorted(chosen.full_refresh)
                    begun = {n: [f.name for f in session.pipeline.flows_into(n)] for n in full}
                    session.ledger.begin_generation(begun, lease.latest)
            with session.readables.running(chosen.datasets):
                results = _walk(running, chosen, entry, _around(session))
            failed = [f"{r.dataset}: {r.reason}" for r in results if r.status == "failed"]
            status = UpdateStatus.FAILED if failed else UpdateStatus.SUCCEEDED
            error = "; ".join(failed) or None
        except KeyboardInterrupt:
            error = "interrupted (Ctrl-C)"
            raise
        except QanatError as caught:
            told = lease.explain(caught)
            error, failure = told.message, failure_of(told)
            raise told from told.__cause__
        finally:
            seconds = time.monotonic() - started
            ended = UpdateEnded(id, str(status), seconds, failure)
            entry.end(ended, error, running.untidy.is_set())
            tell(ended)
    return UpdateResult(entry.id if entry.begun else "", str(status), seconds, results)


def _around(session: Session) -> Around:
    return Around(session.ledger.definitions(), past_sources(session))


def _walk(
    running: RunningUpdate, chosen: Chosen, entry: LedgerEntry, around: Around
) -> tuple[DatasetResult, ...]:
    """Run datasets as soon as what they read is done, in as many threads as cores."""
    session, runnable = running.session, frozenset(chosen.runnable)
    waiting = {n: set(session.graph.upstream(n) & runnable) for n in chosen.runnable}
    behind: dict[str, list[str]] = {n: [] for n in waiting}
    for name, upstream in waiting.items():
        for other in upstream:
            behind[other].append(name)
    ready = [n for n, upstream in waiting.items() if not upstream]
    results: dict[str, DatasetResult] = {}
    futures: dict[Future[DatasetResult], str] = {}
    # Not `concurrent.futures.wait`: it looks at all that run each time that one is done.
    finished: SimpleQueue[Future[DatasetResult]] = SimpleQueue()
    with ThreadPoolExecutor(session.threads, thread_name_prefix="qanat") as pool:
        try:
            while ready or futures:
                for name in ready:
                    future = pool.submit(_run_dataset, running, chosen, name, entry, around)
                    futures[future] = name
                    future.add_done_callback(finished.put)
                ready = []
                future = finished.get()
                name = futures.pop(future)
                results[name] = future.result()
                good = results[name].status not in ("failed", "skipped")
                # Datasets with a result were skipped because something else above them failed.
                for other in [n for n in behind[name] if n not in results]:
                    if not good:
                        results[other] = _skipped(running, chosen, other, name)
                        continue
                    waiting[other].discard(name)
                    if not waiting[other]:
                        ready.append(other)
        except BaseException:
            # Ctrl-C: stop what computes; its epochs are given up or redone by the next update.
            running.stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            session.interrupt()
            raise
    return tuple(results[n] for n in session.graph.order if n in results and n in chosen.datasets)


def _skipped(running: RunningUpdate, chosen: Chosen, name: str, because: str) -> DatasetResult:
    """Leave out a dataset because something above it, at any distance, failed."""
    dataset = running.session.pipeline.dataset(name)
    reason = f"{because} failed"
    if name in chosen.datasets:
        running.tell(DatasetEnded(dataset.name, "skipped", reason, 0.0))
    return _result(dataset, "skipped", reason, 0.0)


def _run_dataset(
    running: RunningUpdate,
    chosen: Chosen,
    name: str,
    entry: LedgerEntry,
    around: Around,
) -> DatasetResult:
    dataset = running.session.pipeline.dataset(name)
    if dataset.kind is DatasetKind.TEMPORARY_VIEW:
        # Nothing to do by itself: it is computed inside whatever reads it.
        return _result(dataset, "unchanged", "computed where it is read", 0.0)
    running.tell(DatasetStarted(dataset.name, str(dataset.kind)))
    started = time.monotonic()
    run = DatasetRun(running, dataset, chosen, around, entry.begin)
    try:
        with naming(dataset.name):
            if (stuck := running.stuck.get(dataset.name)) is not None:
                raise stuck
            run.run()
        status = "updated" if run.epochs else "unchanged"
        error = None
        reason = run.reason
    except QanatError as caught:
        error = running.lease.explain(caught)
        status, reason = "failed", error.message
    except Exception as caught:  # noqa: BLE001 - one dataset's defect must not take the rest
        error = running.lease.explain(run.explain(caught))
        status, reason = "failed", error.message
    seconds = time.monotonic() - started
    failure = None if error is None else failure_of(error)
    running.tell(DatasetEnded(dataset.name, status, reason, seconds, failure))
    return DatasetResult(
        dataset=dataset.name,
        kind=str(dataset.kind),
        status=status,
        reason=reason,
        counts=run.counts,
        rules=run.rules,
        files=run.files,
        seconds=seconds,
        version=run.version,
        read=run.read,
        error=error,
    )


def _result(dataset: Dataset, status: str, reason: str, seconds: float) -> DatasetResult:
    return DatasetResult(dataset.name, str(dataset.kind), status, reason, Counts(), (), 0, seconds)
