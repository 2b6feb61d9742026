"""What remembers: updates, epochs, positions, definitions and the lease."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from qanat.model.event import EventRecord
from qanat.model.move import Move
from qanat.model.name import Named
from qanat.model.record import (
    Definition,
    Epoch,
    FileRef,
    LastEpoch,
    Lease,
    PastSource,
    QuarantineMark,
    UpdateRecord,
    UpdateStatus,
)
from qanat.model.schema import Schema
from qanat.ports.metrics import MetricsHistory
from qanat.ports.outbox import Outbox
from qanat.ports.pauses import Pauses
from qanat.ports.requests import Requests
from qanat.ports.retention import Retention
from qanat.ports.runs import Runs

BUSY_SECONDS = 30.0
"""Seconds that a ledger waits for another process's transaction; each takes milliseconds."""


class Ledger(Pauses, Requests, Runs, MetricsHistory, Outbox, Retention, Protocol):
    """What is recorded of one project and environment.

    Every method that writes is durable on return, except `keep`.

    Safe to call from several threads; readers in other processes are never blocked.

    A session makes one, as `Class(place, scope)`, from the class that `LedgerKind.ledger` names:
    the spec's URL, or the path of `ledger.db` for the kind without schemes, and the project and
    environment whose rows it reads and writes, as several may share a database.
    """

    # -- the lease -------------------------------------------------------------------------

    def acquire(
        self, holder: str, seconds: float, datasets: Collection[str] | None = None
    ) -> Lease:
        """Take the lease of datasets for `seconds`: of all of them, or of none.

        Leases of dead processes of this machine end, and those that have expired, with all
        their datasets: their holders can write nothing more.

        Args:
            datasets: what the holder is about to update; None: all that there are.

        Raises:
            UpdateRunningError: another update holds one of them; says which, where, since when.
        """
        ...

    def extend(self, lease: Lease, datasets: Collection[str], free_only: bool = False) -> Lease:
        """Add datasets to the lease.

        Args:
            free_only: leave out what another update holds.

        Raises:
            LeaseLostError: it expired, and another update has ended it.
            UpdateRunningError: another update holds one of them.
        """
        ...

    def narrow(self, lease: Lease, datasets: Collection[str]) -> Lease:
        """Give back all datasets of the lease but these.

        Raises:
            LeaseLostError: it expired, and another update has ended it.
        """
        ...

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """Prolong the lease.

        Raises:
            LeaseLostError: it expired, and another update has ended it.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give the lease back; silently nothing if it was lost."""
        ...

    def leases(self) -> Sequence[Lease]:
        """The leases that nobody has ended, oldest first; some may have expired."""
        ...

    def newest_token(self) -> int:
        """The token of the last lease that anybody has taken; 0 if nobody ever has."""
        ...

    def held(self) -> Sequence[Lease]:
        """The leases that living processes hold now, oldest first, for people to look at."""
        ...

    # -- updates and epochs ----------------------------------------------------------------

    def begin_update(
        self, update: UpdateRecord, lease: Lease, observers: Collection[str] = ()
    ) -> None:
        """Record that an update runs, and that it owes its events to observers (see `Outbox`).

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def leave(self, update: str, datasets: Collection[str], lease: Lease) -> None:
        """Record where files of a crashed update may still be left (`UpdateRecord.leaves`).

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def end_update(
        self, id: str, status: UpdateStatus, lease: Lease, error: str | None = None
    ) -> None:
        """Record how a running update ended: one's own, or one that has crashed.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def keep(self, update: str, records: Sequence[EventRecord]) -> None:
        """Keep events of an update that has begun.

        They are written together with the next thing that is written under that update's lease
        (whose `holder` it is), a renewal included, at the latest by `end_update`: a crash loses
        those that came after the last write. What was not written when the lease is released
        is forgotten. Numbers are given once.
        """
        ...

    def intend(self, epoch: Epoch, lease: Lease) -> Epoch:
        """Record an epoch before it is computed; returns it with its `id`.

        Raises:
            LeaseLostError: the lease is no longer ours.
            EpochConflictError: the flow already has an open epoch, or one of that number.
        """
        ...

    def prepare(self, epoch: Epoch, lease: Lease) -> None:
        """Record what was staged (counts, rules, schemas, digests) before it is published, so
        that an epoch whose process dies right after publishing can be settled in full.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def settle(self, epoch: Epoch, lease: Lease, definition: Definition | None = None) -> None:
        """Mark an intended epoch committed, with its version, counts, rules and schemas.

        One that replaces the table in a generation of its dataset that has not begun begins it.

        Args:
            definition: recorded with it, as `define` does.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def give_up(self, epoch: Epoch, error: str, lease: Lease) -> None:
        """Mark an intended epoch failed: nothing of it was published, its range is unread.

        What its rules found is kept.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def forget(self, epoch: Epoch, lease: Lease) -> None:
        """Remove an intended epoch that turned out to have nothing to do.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def crashed_updates(self) -> Sequence[UpdateRecord]:
        """The updates that are recorded as running and have no lease any more, oldest first."""
        ...

    def open_epochs(self) -> Sequence[Epoch]:
        """The intended epochs, oldest first, with their full ranges."""
        ...

    # A flow is known by its name and its target: what it has read into one dataset, it has not
    # read into another. Its epochs are numbered through, wherever they went.

    def last_epoch(self, flow: str, dataset: str) -> LastEpoch | None:
        """The newest committed epoch of a flow into a dataset."""
        ...

    def last_epochs(self, flow: str) -> Sequence[LastEpoch]:
        """The newest committed epoch of a flow into each dataset that it has fed.

        Newest first, without datasets that were dropped.
        """
        ...

    def last_number(self, flow: str) -> int:
        """The number of a flow's newest committed epoch, into whatever dataset; 0 if none."""
        ...

    def sources(self) -> Sequence[PastSource]:
        """What each flow that has committed epochs has read as a stream, by its datasets."""
        ...

    def position(
        self, flow: str, dataset: str, generation: int, source: str
    ) -> Mapping[str, Any] | None:
        """The value of the newest committed range of a flow's source that has a position.

        Args:
            dataset: that the flow feeds.
            source: as `SourceRef.key`.
        """
        ...

    def quarantine_mark(
        self, flow: str, dataset: str, generation: int, of: str
    ) -> QuarantineMark | None:
        """What a quarantine must carry of a flow; None if the flow has never changed it.

        Args:
            dataset: that the flow feeds.
            of: whose quarantine: the dataset's, or that of a view which the flow reads.
        """
        ...

    def quarantine_marks(
        self, dataset: str, generation: int, of: str
    ) -> Mapping[str, QuarantineMark]:
        """What a quarantine must carry, by flow, of each flow into a dataset that has changed it.

        Args:
            of: whose quarantine, as for `quarantine_mark`.
        """
        ...

    def seen(
        self,
        flow: str,
        dataset: str,
        generation: int,
        paths: Iterable[str],
        relevant: Callable[[str], bool] | None = None,
    ) -> Mapping[str, FileRef]:
        """Of these paths, those that committed epochs have read, as they were then.

        Args:
            relevant: by the source that a file was read for, whether it counts; default: all do.
        """
        ...

    def source_schema(
        self, flow: str, dataset: str, generation: int, source: str
    ) -> Schema | None:
        """The columns last found in a flow's source (keyed as in `Epoch.source_schemas`)."""
        ...

    def others(self, dataset: str) -> Sequence[str]:
        """The other projects and environments in the database with committed epochs of a dataset.

        By their scopes, sorted.
        """
        ...

    # -- definitions and generations -------------------------------------------------------

    def definitions(self) -> Named[Definition]:
        """All datasets as last run."""
        ...

    def define(self, definition: Definition, lease: Lease) -> None:
        """Record a dataset as it is now run.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def generation(self, dataset: str) -> int:
        """The current generation: 0 until the first full refresh."""
        ...

    def begin_generation(self, datasets: Iterable[str], lease: Lease) -> None:
        """Begin the next generation of datasets: every flow into them reads from the start, and
        the first commit replaces the table. All of them or, if that fails, none.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def take_back_generation(self, datasets: Iterable[str], lease: Lease) -> None:
        """Go back to the generations before, as if the newest of these datasets had never begun.

        Call it only where no epoch of it was committed or is open.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def generation_started(self, dataset: str, generation: int) -> bool:
        """True if an epoch of a declared flow of that generation has been committed."""
        ...

    def replaced(self, dataset: str, after: int) -> int | None:
        """The lowest version at which committed epochs have replaced a dataset's table.

        Args:
            after: only epochs whose `id` is greater; None if there is none.
        """
        ...

    # -- renaming and removing -------------------------------------------------------------

    def begin_move(self, move: Move, lease: Lease) -> None:
        """Record a renaming or removal before anything is touched.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def open_moves(self) -> Sequence[Move]:
        """The renamings and removals that were recorded and have not ended, oldest first."""
        ...

    def end_move(self, move: Move, lease: Lease) -> None:
        """Carry it out in the ledger, and forget that it was intended: both or, if that fails,
        neither. Nothing if it is not intended, so that doing it twice is the same as once.

        From then on what was recorded of an old name is recorded of the new one, in place of
        whatever that had. What was recorded of a dataset that goes, its flows and what others
        have read of it counts for nothing any more; updates and their epochs can still be read.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    # -- looking back ----------------------------------------------------------------------

    def updates(self, limit: int = 20) -> Sequence[UpdateRecord]:
        """Newest first."""
        ...

    def update(self, id: str) -> UpdateRecord | None:
        """The update of that identifier; None if there is none."""
        ...

    def events(self, update: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        """What an update has told so far, in its order; kinds that are not known come as
        `UnknownEvent`.

        Args:
            after: only events whose `number` is greater.
            limit: events at most.
        """
        ...

    def epochs(
        self,
        update: str | None = None,
        dataset: str | None = None,
        limit: int | None = None,
        files: bool = False,
    ) -> Sequence[Epoch]:
        """Newest first.

        Args:
            limit: epochs at most; default: all.
            files: whether file ranges come with their files.
        """
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
