"""The atomic unit of work of one flow: intend, compute, audit, publish, settle.

The order is what makes an epoch happen exactly once. The ledger knows the range before anything is
computed; readers see nothing before the one commit of the table; the commit carries the epoch's
number, so that a second one is no commit at all; and only then does the ledger call it done. Every
kind of epoch goes this way: a flow's, a view's, a full refresh, a replay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from qanat.errors import (
    HistoryMismatchError,
    InvariantError,
    QanatError,
)
from qanat.frozen import Frozen
from qanat.model.amount import Amount
from qanat.model.event import DatasetProgress, EpochCommitted, Warned
from qanat.model.metrics import measured
from qanat.model.record import Definition, Epoch, EpochStatus, Range
from qanat.model.staged import Staged
from qanat.model.work import Work
from qanat.run.attempt import Attempt, Done, RunningUpdate, retrying, work_of
from qanat.run.auditing import failure, rules_of_table
from qanat.run.blame import blaming
from qanat.run.carry import with_waiting
from qanat.run.commits import (
    next_number,
    publish_epoch,
    published,
    take_back,
    target_tables,
    unpublished,
)
from qanat.run.correcting import check_told
from qanat.run.drift import column_changes
from qanat.run.inputs import BoundInputs, bind, key_of
from qanat.run.limit import check_limit, warnings_of
from qanat.run.memo import CompiledFlow
from qanat.run.owner import check_owners
from qanat.run.pausing import pause_beyond, settle_windows
from qanat.run.snapshots import takes_snapshots
from qanat.run.watching import watched
from qanat.run.windows import as_declared, beyond
from qanat.text import count, size


def run_epoch(
    running: RunningUpdate,
    compiled: CompiledFlow,
    ranges: Mapping[str, Range],
    generation: int,
    replaces: bool,
    fingerprint: str,
    records: Definition | None = None,
    after: int = 0,
    before: Definition | None = None,
    last: bool = True,
) -> Done | None:
    """Carry out the next epoch of a flow; None if it turned out to have nothing to do.

    Args:
        ranges: what it reads.
        generation: of the target.
        replaces: whether its commit replaces the table instead of appending.
        fingerprint: of the target's definition.
        records: that definition, if it is to be recorded with the epoch.
        after: a number of an epoch elsewhere, whose rows this one takes over.
        before: the definition that the target was last run by, if it has run.
        last: whether no other epoch of the flow follows in this update, as far as is known.

    Raises:
        FileChangedError: a file of the range was still being written; the epoch is given up.
        ExpectationFailedError: a `fail` expectation is violated; the epoch is given up.
        HistoryMismatchError: a sink has epochs that the ledger does not know.
        ForeignTableError: a table that it would change is another project's.
        QanatError: anything else; given up too, unless readers can see it already.
    """
    running.unless_stopping()
    check_owners(running.session, compiled.dataset, anew=generation > 0)
    epoch = Epoch(
        flow=compiled.flow.name,
        dataset=compiled.dataset.name,
        number=max(next_number(running.session, compiled, generation), after + 1),
        update=running.id,
        generation=generation,
        replaces=replaces,
        ranges=ranges,
        fingerprint=fingerprint,
        started=time.time(),
    )
    last = last and not running.goes_on
    attempt = Attempt(running, compiled, epoch, records=records, before=before, last=last)
    return _carry_out(attempt, STAGES)


def redo_epoch(running: RunningUpdate, compiled: CompiledFlow, epoch: Epoch) -> Done | None:
    """Carry out an epoch that was intended and that a crash left open.

    Raises:
        ForeignTableError: a table that it would change has become another project's.
        QanatError: as `run_epoch` tells.
    """
    check_owners(running.session, compiled.dataset, anew=epoch.generation > 0)
    before = running.session.recorded.definitions().get(epoch.dataset)
    attempt = Attempt(running, compiled, epoch, epoch.prepared, before=before)
    return _carry_out(attempt, AFTER_INTENT)


def _carry_out(attempt: Attempt, stages: tuple[Stage, ...]) -> Done | None:
    for stage in stages:
        try:
            stage.do(attempt)
        except BaseException as error:
            stage.undo(attempt, error)
            raise
        if stage.ends(attempt):
            attempt.unstage()
            attempt.session.ledger.forget(attempt.epoch, attempt.running.lease.latest)
            return None
    files = sum(len(r.files) for r in attempt.epoch.ranges.values())
    return Done(attempt.epoch, _rows_read(attempt), files, attempt.remarks)


# -- the stages ------------------------------------------------------------------------------


def intend(attempt: Attempt) -> None:
    """Write down what the epoch will read, durably."""
    lease = attempt.running.lease.latest
    attempt.epoch = attempt.session.ledger.intend(attempt.epoch, lease)


def compute(attempt: Attempt) -> None:
    """Run the query over exactly the range, split the rows by the rules, stage files."""
    running, name = attempt.running, attempt.compiled.dataset.name

    doing = "computing"

    def progress(fraction: float | None) -> None:
        running.tell(DatasetProgress(name, doing, fraction))

    def once() -> tuple[Work, BoundInputs, Staged]:
        work = work_of(attempt)
        attempt.tried.append(work)
        bound = bind(
            attempt.session,
            attempt.compiled,
            attempt.epoch.ranges,
            attempt.epoch.generation,
            work.scratch,
        )
        nonlocal doing
        doing = " ".join(("computing", *_amount(bound.amount)))
        work = replace(work, inputs=bound.inputs, references=bound.references)
        with blaming((work.query, *(view.query for view in work.views))):
            return work, bound, with_waiting(attempt, work, progress)

    # Errors that are marked retryable, such as a store that timed out, are tried again.
    attempt.computed(*retrying(once, running, name))


def audit(attempt: Attempt) -> None:
    """Check what was staged, and write it down before readers can see it."""
    running, compiled, staged = attempt.running, attempt.compiled, attempt.staged
    running.unless_stopping()
    # An epoch that is given up keeps what its rules found, for the history and the report.
    attempt.epoch = replace(attempt.epoch, rules=staged.rules)
    counted = replace(attempt.epoch, counts=staged.counts)
    failed, attempt.windows = beyond(attempt.session, compiled, counted, staged.failed)
    if failed:
        raise failure(compiled, failed)
    if not staged.counts.balanced:
        raise InvariantError(f"rows of {compiled.dataset.name} do not add up")
    check_limit(attempt.session, compiled, staged)
    rules = (*as_declared(compiled, staged.rules), *rules_of_table(attempt))
    attempt.epoch = replace(attempt.epoch, rules=rules)
    if failed := tuple(r for r in rules if r.fails):
        raise failure(compiled, failed)
    check_told(attempt.session, compiled, attempt.work, staged, attempt.epoch.ranges)
    attempt.remarks = (*attempt.bound.remarks, *column_changes(attempt), *staged.notes)
    keys = {r.name: key_of(r) for r in compiled.reads}
    attempt.epoch = replace(
        attempt.epoch,
        ranges=_verified(attempt),
        counts=staged.counts,
        source_schemas={
            **compiled.known,
            **{keys[n]: s for n, s in staged.source_schemas.items() if n in keys},
        },
        bytes_written=sum(f.size for _, t in attempt.staged_tables for f in t.all_files),
        columns=measured(staged),
    )
    lease = running.lease.latest
    found = watched(attempt.session, running.watch, compiled, attempt.epoch, lease, attempt.last)
    attempt.epoch = replace(attempt.epoch, due=found.due)
    attempt.remarks = (*attempt.remarks, *(each.note for each in found.anomalies))
    attempt.session.ledger.prepare(attempt.epoch, lease)


def publish(attempt: Attempt) -> None:
    """Make the epoch visible: quarantines first, then the table."""
    attempt.epoch = replace(attempt.epoch, version=publish_epoch(attempt))


def settle(attempt: Attempt) -> None:
    """Call the epoch done, and tell of it."""
    epoch = replace(attempt.epoch, ended=time.time(), status=EpochStatus.COMMITTED)
    attempt.epoch = epoch
    attempt.session.ledger.settle(epoch, attempt.running.lease.latest, attempt.records)
    attempt.running.watch.settled(epoch)
    for remark in attempt.remarks:
        attempt.running.tell(Warned(epoch.dataset, remark))
    if attempt.compiled.layouts:
        return  # no row is new, and no reader need know
    attempt.running.tell(
        EpochCommitted(
            dataset=epoch.dataset,
            flow=epoch.flow,
            epoch=epoch.number,
            version=epoch.version,
            counts=attempt.staged.counts,
            rules=epoch.rules,
            files_read=sum(len(r.files) for r in epoch.ranges.values()),
            seconds=time.monotonic() - attempt.started,
            windows=attempt.windows,
        )
    )
    for warning in warnings_of(attempt.compiled, attempt.staged):
        attempt.running.tell(Warned(epoch.dataset, warning))
    pause_beyond(attempt.running, attempt.compiled, epoch)
    settle_windows(attempt.running, attempt.compiled, epoch, attempt.windows)


# -- what becomes of an epoch whose stage failed -----------------------------------------------


def leave_open(attempt: Attempt, error: BaseException) -> None:
    """Leave the epoch as it is in the ledger: nothing is to be undone, or recovery does it."""


def give_up(attempt: Attempt, error: BaseException) -> None:
    """Note that an epoch failed before anything of it was published."""
    try:
        reason = str(error) or type(error).__name__
        attempt.session.ledger.give_up(attempt.epoch, reason, attempt.running.lease.latest)
    except QanatError as second:
        # The epoch stays open for the next update to end. Report the first error, not this one.
        error.add_note(f"the epoch could not be given up: {second.message}")


def give_up_uncomputed(attempt: Attempt, error: BaseException) -> None:
    """Give up an epoch that could not be computed, unless staged files of it cannot be removed."""
    try:
        attempt.clear()
    except OSError as second:
        error.add_note(f"the epoch stays open: {second}")
        return
    give_up(attempt, error)


def give_up_staged(attempt: Attempt, error: BaseException) -> None:
    """Remove the staged files, and give up."""
    # In this order: recovery removes files only of epochs that are still open.
    attempt.unstage()
    give_up(attempt, error)


def withdraw(attempt: Attempt, error: BaseException) -> None:
    """Give up an epoch that could not be published, unless readers can see it already.

    What the store refuses now, it would refuse each time that the epoch is carried out again.
    """
    if not isinstance(error, QanatError):
        return
    session, epoch = attempt.session, attempt.epoch
    sink = attempt.compiled.dataset.sink is not None
    if sink and not isinstance(error, HistoryMismatchError):
        return  # some of its files may have been sent
    try:
        # A sink with a mismatch holds another epoch of that number: it does not count as ours.
        if not sink and published(session, epoch):
            return  # it is visible; the next update makes it durable and settles it
        unseen = unpublished(attempt)
        take_back(session, attempt.running.gate, epoch)
        attempt.unstage(unseen)
        left = [t.name for t in target_tables(attempt) if session.store.orphans(t)]
    except (QanatError, OSError) as second:
        error.add_note(f"the epoch stays open: {second}")
        return
    if left and not sink:
        # The disk did not let the store remove what it had written. Only an open epoch makes the
        # next update look for that.
        error.add_note(f"the epoch stays open: files of it are left in {', '.join(left)}")
        return
    give_up(attempt, error)


# -- whether an epoch goes on after a stage ----------------------------------------------------


def never(attempt: Attempt) -> bool:
    """Go on."""
    return False


def idle(attempt: Attempt) -> bool:
    """End without a commit if what was computed changes nothing."""
    return attempt.idle


class Stage(Frozen):
    """One stage of an epoch.

    Args:
        undo: what becomes of the epoch if the stage fails.
        ends: whether nothing is left to do after it: then the epoch is forgotten.
    """

    do: Callable[[Attempt], None]
    undo: Callable[[Attempt, BaseException], None]
    ends: Callable[[Attempt], bool] = never


AFTER_INTENT: tuple[Stage, ...] = (
    Stage(compute, give_up_uncomputed, idle),
    Stage(audit, give_up_staged),
    Stage(publish, withdraw),
    Stage(settle, leave_open),
)
"""The stages after `intend`; an epoch that is redone begins here."""

STAGES: tuple[Stage, ...] = (Stage(intend, leave_open), *AFTER_INTENT)
"""The stages of every epoch.

Only `withdraw` has more to it than its name: a sink may have sent files, readers may see the epoch
already, and the disk may have refused to remove staged files. In all three the epoch stays open.
"""


# -- parts ---------------------------------------------------------------------------------------


def _amount(amount: Amount) -> Iterator[str]:
    """How much an epoch reads, as far as that is known before it is computed."""
    parts = [count(amount.files, "file")] if amount.files else []
    parts += [count(amount.rows, "row")] if amount.rows else []
    parts += [size(amount.bytes)] if amount.bytes else []
    if parts:
        yield ", ".join(parts)


def _rows_read(attempt: Attempt) -> int:
    # Rows that could not be parsed were read as well; the query never saw them.
    counts = attempt.staged.counts
    if takes_snapshots(attempt.compiled) and not attempt.compiled.reads:
        return counts.out + counts.malformed  # a function has given them: it has no input
    rows = (attempt.bound.amount.rows or 0) + (attempt.staged.read or 0)
    return rows + counts.malformed


def _verified(attempt: Attempt) -> dict[str, Range]:
    """The ranges, those of streams once their connector has confirmed what was read."""
    session, compiled = attempt.session, attempt.compiled
    ranges = dict(attempt.epoch.ranges)
    for read in compiled.reads:
        # A view is computed from sources as they are: only streams promise each row once, and
        # what a flow that runs once has read it never sees again. From half a snapshot, rows
        # would seem to be missing.
        promised = read.streaming or compiled.flow.once or takes_snapshots(compiled)
        if not promised or (range_ := ranges.get(key_of(read))) is None:
            continue
        verify = partial(session.source(read.source).verify, read.source, range_)
        ranges[key_of(read)] = retrying(verify, attempt.running, compiled.dataset.name)
    return ranges
