"""Look at tables and at past updates; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.dialect import predicate
from qanat.errors import Location
from qanat.model.pipeline import Predicate
from qanat.model.record import Epoch, UpdateRecord
from qanat.planning.lineage import dataset_of
from qanat.run.results import HistoryEntry, TableView
from qanat.run.session import Session
from qanat.run.stored import stored

_ALL = 1_000_000
"""More epochs than one update has."""


def show(
    session: Session,
    dataset: str,
    limit: int = 20,
    where: str | None = None,
    version: int | None = None,
) -> TableView:
    """The first rows of a table.

    Args:
        dataset: a streaming table, a materialized view, or `<dataset>__quarantine`.
        limit: rows at most.
        where: only rows for which this condition, in the project's dialect, is true.
        version: the table as it was then; default: as it is.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
        TableNotFoundError: it has no table (yet), or no such version.
        ColumnNotFoundError, QueryError, SqlSyntaxError: `where` does not fit the table.
    """
    found = stored(session, dataset, version)
    condition = None
    if where is not None:
        rule = Predicate(where, session.project.dialect)
        text = predicate(rule, session.dialect, Location("--where", 1, 1))
        condition = Predicate(text, session.dialect)
    fetched = session.engine.fetch(found.snapshot.batch, limit, condition)
    schema, rows = fetched.schema, fetched.values
    declared = found.snapshot.schema
    # The log knows comments and NOT NULL, the engine only what it has read.
    return found.view(declared if declared.names == schema.names else schema, rows)


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
        return tuple(_entry(session, u, None) for u in session.recorded.updates(limit))
    # A dataset that is no longer declared still has its history.
    known = dataset
    if not session.recorded.epochs(dataset=dataset, limit=1):
        known = dataset_of(session.pipeline, dataset).name
    return tuple(_entry(session, u, known) for u in _updates_of(session, known, limit))


def _entry(session: Session, update: UpdateRecord, dataset: str | None) -> HistoryEntry:
    epochs = session.recorded.epochs(update=update.id, dataset=dataset, limit=_ALL)
    return HistoryEntry(update, tuple(reversed(epochs)))


def _updates_of(session: Session, dataset: str, limit: int) -> list[UpdateRecord]:
    """The newest updates that have epochs of a dataset."""
    wanted = _ids(session, dataset, limit)
    ask = limit
    while True:
        updates = session.recorded.updates(ask)
        found = [u for u in updates if u.id in wanted]
        if len(found) == len(wanted) or len(updates) < ask:
            return found
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
