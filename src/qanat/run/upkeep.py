"""Maintenance: small files become larger ones, and what nothing needs any more is deleted.

The first is an epoch (`<dataset>::maintain`) on the stages of all others: it reads no source and
changes no row, and is given up where it was interrupted. The second deletes what the table has
lost for longer than its retention, and is harmless to break off; it has no epoch.

What streams of the project have still to read stays, whatever the retention says: they read old
versions file by file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qanat import plugins
from qanat.disk import explained
from qanat.errors import CommitConflictError, QanatError
from qanat.model.event import Warned
from qanat.model.name import fold, same
from qanat.model.pipeline import Dataset, DatasetKind, Flow, upkeep_flow
from qanat.model.query import DATASET, Rearranging, SqlQuery, dataset_ref
from qanat.model.record import Range
from qanat.model.table import TableRef
from qanat.model.upkeep import MANY, Cleaned, Layout, Needed, Policy, TableUpkeep, Upkeep
from qanat.planning.graph import select
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.entry import LedgerEntry, forget_updates, open_update, working_on
from qanat.run.epoch import run_epoch
from qanat.run.inputs import REFERENCE
from qanat.run.memo import CompiledFlow
from qanat.run.past import SNAPSHOT
from qanat.run.recovery import start_clean
from qanat.run.session import Session
from qanat.run.settling import carried_beside
from qanat.run.sides import state_of
from qanat.text import count

_TRIES = 3
"""How often files are chosen anew where another writer has removed some of them meanwhile."""
_OPEN = 1000
"""Versions of a quarantine that are looked at for commits that may be taken back."""
_EVERY = 16
"""Versions between two looks whether maintenance after an update pays."""


def maintain(
    session: Session,
    names: Sequence[str] = (),
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
    dry_run: bool = False,
) -> Upkeep:
    """Maintain tables: compact them, and delete what is old.

    Args:
        names: datasets, or patterns of names; default: all.
        observers: get every event as it happens.
        wait: seconds to wait for updates of the same datasets; True: as long as it takes.
        dry_run: only look; nothing is written.

    Raises:
        SelectionError: a name matches nothing.
        UpdateRunningError: an update works on one of the datasets.
        QanatError: the store refuses.
    """
    session.require()
    chosen = _chosen(session, names)
    environment = session.project.environment
    if dry_run:
        looked = [_looked_at(session, d, t) for d in chosen for t in _tables(session, d)]
        return Upkeep("", environment, True, tuple(looked))
    done: list[TableUpkeep] = []
    opening = open_update(
        session, lambda: [d.name for d in chosen], observers, command="maintain", wait=wait
    )
    with opening as opened, explained("use"):
        running, entry = opened.running, opened.entry
        start_clean(running, entry.begin)
        for dataset in chosen:
            if tables := _tables(session, dataset):
                with working_on(running, dataset) as ending:
                    found = [_maintain(running, dataset, t, entry) for t in tables]
                    ending.status = "unchanged" if all(t.idle for t in found) else "updated"
                    ending.reason = _summary(found)
                done += found
        while forget_updates(session, running.lease.latest, entry.started):
            pass  # some at a time, so that other updates need not wait for the ledger
    return Upkeep(entry.id if entry.begun else "", environment, False, tuple(done))


def maintain_after(running: RunningUpdate, entry: LedgerEntry, grown: Mapping[str, int]) -> None:
    """Maintain what an update has made grow, where it pays; no error of that fails the update.

    Args:
        grown: datasets, each with how many epochs the update has committed.
    """
    for name, epochs in grown.items():
        dataset = running.session.pipeline.dataset(name)
        try:
            _maintain_after(running, dataset, entry, epochs)
        except QanatError as error:
            running.unless_stopping()
            running.tell(Warned(name, f"it was not maintained: {error.message}"))


def _maintain_after(
    running: RunningUpdate, dataset: Dataset, entry: LedgerEntry, epochs: int
) -> None:
    session, policy = running.session, policy_of(running.session, dataset)
    for table in _tables(session, dataset) if policy.automatic else ():
        version = session.store.version(table) or 0
        # To look costs little, but not nothing: once in so many versions will do.
        if version < _EVERY or version % _EVERY >= epochs:
            continue
        layout = _layout(session, dataset, table, policy, thorough=False)
        if layout.gone - layout.new >= MANY - 1:
            _compact(running, dataset, table, entry, layout)
            needed, confirm = _needed(session, table), running.lease.confirm
            session.store.clean(table, policy, needed, confirm, running.gate)


def policy_of(session: Session, dataset: Dataset) -> Policy:
    """How the tables of a dataset are maintained: as it says, or else as the project does."""
    default = Policy.of(session.project.configuration, (), None)
    return Policy.of(dict(dataset.properties), dataset.cluster_by, default)


# -- what there is ---------------------------------------------------------------------------


def _chosen(session: Session, names: Sequence[str]) -> list[Dataset]:
    found = select(session.graph, session.pipeline, names) if names else session.graph.order
    return [session.pipeline.dataset(n) for n in session.graph.order if n in found]


def _tables(session: Session, dataset: Dataset) -> list[TableRef]:
    """The tables of a dataset that are there: its own, its quarantine and its states."""
    names = (dataset.name, dataset.quarantine) if dataset.stored else (dataset.quarantine,)
    flows = session.analysis.flows_into(dataset.name)
    states = (state_of(session, flow) for flow in flows)
    found = [*(session.table(n) for n in names), *(t for t in states if t is not None)]
    store, scope = session.store, session.scope
    return [t for t in found if store.version(t) is not None and store.owner(t) in (None, scope)]


def _layout(
    session: Session, dataset: Dataset, table: TableRef, policy: Policy, thorough: bool
) -> Layout:
    own = same(table.name, dataset.name)
    return session.store.layout(
        table,
        policy if own else replace(policy, cluster_by=()),
        thorough=thorough,
        # Several flows put rows there, and each may replace its own.
        by_flow=dataset.kind is DatasetKind.TEMPORARY_VIEW,
        settled=_settled(session, table),
    )


def _needed(session: Session, table: TableRef) -> Needed:
    """What streams and open epochs still want of a table's past."""
    ref = dataset_ref(table.name)
    source, streamed = session.source(ref), plugins.connector(DATASET).keys(table.name)
    after: dict[str, int] = {}
    versions: list[int] = []
    for past in session.recorded.sources():
        if past.key in streamed:
            position = session.recorded.position(
                past.flow, past.dataset, past.generation, past.key
            )
            reached = None if position is None else source.reached(position)
            if reached is not None:
                after[past.dataset] = min(reached, after.get(past.dataset, reached))
    keys = {*streamed, *(SNAPSHOT + k for k in streamed), REFERENCE + fold(table.name)}
    for epoch in session.recorded.open_epochs():
        for key in keys & epoch.ranges.keys():
            versions += source.looked_at(epoch.ranges[key].value)
    settled = _settled(session, table)
    # Fences, and the same rows in other files, are nothing that a stream has still to read.
    change = session.store.last_change(table)
    behind = tuple(sorted(n for n, v in after.items() if change is not None and v < change))
    return Needed(min(after.values(), default=None), tuple(versions), settled, behind)


def _settled(session: Session, table: TableRef) -> int | None:
    """The newest version of a quarantine up to which no commit can be taken back; -1 if none.

    None for any other table, whose commits all stay.
    """
    store = session.store
    carried = carried_beside(session, store, table, session.table, own=True)
    if carried is None:
        return None
    newest = store.version(table) or 0
    found = store.settled(table, max(newest - _OPEN, -1), carried)
    return -1 if found is None else found


# -- one table -------------------------------------------------------------------------------


def _looked_at(session: Session, dataset: Dataset, table: TableRef) -> TableUpkeep:
    policy = policy_of(session, dataset)
    layout = _layout(session, dataset, table, policy, thorough=True)
    needed = _needed(session, table)
    stale = session.store.stale(table, policy, needed)
    files = layout.files - layout.gone + layout.new
    return _told(table, layout, needed, stale, (layout.version, files, layout.bytes))


def _maintain(
    running: RunningUpdate, dataset: Dataset, table: TableRef, entry: LedgerEntry
) -> TableUpkeep:
    session = running.session
    policy = policy_of(session, dataset)
    layout = _compacted(running, dataset, table, policy, entry)
    needed = _needed(session, table)
    cleaned = session.store.stale(table, policy, needed)
    if not cleaned.idle:
        # Before it deletes anything: recovery looks after updates that the ledger knows.
        entry.begin()
        cleaned = session.store.clean(table, policy, needed, running.lease.confirm, running.gate)
    now = session.store.snapshot(table)
    return _told(table, layout, needed, cleaned, (now.version, now.files, now.bytes))


def _told(
    table: TableRef, layout: Layout, needed: Needed, cleaned: Cleaned, after: tuple[int, int, int]
) -> TableUpkeep:
    """What maintenance did to a table, or would do.

    Args:
        after: its version, how many files it has, and their bytes.
    """
    version, files, size = after
    return TableUpkeep(
        table=table.name,
        version=version,
        files_before=layout.files,
        files_after=files,
        bytes_before=layout.bytes,
        bytes_after=size,
        compacted=layout.gone,
        cleaned=cleaned,
        kept_for=needed.by,
        note=layout.why_not,
    )


def _compacted(
    running: RunningUpdate,
    dataset: Dataset,
    table: TableRef,
    policy: Policy,
    entry: LedgerEntry,
) -> Layout:
    """Write all small files of a table again; which ones that were."""
    for left in reversed(range(_TRIES)):
        layout = _layout(running.session, dataset, table, policy, thorough=True)
        try:
            if layout.bins:
                _compact(running, dataset, table, entry, layout)
            return layout
        except CommitConflictError:
            # Another writer has removed some of the files: what is left is chosen anew.
            running.lease.confirm()
            if not left:
                raise
    return layout


def _compact(
    running: RunningUpdate,
    dataset: Dataset,
    table: TableRef,
    entry: LedgerEntry,
    layout: Layout,
) -> None:
    """Write files of a table again, in one epoch."""
    session, where = running.session, dataset.location
    nothing = SqlQuery("", "", session.dialect, (), where)
    compiled = CompiledFlow(
        flow=Flow(upkeep_flow(dataset.name), dataset.name, nothing, where),
        # The receiver of a sink has nothing to do with it: only its quarantine is a table.
        dataset=replace(dataset, sink=None),
        query=Rearranging((), where),
        expectations=(),
        views=(),
        reads=(),
        view_reads=(),
        layouts={table.name: layout},
    )
    entry.begin()
    read = SNAPSHOT + dataset_ref(table.name).key
    run_epoch(
        running,
        compiled,
        {read: Range({"version": layout.version})},
        session.ledger.generation(dataset.name),
        replaces=False,
        # A temporary view has none: it is part of what reads it.
        fingerprint=session.analysis.definitions.get(dataset.name, ("", ""))[0],
    )


def _summary(found: Sequence[TableUpkeep]) -> str:
    compacted = sum(t.compacted for t in found)
    files = sum(t.cleaned.files for t in found)
    entries = sum(t.cleaned.entries for t in found)
    parts = [f"{count(compacted, 'file')} compacted"] if compacted else []
    parts += [f"{count(files, 'old file')} deleted"] if files else []
    parts += [f"{count(entries, 'log entry', 'log entries')} deleted"] if entries else []
    return ", ".join(parts) or "nothing to do"
