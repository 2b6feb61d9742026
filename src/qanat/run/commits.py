"""The commits of epochs: their numbers, and when they are visible.

An epoch publishes its state and its quarantines first and its table last, each in a commit that
carries the flow's application and the epoch's number: one more than ledger, tables and sink know.

Recovery that finds only the first commits of an epoch cannot know that computing again gives the
same rows: the author may have changed a rule meanwhile, or the query may ask for the time. So what
the epoch put into these tables is taken back (one commit that restores what was there) before the
epoch is computed again, as a whole, or given up. A row is then in the table, or in a quarantine,
or its input is unread; never two of these. And an epoch that is computed again finds the state
that it found the first time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qanat.errors import HistoryMismatchError, full_refresh, located
from qanat.model.feed import CHANGE_FEED
from qanat.model.name import same
from qanat.model.pipeline import QUARANTINE, Dataset, DatasetKind, application, is_upkeep
from qanat.model.quarantine import quarantine_fields
from qanat.model.record import Epoch
from qanat.model.schema import Schema
from qanat.model.side import dataset_of, is_state
from qanat.model.staged import StagedTable
from qanat.model.table import CORRECTED, Change, Commit, CommitGate, TableRef
from qanat.model.work import Correction, Stored
from qanat.run.attempt import Attempt
from qanat.run.correcting import first_versions
from qanat.run.memo import CompiledFlow
from qanat.run.rearranged import table_of
from qanat.run.session import Session
from qanat.run.sides import all_sides, quarantines, sides, starts_over, state_of
from qanat.run.snapshots import takes_snapshots


def next_number(session: Session, compiled: CompiledFlow, generation: int) -> int:
    """The number of a flow's next epoch.

    Ledger and tables differ only where a full refresh starts over after one of them was lost.

    Raises:
        HistoryMismatchError: a sink has epochs that the ledger does not know, and no full
            refresh of it was asked for.
    """
    flow, sink = compiled.flow, compiled.dataset.sink
    # Of all datasets that it has fed: what it has put into the quarantines of views is there by
    # the same numbers.
    known = session.ledger.last_number(flow.name)
    there = [session.store.transaction(t, flow.application) for t in sides(session, compiled)]
    if sink is None:
        return max(known, last_commit(session, compiled), *there) + 1
    with located(compiled.dataset.location):
        sent = session.sink(sink).last(sink, flow.name)
    last = session.ledger.last_epoch(flow.name, compiled.dataset.name)
    if sent > known and generation == (last.generation if last else 0):
        name = compiled.dataset.name
        raise HistoryMismatchError(
            f"the ledger of {name} is older than what the sink holds: it was lost, or restored"
            " from a copy",
            wanted=f"no epoch of flow {flow.name} after {known}, the ledger's newest",
            got=f"epoch {sent} in the sink",
            hint="restore the ledger of the same time, or send everything again:"
            f" {full_refresh(name)}",
        )
    return max(known, sent, *there) + 1


def last_commit(session: Session, compiled: CompiledFlow) -> int:
    """The number of a flow's newest commit, as its table says."""
    table = session.table(compiled.dataset.name)
    return session.store.transaction(table, compiled.flow.application)


def published(session: Session, epoch: Epoch) -> bool:
    """True if an epoch's last commit has happened, whatever the ledger knows."""
    if is_upkeep(epoch.flow):
        tables = (session.table(n) for n in (epoch.dataset, epoch.dataset + QUARANTINE))
        made = application(epoch.flow)
        return any(session.store.transaction(t, made) >= epoch.number for t in tables)
    dataset = sink_of(session, epoch)
    if dataset is not None:
        # Before `audit` has recorded what was staged, an epoch of this number is not ours.
        return epoch.prepared and _carries(session, dataset, epoch)
    table = session.table(epoch.dataset)
    if session.store.transaction(table, application(epoch.flow)) < epoch.number:
        return False
    # Another project that shares the storage may have made the table, with a flow of that name.
    return session.store.owner(table) in (None, session.scope)


def sink_of(session: Session, epoch: Epoch) -> Dataset | None:
    """The sink that an epoch was for; None if it was for a table, or no sink has it.

    One that is called otherwise by now is known by what it holds.
    """
    dataset = session.pipeline.get(epoch.dataset)
    if dataset is not None:
        return None if dataset.sink is None else dataset
    return next((d for d in may_be(session, epoch) if _carries(session, d, epoch)), None)


def may_be(session: Session, epoch: Epoch) -> Sequence[Dataset]:
    """The sinks that the one which an epoch was for may be called by now."""
    known = session.recorded.definitions()
    before = known.get(epoch.dataset)
    is_table = before is not None and before.kind != str(DatasetKind.SINK)
    if session.pipeline.get(epoch.dataset) is not None or is_table or not epoch.prepared:
        return ()
    return [d for d in session.pipeline.datasets if d.sink is not None and d.name not in known]


def _carries(session: Session, dataset: Dataset, epoch: Epoch) -> bool:
    sink = dataset.sink
    return sink is not None and session.sink(sink).carries(sink, epoch.flow, epoch.number)


def take_back(session: Session, gate: CommitGate, epoch: Epoch) -> None:
    """Make all quarantines and states as they were before an epoch.

    All of them: which views a flow reads may have changed since.
    """
    for table in all_sides(session):
        session.store.retract(table, application(epoch.flow), epoch.number, gate)


def publish_epoch(attempt: Attempt) -> int | None:
    """Make an epoch visible; the new version of its table, None for a sink.

    Quarantine and state first: after a crash in between, a row is in quarantine or counts in the
    state too early, until recovery takes that back, and is never lost.

    Raises:
        HistoryMismatchError: a sink holds an epoch of that number that is not this one.
    """
    session, epoch = attempt.session, attempt.epoch
    if attempt.compiled.layouts:
        return _rearrange(attempt)
    last = session.ledger.last_epoch(epoch.flow, epoch.dataset)
    over = starts_over(session, epoch)
    for table, staged, change in _changes(attempt, over):
        # Epochs without a quarantined row leave no commit here.
        session.store.publish(_commit(attempt, table, staged, change, gaps=True))
    delivery = attempt.delivery
    if delivery is not None:
        staging, retried = attempt.work.output.folder, attempt.may_be_published
        sink = session.sink(delivery.target)
        sink.publish(delivery, staging, attempt.staged.table, retried)
        return None
    table = session.table(epoch.dataset)
    staged = attempt.staged.table
    merges = attempt.work.merge is not None or staged.removed
    change = Change.MERGE if merges else Change.APPEND
    change = Change.REPLACE if epoch.replaces else change
    # The numbers between are those of epochs into another dataset.
    gaps = over or last is None or last.number != epoch.number - 1
    return session.store.publish(_commit(attempt, table, staged, change, gaps))


def _rearrange(attempt: Attempt) -> int | None:
    """Put files in the place of others with the same rows; the new version of the table."""
    session = attempt.session
    table, _ = table_of(session, attempt.compiled)
    staged = attempt.staged.table
    version = session.store.publish(_commit(attempt, table, staged, Change.REARRANGE, gaps=True))
    return version if same(table.name, attempt.epoch.dataset) else None


def target_tables(attempt: Attempt) -> tuple[TableRef, ...]:
    """The tables that an epoch may commit to."""
    session, compiled = attempt.session, attempt.compiled
    if compiled.layouts:
        return (table_of(session, compiled)[0],)
    own = sides(session, compiled)
    if compiled.dataset.sink is not None:
        return own
    return (*own, session.table(compiled.dataset.name))


def unpublished(attempt: Attempt) -> frozenset[Path]:
    """The folders of staged files that no commit of the epoch has made part of a table."""
    session, store = attempt.session, attempt.session.store
    application, number = attempt.compiled.flow.application, attempt.epoch.number
    return frozenset(
        store.staging(t)
        for t in target_tables(attempt)
        if store.transaction(t, application) < number
        or store.owner(t) not in (None, session.scope)
    )


def _changes(attempt: Attempt, over: bool) -> Iterator[tuple[TableRef, StagedTable, Change]]:
    """What becomes of the state, and of the quarantines that the epoch may put rows into."""
    session, work, compiled = attempt.session, attempt.work, attempt.compiled
    state, kept = state_of(session, compiled), attempt.staged.state
    if state is not None and kept is not None:
        grown = Change.MERGE if kept.removed else Change.APPEND
        # Nothing of it was read where the flow starts over: what is there is of its earlier rows.
        anew = work.state is not None and work.state.stored is None
        yield state, kept, Change.REPLACE if anew else grown
    with_rows = attempt.staged.quarantines
    application = compiled.flow.application
    over = over and not _has_moved(session, attempt.epoch)
    for view in compiled.views:
        name = view.dataset.name
        table = session.table(view.dataset.quarantine)
        # The view's rows are computed from the start: what the flow put there before is old.
        if name in with_rows or (over and session.store.transaction(table, application)):
            staged = with_rows.get(name)
            if staged is None:
                # Rows of other flows may stay, and with them the columns.
                staged = StagedTable(session.store.snapshot(table).schema, ())
            added = Change.MERGE if staged.removed else Change.APPEND
            yield table, staged, Change.REPLACE_OWN if over else added
    if over and _may_read_other_views(attempt):
        for table in _left_behind(session, compiled):
            yield table, StagedTable(session.store.snapshot(table).schema, ()), Change.REPLACE_OWN
    table = session.table(compiled.dataset.quarantine)
    replaces = attempt.epoch.replaces
    there = session.store.version(table) is not None
    # Of a snapshot's rows each comes again with the next one: those of the last one are old.
    outdated = takes_snapshots(compiled) and there and session.store.snapshot(table).rows != 0
    if work.dataset in with_rows or outdated or (replaces and there):
        # Replace it even without rows: its columns must be those that the table has from now on.
        columns = Schema(quarantine_fields(attempt.staged.given))
        staged = with_rows.get(work.dataset) or StagedTable(columns, ())
        anew = replaces or compiled.readmits or outdated
        added = Change.MERGE if staged.removed else Change.APPEND
        yield table, staged, Change.REPLACE if anew else added


def _has_moved(session: Session, epoch: Epoch) -> bool:
    """True if the flow has fed other datasets, and this one never.

    What it has put into quarantines of views then belongs to rows that those have.
    """
    if session.ledger.last_epoch(epoch.flow, epoch.dataset) is not None:
        return False
    return bool(session.ledger.last_epochs(epoch.flow))


def _may_read_other_views(attempt: Attempt) -> bool:
    """True if the flow may have read other views when it last computed its rows from the start.

    To look for their quarantines takes a look at every table.
    """
    session, epoch = attempt.session, attempt.epoch
    if session.store.version(session.table(epoch.dataset)) is None:
        return False
    last = session.ledger.last_epoch(epoch.flow, epoch.dataset)
    return (
        last is None or last.generation < epoch.generation or last.fingerprint != epoch.fingerprint
    )


def _left_behind(session: Session, compiled: CompiledFlow) -> list[TableRef]:
    """The quarantines of views that the flow reads no more, with rows that it has put there."""
    own = {t.location for t in quarantines(session, compiled).values()}
    fed = session.ledger.last_epochs(compiled.flow.name)
    own |= {session.table_named(last.dataset + QUARANTINE).location for last in fed}
    application = compiled.flow.application
    return [
        table
        for table in all_sides(session)
        if not is_state(table.name)
        and table.location not in own
        and session.store.transaction(table, application)
    ]


def _commit(
    attempt: Attempt, table: TableRef, staged: StagedTable, change: Change, gaps: bool
) -> Commit:
    session, epoch = attempt.session, attempt.epoch
    dataset, work = attempt.compiled.dataset, attempt.work
    own = table.name == dataset.name
    stored = (work.output if own else work.quarantine).stored
    merged = work.merge.target.stored if own and work.merge else None
    if staged.removed and is_state(table.name):
        merged = work.state.stored if work.state else None
    elif staged.removed and work.correction is not None:
        merged = _base(work.correction, None if own else dataset_of(table.name))
    rewrites = merged or (stored if staged.rewritten is not None else None)
    version = rewrites.version if rewrites else None
    if attempt.compiled.layouts:
        version = table_of(session, attempt.compiled)[1].version
    commit = Commit(
        table=table,
        schema=staged.schema,
        files=staged.files,
        change=change,
        application=attempt.compiled.flow.application,
        number=epoch.number,
        info={
            "qanat.update": epoch.update,
            "qanat.flow": epoch.flow,
            **_corrected(attempt, own, staged),
        },
        gaps=gaps,
        gate=attempt.running.gate,
        rewritten=staged.rewritten,
        rewrites=version,
        removed=staged.removed,
        feed=staged.feed,
        events=staged.events,
        event_columns=staged.event_columns,
    )
    if not own or attempt.compiled.layouts:
        return commit  # a quarantine has no comment, properties or partitions of the dataset's
    changes = work.merge is not None or staged.feed
    feed = {CHANGE_FEED: "true"} if changes else {}
    return replace(
        commit,
        partition_by=dataset.partition_by,
        comment=dataset.comment or "",
        properties={**feed, **dict(dataset.properties)},
    )


def _base(correction: Correction, view: str | None) -> Stored | None:
    """The rows that a table had of which some go: the epoch's own, or a dataset's quarantine."""
    stale = correction.table if view is None else correction.quarantines.get(view)
    return None if stale is None else stale.output.stored


def _corrected(attempt: Attempt, own: bool, staged: StagedTable) -> Mapping[str, str]:
    """What a commit says of source files whose earlier rows it replaces."""
    correction = attempt.work.correction
    if correction is None or not staged.removed:
        return {}
    first = dict.fromkeys(correction.files, 0)
    if own:
        first = first_versions(attempt.session, attempt.epoch.dataset, first)
    return {CORRECTED: json.dumps(first)}
