"""Look at tables and at past updates; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.dialect import predicate
from qanat.model.expectation import Predicate
from qanat.model.location import Location
from qanat.model.record import Epoch, UpdateRecord
from qanat.planning.lineage import dataset_of
from qanat.run.results import HistoryEntry, TableView
from qanat.run.stored import stored
from qanat.run.workspace import Workspace

_ALL = 1_000_000
"""More epochs than one update has."""


def show(
    ws: Workspace,
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
        DatasetNotFoundError: nobody declares it.
        TableNotFoundError: it has no table (yet), or no such version.
        ColumnNotFoundError, QueryError, SqlSyntaxError: `where` does not fit the table.
    """
    found = stored(ws, dataset, version)
    condition = None
    if where is not None:
        rule = Predicate(where, ws.project.dialect)
        condition = predicate(rule, ws.dialect, Location("--where", 1, 1))
    schema, rows = ws.engine.fetch(found.snapshot.batch, limit, condition)
    declared = found.snapshot.schema
    # The log knows comments and NOT NULL, the engine only what it has read.
    return found.view(declared if declared.names == schema.names else schema, rows)


def history(
    ws: Workspace, dataset: str | None = None, limit: int = 20
) -> tuple[HistoryEntry, ...]:
    """The newest updates with their epochs.

    Args:
        dataset: only updates that worked on it, and only its epochs.
        limit: updates at most.

    Raises:
        DatasetNotFoundError: nobody declares it, and no epoch remembers it.
    """
    if dataset is None:
        return tuple(_entry(ws, u, None) for u in ws.memory.updates(limit))
    # A dataset that is no longer declared still has its history.
    known = dataset
    if not ws.memory.epochs(dataset=dataset, limit=1):
        known = dataset_of(ws.pipeline, dataset).name
    return tuple(_entry(ws, u, known) for u in _updates_of(ws, known, limit))


def _entry(ws: Workspace, update: UpdateRecord, dataset: str | None) -> HistoryEntry:
    epochs = ws.memory.epochs(update=update.id, dataset=dataset, limit=_ALL)
    return HistoryEntry(update, tuple(reversed(epochs)))


def _updates_of(ws: Workspace, dataset: str, limit: int) -> list[UpdateRecord]:
    """The newest updates that have epochs of a dataset."""
    wanted = _ids(ws, dataset, limit)
    ask = limit
    while True:
        updates = ws.memory.updates(ask)
        found = [u for u in updates if u.id in wanted]
        if len(found) == len(wanted) or len(updates) < ask:
            return found
        ask *= 4


def _ids(ws: Workspace, dataset: str, limit: int) -> set[str]:
    """The identifiers of the newest updates of a dataset, as many as asked for."""
    ask = limit
    while True:
        epochs: Sequence[Epoch] = ws.memory.epochs(dataset=dataset, limit=ask)
        ids = list(dict.fromkeys(e.update for e in epochs))
        if len(ids) >= limit or len(epochs) < ask:
            return set(ids[:limit])
        ask *= 4
