"""Look at quarantined rows, and move those that pass now into their tables."""

from __future__ import annotations

import time
from collections.abc import Sequence

from qanat.disk import explained
from qanat.errors import DatasetNotFoundError, PlanError, QanatError, nearest
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.event import DatasetEnded, DatasetStarted, UpdateEnded, UpdateStarted
from qanat.model.record import UpdateStatus
from qanat.model.schema import NO_COLUMNS
from qanat.planning.graph import resolve
from qanat.ports.observer import Observer
from qanat.ports.store import Snapshot
from qanat.run.consistency import check_history
from qanat.run.diary import failure_of
from qanat.run.entry import Entry, new_id, telling
from qanat.run.epoch import Step
from qanat.run.gate import Gate
from qanat.run.lease import HeldLease
from qanat.run.recovery import start_clean
from qanat.run.replay import Replay
from qanat.run.results import QuarantineSummary, ReplayResult, TableView
from qanat.run.workspace import Workspace

_QUARANTINE = "__quarantine"
# By source, so that one asks twice and sees the same, in the order of the file.
_ORDER = (
    "ORDER BY _quarantine_epoch, _quarantine_source.file, _quarantine_source.row, _quarantine_id"
)


def summary(ws: Workspace) -> tuple[QuarantineSummary, ...]:
    """How many rows each dataset has in quarantine, by rule; only datasets that have some."""
    found = []
    for name in ws.graph.order:
        dataset = ws.pipeline.dataset(name)
        snapshot = _snapshot(ws, dataset)
        if snapshot is None or not snapshot.rows:
            continue
        _, rows = ws.engine.query(
            f'SELECT rule, count(*) FROM (SELECT unnest(map_keys("_quarantine_rules")) AS rule '
            f'FROM "{_QUARANTINE}") GROUP BY rule ORDER BY count(*) DESC, rule',
            {_QUARANTINE: snapshot.batch},
        )
        found.append(QuarantineSummary(dataset.name, snapshot.rows, {r[0]: r[1] for r in rows}))
    return tuple(found)


def rows(ws: Workspace, dataset: str, limit: int = 20, rule: str | None = None) -> TableView:
    """The first quarantined rows of a dataset, with the rules they broke.

    Args:
        rule: only rows that broke this one.

    Raises:
        DatasetNotFoundError: no such dataset.
    """
    found = _dataset(ws, dataset)
    snapshot = _snapshot(ws, found)
    folder = str(ws.folder(found.quarantine))
    if snapshot is None:
        return TableView(found.quarantine, "quarantine", folder, -1, NO_COLUMNS, (), 0, 0, 0)
    inputs = {_QUARANTINE: snapshot.batch}
    where, total = "", snapshot.rows
    if rule is not None:
        text = rule.replace("'", "''")
        where = f" WHERE list_contains(map_keys(\"_quarantine_rules\"), '{text}')"
        _, counted = ws.engine.query(f'SELECT count(*) FROM "{_QUARANTINE}"{where}', inputs)
        total = counted[0][0]
    schema, values = ws.engine.query(
        f'SELECT * FROM "{_QUARANTINE}"{where} {_ORDER} LIMIT {int(limit)}', inputs
    )
    return TableView(
        dataset=found.quarantine,
        kind="quarantine",
        folder=folder,
        version=snapshot.version,
        schema=schema,
        rows=values,
        total=total,
        bytes=snapshot.bytes,
        files=snapshot.files,
    )


def replay(
    ws: Workspace, dataset: str | None = None, observers: Sequence[Observer] = ()
) -> tuple[ReplayResult, ...]:
    """Check quarantined rows against the rules as they are now; move those that pass.

    Args:
        dataset: only this one; None for every streaming table that has quarantined rows.

    Raises:
        DatasetNotFoundError: no such dataset.
        PlanError: its quarantine cannot be replayed (it is no streaming table).
        HistoryMismatchError: table, quarantine and ledger are not of the same time.
        UpdateRunningError: an update is running.
    """
    ws.require()
    chosen = _replayable(ws, dataset)
    started = time.monotonic()
    id = new_id()
    results = []
    with HeldLease(ws.ledger, id) as lease:
        gate = Gate(ws.gates, lease)
        entry = Entry(ws, id, gate, "quarantine replay")
        tell = telling((entry.diary, *observers))
        step = Step(ws, lease, gate.folder, id, time.time_ns(), tell)
        tell(UpdateStarted(id, ws.project.environment, tuple(d.name for d in chosen)))
        status, failure = UpdateStatus.FAILED, None
        try:
            with explained("use"):
                start_clean(step, entry.begin)
                for each in chosen:
                    result = _replay(step, each, entry)
                    results.extend([] if result is None else [result])
            status = UpdateStatus.SUCCEEDED
        except QanatError as caught:
            told = lease.judged(caught)
            failure = failure_of(told)
            raise told from told.__cause__
        finally:
            ended = UpdateEnded(id, str(status), time.monotonic() - started, failure)
            entry.end(ended)
            tell(ended)
    return tuple(results)


def _replay(step: Step, dataset: Dataset, entry: Entry) -> ReplayResult | None:
    """Replay one dataset; None if it has no row in quarantine."""
    ws, started = step.ws, time.monotonic()
    step.tell(DatasetStarted(dataset.name, str(dataset.kind)))
    status, reason, failure = "failed", "it did not come to its end", None
    try:
        # Before it is looked into: a quarantine that was lost is not empty.
        if (stuck := step.stuck.get(dataset.name.casefold())) is not None:
            raise stuck
        for compiled in ws.analysis.flows_into(dataset.name):
            check_history(ws, compiled)
        snapshot = _snapshot(ws, dataset)
        if snapshot is None or not snapshot.rows:
            status, reason = "unchanged", "nothing in quarantine"
            return None
        entry.begin()
        result = Replay(step, dataset).run(snapshot)
        status = "updated" if result.replayed else "unchanged"
        reason = f"{result.replayed:,} of {result.examined:,} rows pass now"
        return result
    except QanatError as error:
        reason, failure = error.message, failure_of(error)
        raise
    finally:
        seconds = time.monotonic() - started
        step.tell(DatasetEnded(dataset.name, status, reason, seconds, failure))


def _dataset(ws: Workspace, name: str) -> Dataset:
    found = resolve(ws.pipeline, name)
    if found is None:
        raise DatasetNotFoundError(
            f"no dataset {name!r}", nearest=nearest(name, [d.name for d in ws.pipeline.datasets])
        )
    return found


def _replayable(ws: Workspace, dataset: str | None) -> list[Dataset]:
    if dataset is None:
        all_ = [ws.pipeline.dataset(n) for n in ws.graph.order]
        return [d for d in all_ if d.kind is DatasetKind.STREAMING_TABLE]
    found = _dataset(ws, dataset)
    if found.kind is DatasetKind.MATERIALIZED_VIEW:
        raise PlanError(
            f"{found.name} is a materialized view: its rows and its quarantine are computed anew",
            hint=f"qanat run --refresh {found.name}",
        )
    if found.kind is not DatasetKind.STREAMING_TABLE:
        raise PlanError(
            f"{found.name} is a {found.kind}: it has no table to move rows into",
            hint="put the rule on the streaming table that reads it",
        )
    return [found]


def _snapshot(ws: Workspace, dataset: Dataset) -> Snapshot | None:
    folder = str(ws.folder(dataset.quarantine))
    return ws.store.snapshot(folder) if ws.store.version(folder) is not None else None
