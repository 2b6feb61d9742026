"""All tables and sinks of a project, one line each."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from qanat.errors import QanatError
from qanat.frozen import Frozen
from qanat.model.pipeline import Dataset
from qanat.model.record import EpochStatus
from qanat.run.session import Session

_LOOKED_AT = 20
"""Epochs among which the last one that was committed is looked for."""


class DatasetSummary(Frozen):
    """A dataset and what its table has.

    Args:
        version: of its table; None if it has none (yet).
        rows: None where they are not known; `quarantined` those in its quarantine.
        updated: when its last epoch was committed, seconds since 1970 (UTC); None if none was.
        problem: why its table cannot be read.
        next_due: when a schedule is due next that updates it, seconds since 1970 (UTC); None if
            none is.
    """

    dataset: str
    kind: str
    version: int | None = None
    rows: int | None = None
    bytes: int | None = None
    quarantined: int = 0
    updated: float | None = None
    problem: str | None = None
    next_due: float | None = None


def overview(session: Session) -> tuple[DatasetSummary, ...]:
    """The datasets that an update works on, in its order: tables, materialized views and sinks.

    Raises:
        ProblemsError: the declarations are wrong.
    """
    session.require()
    found = map(session.pipeline.dataset, session.graph.order)
    due = dict[str, float]()
    if session.project.schedules:
        # Imported only here: few projects have schedules.
        due = import_module("qanat.run.scheduled").next_updates(session)
    return tuple(
        replace(_summary(session, d), next_due=due.get(d.name))
        for d in found
        if d.stored or d.sink is not None
    )


def _summary(session: Session, dataset: Dataset) -> DatasetSummary:
    epochs = session.recorded.epochs(dataset=dataset.name, limit=_LOOKED_AT)
    ended = (e.ended for e in epochs if e.status is EpochStatus.COMMITTED)
    updated, kind = next(ended, None), str(dataset.kind)
    version = rows = size = None
    quarantined = 0
    try:
        if dataset.stored and (read := session.readable(dataset.name)).version is not None:
            snapshot = read.store.snapshot(read.table)
            version, rows, size = snapshot.version, snapshot.rows, snapshot.bytes
        waiting = session.readable(dataset.quarantine)
        if waiting.version is not None:
            quarantined = waiting.store.snapshot(waiting.table).rows or 0
    except QanatError as error:
        return DatasetSummary(dataset.name, kind, updated=updated, problem=error.message)
    return DatasetSummary(dataset.name, kind, version, rows, size, quarantined, updated)
