"""What surrounds everything that writes: a lease, a gate, a line in the history, and its events.

`open_update` is the frame of updates, replays, renamings and removals. Each has an identifier, a
record in the ledger (`LedgerEntry`) and events there (`qanat.run.diary`). `working_on` is the
frame of what they do with one dataset.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from secrets import token_hex

from qanat.errors import LeaseLostError, LedgerError, QanatError, naming
from qanat.model.event import (
    DatasetEnded,
    DatasetStarted,
    Event,
    Failure,
    LeaseAwaited,
    UpdateEnded,
    UpdateStarted,
)
from qanat.model.metrics import KEPT, METRICS_RETENTION
from qanat.model.name import Names
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.record import (
    CONTINUOUS,
    HISTORY_KEPT,
    HISTORY_RETENTION,
    Lease,
    UpdateRecord,
    UpdateStatus,
)
from qanat.model.upkeep import parse_duration
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.diary import Diary, telling
from qanat.run.lease import Gate, HeldLease, Patience
from qanat.run.pulse import Pulse
from qanat.run.session import Session


def failure_of(error: QanatError) -> Failure:
    """What an event says of an error."""
    return Failure(**error.facts())


@dataclass(slots=True)
class Ending:
    """How the work on one dataset has ended, as its last event tells it."""

    status: str = "failed"
    reason: str = "it did not come to its end"


@contextmanager
def working_on(running: RunningUpdate, dataset: Dataset) -> Iterator[Ending]:
    """Tell that the work on a dataset begins, and how it ends.

    Args:
        dataset: nothing is done with it while an epoch that a crash left open is stuck.

    Raises:
        QanatError: why that epoch is stuck; or the work's own error, with the dataset's name.
    """
    started, ending, failure = time.monotonic(), Ending(), None
    running.tell(DatasetStarted(dataset.name, str(dataset.kind)))
    try:
        with naming(dataset.name):
            if (stuck := running.stuck.get(dataset.name)) is not None:
                raise stuck
            yield ending
    except QanatError as error:
        ending, failure = Ending(reason=error.message), failure_of(error)
        raise
    finally:
        seconds = time.monotonic() - started
        running.tell(DatasetEnded(dataset.name, ending.status, ending.reason, seconds, failure))


def new_id() -> str:
    """An identifier for an update: sorted as text, updates are sorted by their start (UTC)."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S-") + token_hex(3)


def leased(session: Session, datasets: Collection[str]) -> Names | None:
    """What a lease has to cover for an update of datasets; None for all that there are."""
    names = Names(datasets)
    kinds = DatasetKind.TEMPORARY_VIEW
    rest = (d for d in session.pipeline.datasets if d.kind is not kinds and d.name not in names)
    return None if next(rest, None) is None else names


def patience(
    wait: float | bool,
    tell: Callable[[Event], None],
    stop: threading.Event | None = None,
    asks: bool = False,
) -> Patience:
    """How long to wait for other updates: seconds, or True for as long as it takes.

    Args:
        stop: ends the waiting once it is set.
        asks: see `Patience`.
    """

    def tell_of(other: Lease) -> None:
        works_on = tuple(other.datasets or ())
        place = other.holder, other.host, other.pid
        # A continuous update that is asked lets this one work between two epochs.
        tell(LeaseAwaited(*place, works_on, other.since, other.endless and not asks))

    seconds = math.inf if wait is True else float(wait)
    return Patience(seconds, tell_of, stop or threading.Event(), asks)


def forget_updates(session: Session, lease: Lease, now: float) -> int:
    """Let the history end where the configuration says: some of the oldest updates go.

    Returns:
        How many went; 0 once there is nothing left to forget.
    """
    kept = session.project.configuration.get(HISTORY_RETENTION, HISTORY_KEPT)
    return session.ledger.forget_updates(now - parse_duration(kept), lease)


@dataclass(slots=True)
class LedgerEntry:
    """The line of one update; one that finds nothing to do, or is refused, leaves none.

    Args:
        id: identifier of the update.
        gate: opened when the line is written, closed when it ends.
        diary: the observer that keeps what the update tells, and hands it on to declared ones.
        datasets: what it is to work on.
        command: as the history shows it.
        origin: what started it, see `UpdateRecord`.
        started: when the update began, seconds since 1970 (UTC).

    """

    session: Session
    id: str
    gate: Gate
    diary: Diary
    datasets: Sequence[str]
    command: str = "run"
    origin: str | None = None
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
                    self.id,
                    environment,
                    self.command,
                    self.started,
                    leaves=leaves,
                    origin=self.origin,
                )
                lease, owed = self.gate.lease.latest, self.diary.owed
                self.session.ledger.begin_update(record, lease, owed)
                self._forget()
                self.begun = True
                self.diary.begin(record)

    def _forget(self) -> None:
        """Let the history of metrics end where the configuration says."""
        kept = self.session.project.configuration.get(METRICS_RETENTION, KEPT)
        before = self.started - parse_duration(kept)
        self.session.ledger.forget_metrics(before, self.gate.lease.latest)
        forget_updates(self.session, self.gate.lease.latest, self.started)

    def _leaves(self) -> tuple[str, ...]:
        """Where files of the update may be left if it crashes."""
        flows = (f for n in self.datasets for f in self.session.analysis.flows_into(n))
        views = (v.dataset.name for flow in flows for v in flow.views)
        return tuple(Names([*self.datasets, *views, *(self.gate.lease.latest.datasets or ())]))

    def end(
        self,
        ended: UpdateEnded,
        error: str | None = None,
        untidy: bool = False,
        missed: bool = False,
    ) -> None:
        """Write how the update ended, and what stopped it; tell observers of it after that.

        Args:
            missed: whether its line is to be written though nothing has begun: whoever looks for
                what has failed finds it.
            untidy: whether it could not remove what earlier updates had left. It is still said
                to run then, so that the next one looks for that.
        """
        status = UpdateStatus.RUNNING if untidy else UpdateStatus(ended.status)
        if missed:
            # What stopped the update may stop this, too, and has been told.
            with suppress(QanatError):
                self.begin()
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
        self.diary.hand_on()


@dataclass(slots=True)
class OpenUpdate:
    """An update while it works.

    Args:
        failed: why it counts as failed though it came to its end; None if it does not.
        seconds: wall time; known at its end.
    """

    running: RunningUpdate
    entry: LedgerEntry
    failed: str | None = None
    status: UpdateStatus = UpdateStatus.FAILED
    seconds: float = 0.0


def _is_missed(error: QanatError) -> bool:
    """True if an update that an error stopped belongs into the history.

    What its author has to mend (exit status 2) was refused, and has not failed. Without a ledger
    or a lease no line can be written, and to try takes as long once more.
    """
    return error.exit_code == 1 and not isinstance(error, LedgerError | LeaseLostError)


@contextmanager
def open_update(
    session: Session,
    choose: Callable[[], Sequence[str]],
    observers: Sequence[Observer],
    *,
    command: str = "run",
    wait: float | bool = False,
    everything: bool = False,
    lasts: float | None = None,
    stop: threading.Event | None = None,
    origin: str | None = None,
) -> Iterator[OpenUpdate]:
    """Work on datasets under their lease, with a line in the history that tells how it ended.

    Args:
        choose: the datasets; called again if other updates were waited for, as those may have
            changed what is to be done.
        observers: get every event as it happens.
        command: as the history shows it.
        wait: seconds to wait for other updates of the same datasets; True: as long as it takes.
        everything: whether the lease is of all datasets that there are, not of these alone.
        lasts: seconds that the lease lasts without a sign of life; default: a minute.
        stop: ends the waiting for other updates once it is set.
        origin: what started it; default: a person.

    Raises:
        UpdateRunningError: another update works on one of the datasets.
        StorageFullError, AdapterError: this user may not write to the project's storage.
        QanatError: whatever stopped it; `LeaseLostError` if that explains the rest.
    """
    id, started, datasets = new_id(), time.monotonic(), choose()
    session.begin_writing()
    # Loaded only where the spec has observers.
    name = "qanat.run.observing"
    observing = import_module(name).Observing(session) if session.project.observers else None
    diary = Diary(session.ledger, id, readers=observing)
    tell = telling((diary, *observers))

    def look_again() -> None:
        # What was known before, the update that had the lease until now may have changed.
        session.look_again(n for n in datasets if session.pipeline.get(n) is not None)

    def choose_again() -> Names | None:
        nonlocal datasets
        look_again()
        datasets = choose()
        return covered()

    def covered() -> Names | None:
        return None if everything else leased(session, datasets)

    def interrupted() -> list[str]:
        # Whoever comes next finishes these first; another update may be just doing so.
        return [n for move in session.ledger.open_moves() for n in move.datasets]

    # A continuous update stands by for another one. What renames or removes datasets needs the
    # declarations of all others to have changed before.
    asks = command != CONTINUOUS and not everything
    waiting = patience(wait, tell, stop, asks)
    held = HeldLease(session.ledger, id, covered(), waiting, choose_again, interrupted, lasts)
    with session.at_work, observing or nullcontext(), held as lease:
        if observing is not None:
            observing.start(tell)
        look_again()
        gate = Gate(session.gates, lease)
        entry = LedgerEntry(session, id, gate, diary, datasets, command, origin)
        running = RunningUpdate(session, lease, gate, id, time.time_ns(), tell)
        opened = OpenUpdate(running, entry)
        tell(UpdateStarted(id, session.project.environment, tuple(datasets)))
        error: str | None = None
        failure: Failure | None = None
        missed = False
        try:
            yield opened
            error = opened.failed
            missed = error is not None
            opened.status = UpdateStatus.FAILED if error else UpdateStatus.SUCCEEDED
        except KeyboardInterrupt:
            error = "interrupted (Ctrl-C)"
            raise
        except QanatError as caught:
            told = lease.explain(caught)
            error, failure = told.message, failure_of(told)
            missed = _is_missed(told)
            raise told from told.__cause__
        finally:
            opened.seconds = time.monotonic() - started
            ended = UpdateEnded(id, str(opened.status), opened.seconds, failure)
            entry.end(ended, error, running.untidy.is_set(), missed)
            tell(ended)
