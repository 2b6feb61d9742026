"""What the epochs of one update share, and one attempt to carry out one of them.

An attempt is tried again where it may succeed unchanged: a store that timed out, never a wrong
query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from qanat.disk import remove
from qanat.errors import InvariantError, QanatError, RunError, located
from qanat.frozen import Frozen
from qanat.model.event import Event, Recovered, Retried
from qanat.model.name import Named, Names, fold
from qanat.model.owner import attempt_id, staged_prefix
from qanat.model.pipeline import ON_ROW_ERROR, Dataset, Drift, OnRowError
from qanat.model.record import Definition, Epoch
from qanat.model.rule import ORDERED
from qanat.model.schema import NO_COLUMNS
from qanat.model.staged import RuleWindow, Staged, StagedTable
from qanat.model.table import Snapshot
from qanat.model.work import Output, Recomputation, Stored, ViewWork, Work
from qanat.planning.fit import redeclared
from qanat.ports.sink import Delivery
from qanat.run.correcting import correction_of, sourced
from qanat.run.inputs import BoundInputs, drift_of, files_again
from qanat.run.lease import Gate, HeldLease
from qanat.run.memo import CompiledFlow
from qanat.run.merging import merge_of
from qanat.run.partitions import check_partitions
from qanat.run.rearranged import rearranging
from qanat.run.scratch import make_folder
from qanat.run.session import Session
from qanat.run.snapshots import query_of
from qanat.run.states import state_work
from qanat.run.succession import ordered, placed_ms
from qanat.run.watching import Watch
from qanat.run.windows import windowed

_FIRST_WAIT = 0.5
"""Seconds before the first retry; doubled each time, up to `_LONGEST_WAIT`."""
_LONGEST_WAIT = 60.0

Result = TypeVar("Result")


def retrying(action: Callable[[], Result], running: RunningUpdate, dataset: str) -> Result:
    """The result of an action, tried again while its error is retryable.

    Args:
        running: the update; its project says how often to try again.
        dataset: whose events tell about it.

    Raises:
        QanatError: the last error, or one that is not retryable.
        RunError: the user pressed Ctrl-C meanwhile.
    """
    wait = _FIRST_WAIT
    for attempt in range(1, running.session.project.retries + 1):
        try:
            return action()
        except QanatError as error:
            if not error.retryable:
                raise
            running.tell(Retried(dataset, attempt, error.message, wait))
            running.stopping.wait(wait)
            running.unless_stopping()
            wait = min(2 * wait, _LONGEST_WAIT)
    return action()


class RunningUpdate(Frozen):
    """The update that runs.

    Args:
        gate: through which it commits; see `qanat.run.lease`.
        id: the identifier of the update.
        at_ns: when it began, nanoseconds since 1970 (UTC).
        tell: hands an event to all observers.
        stuck: by dataset, why an epoch that a crash left open could not be brought
            to an end; the dataset is not run.
        recovered: what recovery has done with open epochs.
        redone: by dataset, epochs that recovery has carried out.
        unswept: views into whose quarantines another update may stage files, so that they were
            not swept.
        stopping: set once the user pressed Ctrl-C; no epoch begins or is published after that.
        ending: set once the update is to come to its end: epochs that have begun are published,
            and none begins after them.
        watch: what is known of the metrics of its flows.
        goes_on: whether flows may always get more in this update, as in a continuous one.
        untidy: set while files may be left over that no crashed update in the ledger is known
            to have left, so that only this update knows of them.
    """

    session: Session
    lease: HeldLease
    gate: Gate
    id: str
    at_ns: int
    tell: Callable[[Event], None]
    stuck: Named[QanatError] = field(default_factory=Named)
    recovered: list[Recovered] = field(default_factory=list)
    redone: Named[list[Done]] = field(default_factory=Named)
    unswept: Names = field(default_factory=Names)
    stopping: threading.Event = field(default_factory=threading.Event)
    ending: threading.Event = field(default_factory=threading.Event)
    untidy: threading.Event = field(default_factory=threading.Event)
    watch: Watch = field(default_factory=Watch)
    goes_on: bool = False

    def unless_stopping(self) -> None:
        """Go on, unless the user pressed Ctrl-C.

        Raises:
            RunError: the update is being stopped.
        """
        if self.stopping.is_set():
            raise RunError("interrupted; nothing was published")


class Done(Frozen):
    """A committed epoch, with rows and files read, and what is to be told of its columns."""

    epoch: Epoch
    read: int
    files: int
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class Attempt:
    """One attempt to carry out one epoch; each stage adds what the next ones need.

    Args:
        epoch: as the ledger has it; before `intend` as it is meant to be.
        may_be_published: an earlier attempt came as far as telling the ledger what it had staged,
            so it may have published.
        records: the definition to record with the epoch, if it is the last one of its dataset.
        started: seconds of the monotonic clock.
        tried: what the engine was asked for, also where it failed.
        remarks: what to tell of the epoch once it is committed.
        windows: what came of its checks in the rows of the last minutes, this epoch included.
        before: the definition that the dataset was last run by.
        last: whether no other epoch of its flow follows in this update, as far as is known.
    """

    running: RunningUpdate
    compiled: CompiledFlow
    epoch: Epoch
    may_be_published: bool = False
    records: Definition | None = None
    started: float = field(default_factory=time.monotonic)
    tried: list[Work] = field(default_factory=list)
    remarks: tuple[str, ...] = ()
    windows: tuple[RuleWindow, ...] = ()
    before: Definition | None = None
    last: bool = True
    _work: Work | None = None
    _bound: BoundInputs | None = None
    _staged: Staged | None = None

    @property
    def session(self) -> Session:
        """The session of the update."""
        return self.running.session

    @property
    def unchanged(self) -> bool:
        """True if the definition is the one that the dataset was last run by."""
        return self.before is not None and self.before.fingerprint == self.epoch.fingerprint

    @property
    def work(self) -> Work:
        """What the engine was asked for."""
        return _known(self._work)

    @property
    def bound(self) -> BoundInputs:
        """The inputs, bound for the engine; known after `compute`."""
        return _known(self._bound)

    @property
    def staged(self) -> Staged:
        """What the engine made of it."""
        return _known(self._staged)

    def computed(self, work: Work, bound: BoundInputs, staged: Staged) -> None:
        """Keep what was computed."""
        self._work, self._bound, self._staged = work, bound, staged

    @property
    def idle(self) -> bool:
        """True if the epoch turns out to change nothing that is worth a commit."""
        table = self.staged.table
        changed = table.files or table.removed or self.staged.refreshed
        return self.compiled.readmits and not changed

    @property
    def delivery(self) -> Delivery | None:
        """The epoch on its way into a sink; None if the target is a table."""
        target = self.compiled.dataset.sink
        if target is None:
            return None
        scratch = self.session.scratch / "sinks"
        return Delivery(target, self.epoch.flow, self.epoch.number, scratch)

    @property
    def staged_tables(self) -> Iterator[tuple[Path, StagedTable]]:
        """What was staged, each with the folder that it is in."""
        work, staged = self.work, self.staged
        yield work.output.folder, staged.table
        folders = {v.name: v.quarantine.folder for v in work.views}
        folders[work.dataset] = work.quarantine.folder
        for name, table in staged.quarantines.items():
            yield folders[name], table
        if work.state is not None and staged.state is not None:
            yield work.state.output.folder, staged.state

    def clear(self) -> None:
        """Remove what an engine that failed has staged and could not remove itself, durably.

        Raises:
            OSError: a file cannot be removed, or its removal not be synced.
        """
        for work in self.tried:
            for output in work.outputs:
                remove(*output.folder.rglob(f"{output.prefix}*"))

    def unstage(self, only: frozenset[Path] | None = None) -> None:
        """Remove staged files, durably: no update looks for leftovers of an epoch given up.

        Args:
            only: in these folders. In others the files belong to a commit that was taken back:
                older versions of the table still name them.

        Raises:
            OSError: a file cannot be removed, or its removal not be synced.
        """
        for folder, table in self.staged_tables:
            if only is None or folder in only:
                # Durably: the ledger is about to forget these files.
                remove(*(folder / file.path for file in table.all_files))


def _known(value: Result | None) -> Result:
    if value is None:
        raise InvariantError("a stage of an epoch was left out")
    return value


def work_of(attempt: Attempt) -> Work:
    """The work of one attempt: what to compute, and where to stage it."""
    session, compiled, epoch = attempt.session, attempt.compiled, attempt.epoch
    unique = attempt_id(compiled.flow.application)
    scratch = session.scratch / unique
    make_folder(scratch)
    prefix = staged_prefix(session.scope, epoch.number, unique)
    if compiled.layouts:
        update, at_ns = attempt.running.id, attempt.running.at_ns
        return rearranging(session, compiled, epoch.number, update, prefix, scratch, at_ns)
    merge = merge_of(session, compiled, epoch, prefix, attempt.running.at_ns)
    output = _output(attempt, prefix) if merge is None else Output(merge.target.folder, prefix)
    widens = may_widen(session, compiled)
    own = output if merge is None else merge.target
    wider = widens or bool(redeclared(own.schema, own.declared))
    quarantine = _quarantine(session, compiled.dataset, prefix, epoch.replaces, wider)
    views = _views(session, compiled, prefix)
    waiting = {compiled.dataset.name: quarantine, **{v.name: v.quarantine for v in views}}
    return Work(
        flow=compiled.flow.name,
        epoch=epoch.number,
        update=attempt.running.id,
        dataset=compiled.dataset.name,
        query=query_of(session, compiled, epoch),
        inputs={},
        output=output,
        quarantine=quarantine,
        scratch=scratch,
        at_ns=attempt.running.at_ns,
        views=views,
        expectations=windowed(attempt.session, compiled),
        ordered=ordered(session, compiled),
        sets_aside=_sets_aside(session, compiled.dataset),
        widens=widens,
        unchanged=attempt.unchanged,
        merge=merge,
        sourced=sourced(session, compiled, epoch.ranges),
        correction=correction_of(session, compiled, epoch, output, waiting),
        state=state_work(session, compiled, epoch, prefix),
        again=tuple(
            Recomputation(
                f.flow.name,
                f.query,
                _views(session, f, prefix),
                partial(files_again, session, f, epoch.generation, scratch),
            )
            for f in compiled.again
        ),
    )


def _views(session: Session, compiled: CompiledFlow, prefix: str) -> tuple[ViewWork, ...]:
    return tuple(
        ViewWork(
            view.dataset.name,
            view.query,
            view.expectations,
            _quarantine(session, view.dataset, prefix, replaces=False),
        )
        for view in compiled.views
    )


def _sets_aside(session: Session, dataset: Dataset) -> bool:
    """True if rows that cannot be computed go to quarantine."""
    own = dataset.table_property(ON_ROW_ERROR)
    default = session.project.configuration.get(ON_ROW_ERROR, OnRowError.QUARANTINE)
    return OnRowError(fold(own or default)) is OnRowError.QUARANTINE


def _output(attempt: Attempt, prefix: str) -> Output:
    session, compiled, epoch = attempt.session, attempt.compiled, attempt.epoch
    dataset = compiled.dataset
    delivery = attempt.delivery
    if delivery is not None:
        with located(dataset.location):
            return session.sink(delivery.target).output(delivery)
    table = session.table(dataset.name)
    plain = Output(
        session.store.staging(table),
        prefix,
        # Rows that come back have the table's columns, even if others are declared by now.
        declared=NO_COLUMNS if compiled.readmits else dataset.schema,
        partition_by=dataset.partition_by,
    )
    if epoch.replaces or session.store.version(table) is None:
        return replace(plain, placed_ms=placed_ms(session, compiled))
    snapshot = session.store.snapshot(table)
    check_partitions(dataset, snapshot.partition_by)
    ordered_ = any(isinstance(e.rule, ORDERED) for e in compiled.expectations)
    widens = may_widen(session, compiled)
    return replace(
        plain,
        schema=snapshot.schema,
        existing=snapshot.batch if ordered_ else None,
        stored=_stored(session, snapshot)
        if widens or redeclared(snapshot.schema, plain.declared)
        else None,
        placed_ms=placed_ms(session, compiled, snapshot.newest_ms),
    )


def _quarantine(
    session: Session, dataset: Dataset, prefix: str, replaces: bool, widens: bool = False
) -> Output:
    """Where a dataset's quarantined rows are staged."""
    table = session.table(dataset.quarantine)
    plain = Output(session.store.staging(table), prefix)
    if replaces or session.store.version(table) is None:
        return plain
    snapshot = session.store.snapshot(table)
    stored = _stored(session, snapshot) if widens else None
    return replace(plain, schema=snapshot.schema, stored=stored)


def _stored(session: Session, snapshot: Snapshot) -> Stored:
    """The rows of a table that may be written again."""
    return Stored(snapshot.batch, snapshot.version, plain=not session.store.extends)


def may_widen(session: Session, compiled: CompiledFlow) -> bool:
    """True if columns of a flow's table may get wider types, and so those of its sources.

    Declared columns keep the types that their author gave them, and a sink's are not ours. Rows
    that a replay moves have the table's columns.
    """
    dataset = compiled.dataset
    return (
        not compiled.readmits
        and dataset.sink is None
        and not dataset.schema.fields
        and drift_of(session, compiled) is Drift.EVOLVE
    )
