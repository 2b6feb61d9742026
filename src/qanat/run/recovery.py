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
from qanat.model.event import Recovered, Warned
from qanat.model.name import Names, same
from qanat.model.pipeline import QUARANTINE, DatasetKind, is_replay
from qanat.model.record import Epoch, EpochStatus, UpdateRecord, UpdateStatus
from qanat.model.table import TableRef
from qanat.run.attempt import RunningUpdate
from qanat.run.commits import (
    mismatch_of,
    published,
    starts_over,
    tables,
    take_back,
)
from qanat.run.epoch import redo_epoch
from qanat.run.lease import has_pulse
from qanat.run.moves import carry_out
from qanat.run.scratch import sweep_scratch
from qanat.run.session import Session


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
    session, ledger, lease = running.session, running.session.ledger, running.lease
    # What was known before the lease was taken, the update that had it before may have changed.
    session.look_again()
    touched = _finish_moves(running, begin)
    crashed = ledger.crashed_updates()
    left = {u.id: _leaves(session, u) for u in crashed}
    touched += [*(n for names in left.values() for n in names), *_in_open_epochs(session)]
    if touched:
        lease.extend(touched, free_only=True)
    crashed = [u for u in crashed if any(map(lease.covers, left[u.id]))]
    # Ask before anything is swept: a later update removes what a sleeper stages after that.
    asleep = {u.id for u in crashed if has_pulse(session.scratches, u.id)}
    tidy = True
    if crashed or any(map(lease.covers, _in_open_epochs(session))):
        begin()
        if not crashed:
            # Once the open epochs are settled, only this flag tells that files may be left over:
            # the ledger names no update that crashed.
            running.untidy.set()
        tidy = recover(running, anew)
        if tidy:
            running.untidy.clear()
    _tidy(running)
    for update in crashed:
        # Only now: later updates look for its leftovers as long as it is recorded as running.
        if not tidy or update.id in asleep or running.stuck:
            continue
        rest = [n for n in left[update.id] if n in running.unswept or not lease.covers(n)]
        if rest:
            ledger.leave(update.id, rest, lease.latest)
        else:
            status, why = _outcome(update)
            ledger.end_update(update.id, status, lease.latest, why)
    if touched:
        lease.narrow()


def _finish_moves(running: RunningUpdate, begin: Callable[[], None]) -> list[str]:
    """Finish renamings and removals that a crash has interrupted.

    That comes first: until then tables and ledger may know a dataset by different names.

    Returns:
        What was taken into the lease for that.

    Raises:
        UpdateRunningError: another update is just finishing one.
    """
    taken = []
    for move in running.session.ledger.open_moves():
        names = [n for n in (move.old, move.new, move.dataset) if n]
        # Two updates of other datasets may find it at once. The second one must not go on with it
        # once the first has ended: there may be a new table of the old name by then.
        running.lease.extend(names)
        taken += names
        if move in running.session.ledger.open_moves():
            begin()
            carry_out(running, move)
    return taken


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


def _outcome(update: UpdateRecord) -> tuple[UpdateStatus, str | None]:
    """How an update ended that is still recorded as running, and what stopped it."""
    if update.ended is None:
        return UpdateStatus.FAILED, "its process ended before it did"
    # It did its work, and only could not remove what earlier updates had left.
    return UpdateStatus.FAILED if update.error else UpdateStatus.SUCCEEDED, update.error


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
            running.tell(Recovered(epoch.dataset, epoch.flow, epoch.number, how))
    # No clock tells which update a file belongs to. But a file that was there while we held the
    # lease, and is not ours, is a leftover, even if another update takes over while we remove it.
    views = _views(session)

    def sweep(table: TableRef) -> None:
        if (view := owned[table]) not in views:
            session.store.sweep(table, running.lease.confirm)
            return
        try:
            session.store.sweep(table, running.lease.confirm_alone)
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
        name = owners.get(table.location, table.name.removesuffix(QUARANTINE))
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
        running.stuck.setdefault(epoch.dataset, error)
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
    for dataset in session.pipeline.datasets:
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
    dataset = session.pipeline.get(epoch.dataset)
    if dataset is not None and dataset.sink is not None:
        # Only sinks: recovery has already synced the tables (TableStore.repair).
        session.sink(dataset.sink).secure(dataset.sink)
    settled = replace(epoch, status=EpochStatus.COMMITTED, version=version)
    session.ledger.settle(settled, running.lease.latest)


def _not_as_intended(session: Session, epoch: Epoch, anew: Collection[str]) -> str | None:
    """Why an unpublished epoch cannot be computed as it was meant to be; None if it can."""
    if is_replay(epoch.flow):
        # Its rows are all in the quarantine again; the user can ask for the replay once more.
        return "the replay was interrupted"
    compiled = session.analysis.flows.get(epoch.flow)
    if compiled is None or not same(compiled.dataset.name, epoch.dataset):
        return "the flow is no longer declared"
    if compiled.dataset.name in anew and compiled.dataset.sink is None:
        return "the dataset is about to be computed from the start"
    fingerprint, _ = session.analysis.definitions[compiled.dataset.name]
    if fingerprint != epoch.fingerprint:
        return "the definition has changed"
    if starts_over(session, epoch):
        return None  # it replaces whatever there is
    mismatch = mismatch_of(session, compiled)
    return None if mismatch is None else mismatch.message
