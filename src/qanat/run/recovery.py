"""What a crash left behind: settle what was published, redo what was not, sweep the rest.

An epoch is computed again only as it was intended: from the same range, by the same definition,
into the same table. Where one of them is another now, it is given up, and its range is unread:
what a definition reads that it did not read then, the range says nothing about.

What stands in the way of one dataset does not stop the others. Its own run tells, and its full
refresh is a way out of anything: no part of what was begun will be left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from qanat.errors import LedgerError, QanatError, UpdateRunningError
from qanat.frozen import Frozen
from qanat.model.event import Recovered, Warned
from qanat.model.name import Names, same
from qanat.model.pipeline import DatasetKind, is_replay, is_upkeep
from qanat.model.record import Epoch, EpochStatus, UpdateRecord
from qanat.model.side import dataset_of
from qanat.model.table import TableRef
from qanat.run import defined
from qanat.run.attempt import RunningUpdate
from qanat.run.commits import (
    may_be,
    published,
    sink_of,
    take_back,
)
from qanat.run.epoch import redo_epoch
from qanat.run.inputs import PROMOTED
from qanat.run.mismatch import mismatch_of
from qanat.run.moves import carry_out
from qanat.run.pulse import has_pulse
from qanat.run.scratch import sweep_scratch
from qanat.run.session import Session
from qanat.run.sides import starts_over, tables


def start_clean(
    running: RunningUpdate, begin: Callable[[], None], anew: Collection[str] = frozenset()
) -> None:
    """Leave nothing of earlier updates in the way, whatever became of them.

    An epoch that can neither be settled nor given up now goes into `RunningUpdate.stuck`.

    What crashed updates have left in other datasets is brought to an end as well, as far as no
    other update works on those; the lease of them is given back afterwards.

    Args:
        begin: called before anything is written to the ledger.
        anew: datasets that are about to be computed from the start.
    """
    finished = _finish_moves(running, begin)
    left = _take_left(running)
    lease = running.lease
    crashed = [u for u, names in left.updates if any(map(lease.covers, names))]
    # Ask before anything is swept: a later update removes what a sleeper stages after that.
    asleep = {u.id for u in crashed if has_pulse(running.session.scratches, u.id)}
    tidy = True
    if crashed or finished or any(map(lease.covers, left.open)):
        begin()
        if not crashed:
            # Once open epochs are settled and moves finished, only this flag tells that files may
            # be left over: the ledger names no update that crashed.
            running.untidy.set()
        tidy = recover(running, anew)
        if tidy:
            running.untidy.clear()
    _tidy(running)
    if tidy and not running.stuck:
        # Only now: later updates look for its leftovers as long as it is recorded as running.
        _end_crashed(running, [(u, n) for u, n in left.updates if u in crashed], asleep)
    lease.narrow()


class _Left(Frozen):
    """What earlier updates have left.

    Args:
        updates: those that crashed, each with the datasets where files of it may be.
        open: the datasets with an open epoch.
    """

    updates: Sequence[tuple[UpdateRecord, Sequence[str]]]
    open: Sequence[str]


def _take_left(running: RunningUpdate) -> _Left:
    """Take the lease of what crashed updates have left, as far as it is free."""
    session, ledger = running.session, running.session.ledger
    updates = [(u, _leaves(session, u)) for u in ledger.crashed_updates()]
    opened = _in_open_epochs(session)
    touched = [*(n for _, names in updates for n in names), *opened]
    if not touched:
        return _Left((), ())
    running.lease.extend(touched, free_only=True)
    # Again: until the lease was ours, another update may have brought some of them to an end.
    return _Left(updates, _in_open_epochs(session))


def _end_crashed(
    running: RunningUpdate,
    crashed: Sequence[tuple[UpdateRecord, Sequence[str]]],
    asleep: Collection[str],
) -> None:
    """Record how crashed updates ended, or where files of them are still to be looked for."""
    ledger, lease = running.session.ledger, running.lease
    for update, left in crashed:
        if update.id in asleep:
            continue
        rest = [n for n in left if n in running.unswept or not lease.covers(n)]
        if rest:
            ledger.leave(update.id, rest, lease.latest)
        else:
            ended = update.as_crashed
            ledger.end_update(update.id, ended.status, lease.latest, ended.error)


def _finish_moves(running: RunningUpdate, begin: Callable[[], None]) -> bool:
    """Finish renamings and removals that a crash or a refusal of the disk has interrupted.

    That comes first: until then tables and ledger may know a dataset by different names.

    Returns:
        Whether there were any: what was interrupted may have left files.

    Raises:
        UpdateRunningError: another update is just finishing one.
    """
    finished = False
    for move in running.session.ledger.open_moves():
        # Two updates of other datasets may find it at once. The second one must not go on with it
        # once the first has ended: there may be a new table of the old name by then. Most often
        # the lease covers it from the start (`open_update`).
        running.lease.extend(move.datasets)
        if move in running.session.ledger.open_moves():
            begin()
            carry_out(running, move)
            running.tell(Warned(None, f"finished {move}, which was interrupted"))
            finished = True
    return finished


def _leaves(session: Session, update: UpdateRecord) -> Sequence[str]:
    """Where files of a crashed update may be left over."""
    if update.leaves is None:
        return [d.name for d in session.pipeline.datasets]
    return update.leaves


def _in_open_epochs(session: Session) -> list[str]:
    return [e.dataset for e in session.ledger.open_epochs()]


def _views(session: Session) -> Names:
    """The temporary views: updates of several datasets may put rows into the quarantine of one."""
    views = DatasetKind.TEMPORARY_VIEW
    return Names(d.name for d in session.pipeline.datasets if d.kind is views)


def recover(running: RunningUpdate, anew: Collection[str] = frozenset()) -> bool:
    """Bring every open epoch of the lease's datasets to an end; remove files that no table knows.

    Args:
        anew: datasets that are about to be computed from the start.

    Returns:
        Whether all tables could be repaired and swept.

    Sweeping comes last: until an open epoch is settled, the process that began it may only be
    asleep, and its staged files are still wanted.
    """
    session = running.session
    owned = _owned(running)
    _sweep_sinks(running)
    repaired = _each(running, owned, session.store.repair, anew)
    for epoch in session.ledger.open_epochs():
        if not running.lease.covers(epoch.dataset):
            continue
        how: str | None
        try:
            how = _bring_to_an_end(running, epoch, anew)
        except LedgerError:
            raise
        except QanatError as error:
            # An update that has lost its lease may not write down what became of the epoch.
            running.lease.confirm()
            how = _set_aside(running, epoch, error, anew)
        if how is not None:
            running.recovered.append(Recovered(epoch.dataset, epoch.flow, epoch.number, how))
            running.tell(running.recovered[-1])
    # No clock tells which update a file belongs to. But a file that was there while we held the
    # lease, and is not ours, is a leftover, even if another update takes over while we remove it.
    views = _views(session)

    def sweep(table: TableRef) -> None:
        if (view := owned[table]) not in views:
            session.store.sweep(table, running.lease.confirm)
            return
        try:
            newest = running.lease.confirm_alone()
            session.store.sweep(table, lambda: running.lease.confirm_alone(newest))
        except UpdateRunningError:
            running.unswept.add(view)

    return _each(running, owned, sweep, anew) and repaired


def _owned(running: RunningUpdate) -> dict[TableRef, str]:
    """The tables that the lease covers and the quarantines of views, each with its dataset.

    A crashed update may have been about to commit to any view's. To repair a table that others
    write to does them no harm.
    """
    session = running.session
    owners = {
        session.table(n).location: d.name
        for d in session.pipeline.datasets
        for n in (d.name, d.quarantine)
    }
    views, owned = _views(session), {}
    for table in tables(session):
        name = owners.get(table.location, dataset_of(table.name))
        if running.lease.covers(name) or name in views:
            owned[table] = name
    return owned


def _each(
    running: RunningUpdate,
    owned: Mapping[TableRef, str],
    act: Callable[[TableRef], object],
    anew: Collection[str],
) -> bool:
    """Apply `act` to every table; an error fails only the dataset that owns the table.

    Not one that starts over: that replaces the table, or tells itself what stands in its way.
    Returns whether there was no error.
    """
    good = True
    for table, name in owned.items():
        try:
            act(table)
        except QanatError as error:
            good = False
            running.lease.confirm()
            if name not in anew:
                running.stuck.setdefault(name, error)
            running.tell(Warned(name, error.message))
    return good


def _set_aside(
    running: RunningUpdate, epoch: Epoch, error: QanatError, anew: Collection[str]
) -> str | None:
    """Leave an epoch open, for its dataset's own run to tell, unless that starts over."""
    if epoch.dataset not in Names(anew):
        # What a sink that got another name has sent, it must not send again.
        for name in (epoch.dataset, *(d.name for d in may_be(running.session, epoch))):
            running.stuck.setdefault(name, error)
        message = f"epoch {epoch.number} of {epoch.flow}, which a crash left open, stays open"
        running.tell(Warned(epoch.dataset, f"{message}: {error.message}"))
        return None
    running.session.ledger.give_up(epoch, error.message, running.lease.latest)
    return "given up"


def _tidy(running: RunningUpdate) -> None:
    """Remove what crashed processes left aside."""
    session = running.session
    sweep_scratch(session.scratches)
    _sweep_sinks(running)
    # The disk may have refused to remove the gate of an earlier update.
    for folder in running.gate.lost():
        shutil.rmtree(folder, ignore_errors=True)


def _sweep_sinks(running: RunningUpdate) -> None:
    session = running.session
    for dataset in session.pipeline.datasets if session.project.sinks else ():
        if dataset.sink is not None and running.lease.covers(dataset.name):
            session.sink(dataset.sink).sweep(dataset.sink, running.lease.confirm)


def _bring_to_an_end(running: RunningUpdate, epoch: Epoch, anew: Collection[str]) -> str:
    session = running.session
    if published(session, epoch):
        _settle(running, epoch)
        return "settled"
    take_back(session, running.gate, epoch)
    why = _not_as_intended(session, epoch, anew)
    compiled = session.analysis.flows.get(epoch.flow)
    if compiled is None or why is not None:
        # No warning: the range stays unread, and the next epoch reads it again.
        session.ledger.give_up(epoch, why or "", running.lease.latest)
        return "given up"
    try:
        done = redo_epoch(running, compiled, epoch)
    except QanatError as error:
        if any(e.id == epoch.id for e in session.ledger.open_epochs()):
            raise
        # The dataset's own run tells the error if it is still there.
        message = f"epoch {epoch.number} of {epoch.flow}, which a crash left open, was given up"
        running.tell(Warned(epoch.dataset, f"{message}: {error.message}"))
        return "given up"
    if done is not None:
        running.redone.setdefault(epoch.dataset, []).append(done)
    return "redone"


def _settle(running: RunningUpdate, epoch: Epoch) -> None:
    """Call an epoch done that readers can see."""
    session = running.session
    version = session.store.version(session.table(epoch.dataset))
    dataset = sink_of(session, epoch)
    if dataset is not None and dataset.sink is not None:
        # Only sinks: recovery has already synced the tables (TableStore.repair).
        session.sink(dataset.sink).secure(dataset.sink)
    settled = replace(epoch, status=EpochStatus.COMMITTED, version=version)
    session.ledger.settle(settled, running.lease.latest, defined.settled(session, epoch))


def _not_as_intended(session: Session, epoch: Epoch, anew: Collection[str]) -> str | None:
    """Why an unpublished epoch cannot be computed as it was meant to be; None if it can."""
    if is_replay(epoch.flow):
        # Its rows are all in the quarantine again; the user can ask for the replay once more.
        return "the replay was interrupted"
    if is_upkeep(epoch.flow):
        # All rows are where they were; what is still to be done is found anew.
        return "the maintenance was interrupted"
    if PROMOTED in epoch.ranges:
        # Its rows are still where they were; the user can ask for it once more.
        return "the promotion was interrupted"
    compiled = session.analysis.flows.get(epoch.flow)
    if compiled is None or not same(compiled.dataset.name, epoch.dataset):
        return "the flow is no longer declared"
    if compiled.dataset.name in anew and compiled.dataset.sink is None:
        return "the dataset is about to be computed from the start"
    if compiled.dataset.sink is not None and not session.project.sinks:
        return "sinks are off"
    fingerprint, _ = session.analysis.definitions[compiled.dataset.name]
    if fingerprint != epoch.fingerprint:
        return "the definition has changed"
    if starts_over(session, epoch):
        return None  # it replaces whatever there is
    mismatch = mismatch_of(session, compiled)
    return None if mismatch is None else mismatch.message
