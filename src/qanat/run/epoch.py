"""One atomic step of one flow: intend, compute, stage, audit, publish, settle.

The order is what makes an epoch happen exactly once. The ledger knows the range before anything
is computed; readers see nothing before the one Delta commit; the commit carries the epoch's
number, so that a second one is no commit at all; and only then does the ledger call it done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from qanat.errors import (
    ExpectationFailedError,
    FlowError,
    HistoryMismatchError,
    InvariantError,
    QanatError,
    RunError,
    located,
)
from qanat.model.dataset import Dataset
from qanat.model.event import DatasetProgress, EpochCommitted, Event
from qanat.model.expectation import Unique
from qanat.model.position import FilesRange, Range
from qanat.model.record import Epoch, EpochStatus
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import Output, RuleCount, Staged, StagedTable, ViewWork, Work
from qanat.run.compiled import CompiledFlow
from qanat.run.lease import HeldLease
from qanat.run.number import next_number
from qanat.run.publish import publish
from qanat.run.published import published, take_back
from qanat.run.reach import Bound, absolute, bind, key_of, portable
from qanat.run.retry import retrying
from qanat.run.scratch import make_folder
from qanat.run.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Step:
    """What the epochs of one update share.

    Args:
        gate: the folder through which it commits; see `qanat.run.gate`.
        update: identifier of the update.
        at_ns: when it began, nanoseconds since 1970 (UTC).
        tell: hands an event to all observers.
        stuck: by dataset (casefolded), why an epoch that a crash left open could not be brought
            to an end; the dataset is not run.
        stopping: set when somebody pressed Ctrl-C; no epoch begins or is published after that.
    """

    ws: Workspace
    lease: HeldLease
    gate: Path
    update: str
    at_ns: int
    tell: Callable[[Event], None]
    stuck: dict[str, QanatError] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Done:
    """A committed epoch, with rows and files read."""

    epoch: Epoch
    read: int
    files: int


def intend(
    step: Step,
    compiled: CompiledFlow,
    ranges: Mapping[str, Range],
    generation: int,
    replaces: bool,
    fingerprint: str,
) -> Epoch:
    """Write down what the next epoch of a flow will read, durably.

    Raises:
        RunError: the update is being stopped.
        HistoryMismatchError: a sink has epochs that the ledger does not know.
    """
    ws = step.ws
    _unless_stopping(step)
    return ws.ledger.intend(
        Epoch(
            flow=compiled.flow.name,
            dataset=compiled.dataset.name,
            number=next_number(ws, compiled, generation),
            update=step.update,
            generation=generation,
            replaces=replaces,
            ranges=ranges,
            fingerprint=fingerprint,
            started=time.time(),
        ),
        step.lease.current,
    )


def carry_out(step: Step, compiled: CompiledFlow, epoch: Epoch) -> Done:
    """Compute an intended epoch and publish it.

    Raises:
        FileChangedError: a file of the range was still being written; the epoch is given up.
        ExpectationFailedError: a `fail` expectation is violated; the epoch is given up.
        QanatError: anything else; given up too, unless somebody can see it already.
    """
    started = time.monotonic()
    # Nothing is published before it was written down what was staged.
    again = epoch.counts is not None
    try:
        work, bound, staged = _stage(step, compiled, epoch)
    except BaseException as error:
        _give_up(step, epoch, error)
        raise
    try:
        _unless_stopping(step)
        epoch = _audited(step, compiled, epoch, staged)
    except BaseException as error:
        # In this order: what the disk does not let go of, recovery of an open epoch removes.
        _unstage(work, staged)
        _give_up(step, epoch, error)
        raise
    try:
        version = publish(step.ws, step.gate, compiled, epoch, work, staged, again)
    except QanatError as error:
        _withdraw(step, compiled, epoch, work, staged, error)
        raise
    epoch = replace(epoch, version=version, ended=time.time(), status=EpochStatus.COMMITTED)
    step.ws.ledger.settle(epoch, step.lease.current)
    read = bound.rows + (staged.read or 0)
    seconds = time.monotonic() - started
    step.tell(
        EpochCommitted(
            dataset=compiled.dataset.name,
            flow=epoch.flow,
            epoch=epoch.number,
            version=version,
            counts=staged.counts,
            rules=staged.rules,
            files_read=bound.files,
            seconds=seconds,
        )
    )
    return Done(epoch, read, bound.files)


def _unless_stopping(step: Step) -> None:
    if step.stopping.is_set():
        raise RunError("interrupted; nothing was published")


def _give_up(step: Step, epoch: Epoch, error: BaseException) -> None:
    """Note that an epoch failed before anything of it was published."""
    try:
        step.ws.ledger.abandon(epoch, str(error) or type(error).__name__, step.lease.current)
    except QanatError as second:
        # It stays open: the next update brings it to an end. What failed first matters more.
        error.add_note(f"the epoch could not be given up: {second.message}")


def _withdraw(
    step: Step,
    compiled: CompiledFlow,
    epoch: Epoch,
    work: Work,
    staged: Staged,
    error: QanatError,
) -> None:
    """Give up an epoch that could not be published, unless somebody can see it already.

    What the store refuses now, it would refuse each time that the epoch is carried out again.
    """
    sink = compiled.dataset.sink is not None
    if sink and not isinstance(error, HistoryMismatchError):
        return  # of several files some may have been sent
    try:
        # What a sink holds then is not of this epoch, and must not be taken for it later.
        if not sink and published(step.ws, epoch):
            return  # it only may not be durable: the next update sees to that
        application = compiled.flow.application
        folders = {folder for folder, _ in _tables(work, staged)}
        unseen = {
            f for f in folders if step.ws.store.transaction(str(f), application) < epoch.number
        }
        take_back(step.ws, step.gate, epoch)
        _unstage(work, staged, unseen)
    except (QanatError, OSError) as second:
        error.add_note(f"the epoch stays open: {second}")
        return
    _give_up(step, epoch, error)


# -- compute and stage -----------------------------------------------------------------------


def _prepare(step: Step, compiled: CompiledFlow, epoch: Epoch) -> tuple[Work, Bound]:
    ws = step.ws
    token = uuid4().hex
    scratch = ws.scratch / token
    make_folder(scratch)
    bound = bind(ws, compiled, epoch.ranges, epoch.generation, scratch)
    prefix = f"epoch-{epoch.number}-{token}"
    work = Work(
        flow=compiled.flow.name,
        epoch=epoch.number,
        update=step.update,
        dataset=compiled.dataset.name,
        query=compiled.query,
        inputs=bound.inputs,
        output=_output(ws, compiled, epoch, prefix),
        quarantine=quarantine_output(ws, compiled.dataset, prefix, epoch.replaces),
        scratch=scratch,
        at_ns=step.at_ns,
        views=tuple(
            ViewWork(
                view.dataset.name,
                view.query,
                view.expectations,
                quarantine_output(ws, view.dataset, prefix, replaces=False),
            )
            for view in compiled.views
        ),
        expectations=compiled.expectations,
        references=bound.references,
    )
    return work, bound


def _output(ws: Workspace, compiled: CompiledFlow, epoch: Epoch, prefix: str) -> Output:
    dataset = compiled.dataset
    if dataset.sink is not None:
        with located(dataset.location):
            return ws.sink.output(dataset.sink, epoch.flow, epoch.number, ws.project.root)
    folder = ws.folder(dataset.name)
    plain = Output(folder, prefix, declared=dataset.schema, partition_by=dataset.partition_by)
    if epoch.replaces or ws.store.version(str(folder)) is None:
        return plain
    snapshot = ws.store.snapshot(str(folder))
    if snapshot.partition_by != dataset.partition_by:
        raise FlowError(
            f"{dataset.name} is declared with other partitions than its table has",
            location=dataset.location,
            wanted=", ".join(snapshot.partition_by) or "none",
            got=", ".join(dataset.partition_by) or "none",
            hint=f"rebuild it: qanat run --full-refresh {dataset.name}",
        )
    unique = any(isinstance(e.rule, Unique) for e in compiled.expectations)
    return replace(plain, schema=snapshot.schema, existing=snapshot.batch if unique else None)


def quarantine_output(ws: Workspace, dataset: Dataset, prefix: str, replaces: bool) -> Output:
    """Where a dataset's quarantined rows are staged."""
    folder = ws.folder(dataset.quarantine)
    known = NO_COLUMNS
    if not replaces and ws.store.version(str(folder)) is not None:
        known = ws.store.snapshot(str(folder)).schema
    return Output(folder, prefix, schema=known)


def _stage(step: Step, compiled: CompiledFlow, epoch: Epoch) -> tuple[Work, Bound, Staged]:
    """Bind and stage, again if something outside was only busy."""
    name = compiled.dataset.name

    def progress(fraction: float | None) -> None:
        step.tell(DatasetProgress(name, "computing", fraction))

    def attempt() -> tuple[Work, Bound, Staged]:
        work, bound = _prepare(step, compiled, epoch)
        return work, bound, step.ws.engine.stage(work, progress)

    return retrying(attempt, step.ws.project.retries, name, step.tell)


def _unstage(work: Work, staged: Staged, only: Collection[Path] | None = None) -> None:
    """Remove staged files: no update looks for leftovers of an epoch that was given up.

    Args:
        only: in these folders. What was published and taken back an older version still has.
    """
    for folder, table in _tables(work, staged):
        if only is None or folder in only:
            unstage(folder, table)


def _tables(work: Work, staged: Staged) -> list[tuple[Path, StagedTable]]:
    """What was staged, each with its table's folder."""
    folders = {v.name: v.quarantine.folder for v in work.views}
    folders[work.dataset] = work.quarantine.folder
    found = [(folders[name], table) for name, table in staged.quarantines.items()]
    return [(work.output.folder, staged.table), *found]


def unstage(folder: Path, table: StagedTable) -> None:
    """Remove the files that were staged in a table's folder."""
    for file in table.files:
        (folder / file.path).unlink(missing_ok=True)


# -- audit -----------------------------------------------------------------------------------


def _audited(step: Step, compiled: CompiledFlow, epoch: Epoch, staged: Staged) -> Epoch:
    """Check what was staged, and write it down before anybody can see it."""
    if staged.failed:
        raise _failed(compiled, staged.failed)
    if not staged.counts.balanced:
        raise InvariantError(f"rows of {compiled.dataset.name} do not add up")
    ranges = dict(epoch.ranges)
    streams = {key_of(r) for r in compiled.reads if r.streaming}
    for key, range_ in ranges.items():
        # A view is computed from files as they are: only streams promise each file once.
        if isinstance(range_, FilesRange) and key in streams and range_.files:
            read = absolute(step.ws, range_)
            verified = retrying(
                partial(step.ws.files.verify, read),
                step.ws.project.retries,
                compiled.dataset.name,
                step.tell,
            )
            ranges[key] = portable(step.ws, verified)
    keys = {r.name: key_of(r) for r in compiled.reads}
    files = [*staged.table.files, *(f for q in staged.quarantines.values() for f in q.files)]
    epoch = replace(
        epoch,
        ranges=ranges,
        counts=staged.counts,
        rules=staged.rules,
        source_schemas={keys[n]: s for n, s in staged.source_schemas.items() if n in keys},
        bytes_written=sum(f.size for f in files),
    )
    step.ws.ledger.prepare(epoch, step.lease.current)
    return epoch


def _failed(compiled: CompiledFlow, failed: tuple[RuleCount, ...]) -> ExpectationFailedError:
    first = failed[0]
    rules = {e.name: e for e in compiled.expectations}
    rules |= {e.name: e for v in compiled.views for e in v.expectations}
    broken = "; ".join(f"{r.rule}: {_rows(r)}" for r in failed)
    return ExpectationFailedError(
        f"{_rows(first)} of {first.dataset} violate{_s(first)} {first.rule}",
        location=rules[first.rule].location,
        wanted=str(rules[first.rule].rule),
        got=broken if len(failed) > 1 else None,
        hint="nothing was published; mend the data or the rule and run again (ON VIOLATION"
        " QUARANTINE ROW instead would keep such rows aside, to be looked at)",
    )


def _rows(rule: RuleCount) -> str:
    return f"{rule.violations:,} row{'' if rule.violations == 1 else 's'}"


def _s(rule: RuleCount) -> str:
    return "s" if rule.violations == 1 else ""
