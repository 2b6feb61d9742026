"""Look at tables and at past updates; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qanat.errors import UpdateNotFoundError, nearest
from qanat.model.event import EventRecord, facts_of
from qanat.model.metrics import Metrics
from qanat.model.name import same
from qanat.model.record import Epoch, UpdateRecord, UpdateStatus
from qanat.model.staged import RuleCount
from qanat.planning.lineage import dataset_of
from qanat.ports.ledger import Ledger
from qanat.run.checked import LastCheck
from qanat.run.export import QuarantineExport, asks_origin
from qanat.run.known import remembered
from qanat.run.query import condition_of
from qanat.run.results import FirstRows, HistoryEntry, UpdateEvents
from qanat.run.session import Session
from qanat.run.stored import QUARANTINED, stored
from qanat.run.watching import LAST

_PAGE = 1000
_LOOKED_BACK = 50
"""Epochs among which to look for what the rules of a dataset found last."""
_SUGGESTIONS = 1000
"""Updates among whose identifiers to look for the one that was meant."""


def show(
    session: Session,
    dataset: str,
    limit: int = 20,
    where: str | None = None,
    version: int | None = None,
) -> FirstRows:
    """The first rows of a table.

    Args:
        dataset: a streaming table, a materialized view, or `<dataset>__quarantine`.
        limit: rows at most.
        where: only rows for which this condition, in the project's dialect, is true. Of a
            quarantine it may name `_quarantine_origin`, which the rows then have, too.
        version: the table as it was then; default: as it is.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
        TableNotFoundError: it has no table (yet), or no such version.
        ColumnNotFoundError, QueryError, SqlSyntaxError: `where` does not fit the table.
    """
    table = stored(session, dataset, version)
    if table.kind == QUARANTINED and asks_origin(where):
        owner = dataset_of(session.pipeline, dataset).name
        with QuarantineExport(session, owner, where, version=version).read(limit) as reading:
            traced = tuple(row for chunk in reading.chunks() for row in chunk)
            return table.first_rows(reading.schema, traced)
    fetched = session.engine.fetch(table.snapshot.batch, limit, condition_of(session, where))
    schema, rows = fetched.schema, fetched.values
    declared = table.snapshot.schema
    # The log knows comments and NOT NULL, the engine only what it has read.
    first = table.first_rows(declared if declared.names == schema.names else schema, rows)
    own = table.kind != QUARANTINED and version is None and not table.environment
    return replace(first, checks=tuple(_last_checks(session, table.name))) if own else first


def _last_checks(session: Session, name: str) -> Iterator[LastCheck]:
    """The expectations of a dataset, each with what the newest epoch found that looked at it."""
    dataset = session.pipeline.get(name)
    if dataset is None or not dataset.expectations:
        return
    found: dict[str, tuple[RuleCount, float | None]] = {}
    for epoch in session.recorded.epochs(dataset=dataset.name, limit=_LOOKED_BACK):
        for rule in epoch.rules:
            if same(rule.dataset, dataset.name):
                found.setdefault(rule.rule, (rule, epoch.ended))
    for each in dataset.expectations:
        last, at = found.get(each.name, (None, None))
        tolerance = None if each.tolerance is None else str(each.tolerance)
        action, severity = str(each.action), str(each.severity)
        yield LastCheck(each.name, each.text, action, severity, tolerance, last, at)


def history(
    session: Session, dataset: str | None = None, limit: int = 20
) -> tuple[HistoryEntry, ...]:
    """The newest updates with their epochs.

    Args:
        dataset: only updates that worked on it, and only its epochs.
        limit: updates at most.

    Raises:
        DatasetNotFoundError: no such dataset is declared, and none has epochs.
    """
    if dataset is None:
        updates = truly(session.recorded, session.recorded.updates(limit))
        return tuple(_entry(session, u, None) for u in updates)
    known = remembered(session, dataset)
    updates = truly(session.recorded, _updates_of(session, known, limit))
    return tuple(_entry(session, u, known) for u in updates)


def metrics(session: Session, dataset: str, limit: int = 20) -> tuple[Metrics, ...]:
    """What the newest updates have brought into a dataset, by flow, newest first.

    Args:
        limit: entries at most.

    Raises:
        DatasetNotFoundError: no such dataset is declared, and none has epochs.
    """
    return tuple(session.recorded.metrics(remembered(session, dataset), limit))


def truly(ledger: Ledger, updates: Sequence[UpdateRecord]) -> list[UpdateRecord]:
    """Updates as they are, also where the ledger still says of one that has crashed that it runs.

    That is so until an update removes what it has left, which others may keep busy.
    """
    running = any(u.status is UpdateStatus.RUNNING for u in updates)
    crashed = {u.id: u for u in ledger.crashed_updates()} if running else {}
    return [crashed[u.id].as_crashed if u.id in crashed else u for u in updates]


def _entry(session: Session, update: UpdateRecord, dataset: str | None) -> HistoryEntry:
    epochs = session.recorded.epochs(update=update.id, dataset=dataset)
    return HistoryEntry(update, tuple(reversed(epochs)))


def _updates_of(session: Session, dataset: str, limit: int) -> list[UpdateRecord]:
    """The newest updates that have epochs of a dataset."""
    wanted = _ids(session, dataset, limit)
    ask = limit
    while True:
        updates = session.recorded.updates(ask)
        known = [u for u in updates if u.id in wanted]
        if len(known) == len(wanted) or len(updates) < ask:
            return known
        ask *= 4


def _ids(session: Session, dataset: str, limit: int) -> set[str]:
    """The identifiers of the newest updates of a dataset, as many as asked for."""
    ask = limit
    while True:
        epochs: Sequence[Epoch] = session.recorded.epochs(dataset=dataset, limit=ask)
        ids = list(dict.fromkeys(e.update for e in epochs))
        if len(ids) >= limit or len(epochs) < ask:
            return set(ids[:limit])
        ask *= 4


def update_events(session: Session, update: str, dataset: str | None = None) -> UpdateEvents:
    """What an update has told: of one that runs, up to its last write to the ledger.

    Args:
        update: its identifier, as `history` gives it, or `last` for the newest.
        dataset: only the events about this dataset.

    Raises:
        UpdateNotFoundError: no update of this environment has that identifier.
        DatasetNotFoundError: no such dataset is declared, and none has epochs.
    """
    ledger = session.recorded
    newest = ledger.updates(1) if update == LAST else []
    record = newest[0] if newest else ledger.update(update)
    if record is None:
        known = [u.id for u in ledger.updates(_SUGGESTIONS)]
        raise UpdateNotFoundError(
            f"no update {update!r} in environment {session.project.environment}",
            nearest=nearest(update, known),
            hint="qanat history lists them",
        )
    (record,) = truly(ledger, [record])
    records = _events(ledger, record.id)
    if dataset is not None:
        dataset = remembered(session, dataset)
        about = ((r, facts_of(r.event).get("dataset")) for r in records)
        return UpdateEvents(record, tuple(r for r, name in about if _is(name, dataset)))
    return UpdateEvents(record, tuple(records))


def _is(name: object, dataset: str) -> bool:
    return isinstance(name, str) and same(name, dataset)


def _events(ledger: Ledger, update: str) -> Iterator[EventRecord]:
    after = 0
    while page := ledger.events(update, after, _PAGE):
        yield from page
        after = page[-1].number
