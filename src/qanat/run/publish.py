"""The moment an epoch becomes visible, and how to take half of one back.

An epoch publishes its quarantines first and its table last. Recovery that finds only the first
cannot know that computing again gives the same rows: the author may have changed a rule meanwhile,
or the query may ask for the time. So what the epoch put into quarantines is taken back (one commit
that restores what was there) before the epoch is computed again, as a whole, or given up. A row is
then in the table, or in a quarantine, or its input is unread; never two of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from qanat.model.pipeline import QUARANTINE, application, is_replay
from qanat.model.record import Epoch
from qanat.model.schema import Schema
from qanat.model.table import Change, Commit, TableRef
from qanat.model.work import StagedTable, quarantine_fields
from qanat.run.attempt import Attempt
from qanat.run.session import Session

_READ_BY_EARLIER = "__quarantine"
"""The key of the range of replays from before they became epochs like any other."""


def published(session: Session, epoch: Epoch) -> bool:
    """Whether an epoch's last commit has happened, whatever the ledger knows."""
    dataset = session.pipeline.get(epoch.dataset)
    if dataset is not None and dataset.sink is not None:
        # Before `audit` has recorded what was staged, an epoch of this number is not ours.
        sink, sent = session.sink(dataset.sink), epoch.counts is not None
        return sent and sink.carries(dataset.sink, epoch.flow, epoch.number)
    table = session.table(epoch.dataset)
    return session.store.transaction(table, application(epoch.flow)) >= epoch.number


def is_half_moved(session: Session, epoch: Epoch) -> bool:
    """Whether a replay of an earlier release has left its rows in table and quarantine.

    Those committed to the table first, and kept what they had read under a name of its own. Not
    if the quarantine is another by now: it was restored, and may lack the rows.
    """
    read = epoch.ranges.get(_READ_BY_EARLIER) if is_replay(epoch.flow) else None
    if read is None or not published(session, epoch):
        return False
    table = session.table(epoch.dataset + QUARANTINE)
    moved = session.store.transaction(table, application(epoch.flow)) >= epoch.number
    return not moved and session.store.version(table) == read.value.get("version")


def take_back(session: Session, gate: Path, epoch: Epoch) -> None:
    """Make all quarantines as they were before an epoch.

    All of them: which views a flow reads may have changed since.
    """
    for table in tables(session):
        if table.name.endswith(QUARANTINE):
            session.store.retract(table, application(epoch.flow), epoch.number, gate)


def tables(session: Session) -> list[TableRef]:
    """All tables, also those of datasets that are no longer declared.

    A folder without a log is one only if its name, or the ledger, says so: it may be the
    author's own.
    """
    names = {n for d in session.pipeline.datasets for n in (d.name, d.quarantine)}
    names |= {e.dataset for e in session.ledger.open_epochs()}
    known = {session.table(n).location for n in names}

    def ours(table: TableRef) -> bool:
        named = table.location in known or table.name.endswith(QUARANTINE)
        return named or session.store.version(table) is not None

    return [t for t in session.store.tables(str(session.project.tables)) if ours(t)]


def publish_epoch(attempt: Attempt) -> int | None:
    """Make an epoch visible; the new version of its table, None for a sink.

    Quarantine first: a row that leaves the table is never nowhere.

    Raises:
        HistoryMismatchError: a sink holds an epoch of that number that is not this one.
    """
    session, epoch = attempt.session, attempt.epoch
    over = starts_over(session, epoch)
    for table, staged, change in _quarantines(attempt, over):
        # Epochs without a quarantined row leave no commit here.
        session.store.publish(_commit(attempt, table, staged, change, gaps=True))
    delivery = attempt.delivery
    if delivery is not None:
        staging, again = attempt.work.output.folder, attempt.again
        session.sink(delivery.target).publish(delivery, staging, attempt.staged.table, again)
        return None
    table = session.table(epoch.dataset)
    change = Change.REPLACE if epoch.replaces else Change.APPEND
    return session.store.publish(_commit(attempt, table, attempt.staged.table, change, gaps=over))


def starts_over(session: Session, epoch: Epoch) -> bool:
    """Whether this is the flow's first epoch after a full refresh (or replaces all anyway)."""
    last = session.ledger.last_epoch(epoch.flow)
    return epoch.replaces or last is None or last.generation < epoch.generation


def touched(attempt: Attempt) -> tuple[TableRef, ...]:
    """The tables that an epoch may commit to."""
    session, compiled = attempt.session, attempt.compiled
    datasets = [v.dataset for v in compiled.views] + [compiled.dataset]
    names = [d.quarantine for d in datasets]
    if compiled.dataset.sink is None:
        names.append(compiled.dataset.name)
    return tuple(session.table(n) for n in names)


def unpublished(attempt: Attempt) -> frozenset[Path]:
    """The folders of staged files that no commit of the epoch has made part of a table."""
    store = attempt.session.store
    application, number = attempt.compiled.flow.application, attempt.epoch.number
    return frozenset(
        store.staging(t) for t in touched(attempt) if store.transaction(t, application) < number
    )


def _quarantines(attempt: Attempt, over: bool) -> Iterator[tuple[TableRef, StagedTable, Change]]:
    """What becomes of the quarantines that the epoch may put rows into."""
    session, work, compiled = attempt.session, attempt.work, attempt.compiled
    found = attempt.staged.quarantines
    application = compiled.flow.application
    for view in compiled.views:
        name = view.dataset.name
        table = session.table(view.dataset.quarantine)
        # The view's rows are computed from the start: what the flow put there before is old.
        if name in found or (over and session.store.transaction(table, application)):
            staged = found.get(name)
            if staged is None:
                # Rows of other flows may stay, and with them the columns.
                staged = StagedTable(session.store.snapshot(table).schema, ())
            yield table, staged, Change.REPLACE_OWN if over else Change.APPEND
    table = session.table(compiled.dataset.quarantine)
    replaces = attempt.epoch.replaces
    if work.dataset in found or (replaces and session.store.version(table) is not None):
        # Replace it even without rows: its columns must be those that the table has from now on.
        columns = Schema(quarantine_fields(attempt.staged.table.schema))
        staged = found.get(work.dataset) or StagedTable(columns, ())
        anew = replaces or compiled.readmits
        yield table, staged, Change.REPLACE if anew else Change.APPEND


def _commit(
    attempt: Attempt, table: TableRef, staged: StagedTable, change: Change, gaps: bool
) -> Commit:
    epoch, dataset = attempt.epoch, attempt.compiled.dataset
    commit = Commit(
        table=table,
        schema=staged.schema,
        files=staged.files,
        change=change,
        application=attempt.compiled.flow.application,
        number=epoch.number,
        info={"qanat.update": epoch.update, "qanat.flow": epoch.flow},
        gaps=gaps,
        gate=attempt.current.gate,
    )
    if table.name != dataset.name:
        return commit  # a quarantine has no comment, properties or partitions of the dataset's
    return replace(
        commit,
        partition_by=dataset.partition_by,
        comment=dataset.comment,
        properties=dict(dataset.properties),
    )
