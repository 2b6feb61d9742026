"""Look at quarantined rows, and move those that pass now into their tables."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from qanat.disk import explained
from qanat.errors import DatasetNotFoundError, OptionError, PlanError, full_refresh, nearest
from qanat.model.name import Names
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.quarantine import FAILED, MALFORMED
from qanat.model.rule import Predicate
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.table import Snapshot
from qanat.planning.graph import resolve
from qanat.ports.engine import Rows
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.entry import LedgerEntry, open_update, working_on
from qanat.run.memo import CompiledFlow
from qanat.run.mismatch import check_history
from qanat.run.origins import ORIGIN, find_origins
from qanat.run.recovery import start_clean
from qanat.run.replay import replay as move_rows
from qanat.run.results import FirstRows, QuarantineSummary, ReplayResult
from qanat.run.session import Session
from qanat.run.snapshots import takes_snapshots, way_back
from qanat.text import literal

_SOURCE = "_quarantine_source"


def summary(session: Session) -> tuple[QuarantineSummary, ...]:
    """How many rows each dataset has in quarantine, by rule; only datasets that have some."""
    summaries = []
    for name in session.graph.order:
        dataset = session.pipeline.dataset(name)
        snapshot = snapshot_of(session, dataset)
        if snapshot is None or not snapshot.rows:
            continue
        rules = session.engine.broken_rules(snapshot.batch)
        summaries.append(QuarantineSummary(dataset.name, snapshot.rows, rules))
    return tuple(summaries)


def rows(
    session: Session,
    dataset: str,
    limit: int = 20,
    rule: str | None = None,
    origins: bool = True,
    update: str | None = None,
) -> FirstRows:
    """The first quarantined rows of a dataset, with the rules they broke and their origins.

    Args:
        rule: only rows that broke this one.
        origins: whether to find out where they come from, for which epochs may be computed again.
        update: only rows that came in this one.

    Raises:
        DatasetNotFoundError: no such dataset.
        OptionError: no such rule.
    """
    owner = _dataset(session, dataset)
    snapshot = snapshot_of(session, owner)
    rule = rule and known_rule(session, owner, snapshot, rule)
    table = session.table(owner.quarantine)
    if snapshot is None:
        return FirstRows(
            owner.quarantine, "quarantine", table.location, -1, NO_COLUMNS, (), 0, 0, 0
        )
    came = None
    if update is not None:
        came = Predicate(f"_quarantine_update = {literal(update)}", session.dialect)
    quarantined = session.engine.quarantined(snapshot.batch, rule, limit, came)
    schema, values = quarantined.schema, quarantined.values
    if origins:
        schema, values = _with_origins(session, quarantined)
    return FirstRows(
        dataset=owner.quarantine,
        kind="quarantine",
        folder=table.location,
        version=snapshot.version,
        schema=schema,
        rows=values,
        total=quarantined.total,
        bytes=snapshot.bytes,
        files=snapshot.files,
    )


def _with_origins(session: Session, rows: Rows) -> tuple[Schema, Sequence[tuple[Any, ...]]]:
    """Rows of a quarantine with one more column, which tells where they come from."""
    at = rows.schema.names.index(_SOURCE)
    places = [_place(row[at]) for row in rows.values]
    found = find_origins(session, (p for p in places if p is not None))
    fields = (*rows.schema.fields[: at + 1], ORIGIN, *rows.schema.fields[at + 1 :])
    values = [
        (*row[: at + 1], None if place is None else found[place].value, *row[at + 1 :])
        for row, place in zip(rows.values, places, strict=True)
    ]
    return Schema(fields), values


def _place(source: Mapping[str, Any] | None) -> tuple[str, int | None] | None:
    file = (source or {}).get("file")
    return None if source is None or file is None else (str(file), source.get("row"))


def replay(
    session: Session,
    dataset: str | None = None,
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
) -> tuple[ReplayResult, ...]:
    """Check quarantined rows against the rules as they are now; move those that pass.

    Args:
        dataset: only this one; None for every streaming table that has quarantined rows.
        observers: get every event as it happens.
        wait: seconds to wait for updates of the same datasets; True: as long as it takes.

    Raises:
        DatasetNotFoundError: no such dataset.
        PlanError: its quarantine cannot be replayed (it is no streaming table).
        HistoryMismatchError: table, quarantine and ledger are not of the same time.
        UpdateRunningError: an update works on one of the datasets.
    """
    session.require()
    chosen = replayable(session, dataset)
    names = tuple(d.name for d in chosen)
    results = []
    opening = open_update(
        session, lambda: names, observers, command="quarantine replay", wait=wait
    )
    with opening as opened, explained("use"):
        start_clean(opened.running, opened.entry.begin)
        for each in chosen:
            result = _replay(opened.running, each, opened.entry)
            results.extend([] if result is None else [result])
    return tuple(results)


def _replay(running: RunningUpdate, dataset: Dataset, entry: LedgerEntry) -> ReplayResult | None:
    """Replay one dataset; None if it has no row in quarantine."""
    session = running.session
    with working_on(running, dataset) as ending:
        snapshot = checked(session, dataset)
        if snapshot is None:
            ending.status, ending.reason = "unchanged", "nothing in quarantine"
            return None
        entry.begin()
        result = move_rows(running, dataset, snapshot)
        ending.status = "updated" if result.replayed else "unchanged"
        ending.reason = f"{result.replayed:,} of {result.examined:,} rows pass now"
        return result


def checked(session: Session, dataset: Dataset) -> Snapshot | None:
    """The quarantine of a dataset as it is now; None if no row is in it.

    Raises:
        HistoryMismatchError: table, quarantine and ledger are not of the same time.
    """
    # Check first: a quarantine that was lost would look like an empty one.
    for compiled in session.analysis.flows_into(dataset.name):
        check_history(session, compiled)
    snapshot = snapshot_of(session, dataset)
    return snapshot if snapshot is not None and snapshot.rows else None


def rule_named(session: Session, dataset: str, rule: str) -> str:
    """A rule of a dataset as it is spelled, as `known_rule` has it."""
    owner = _dataset(session, dataset)
    return known_rule(session, owner, snapshot_of(session, owner), rule)


def known_rule(session: Session, dataset: Dataset, snapshot: Snapshot | None, rule: str) -> str:
    """A rule as it is spelled: one of the dataset, or that a row in its quarantine broke once.

    Raises:
        OptionError: there is none of that name; names the nearest.
    """
    declared = Names((*(e.name for e in dataset.expectations), MALFORMED, FAILED))
    found = declared.find(rule)
    if found is not None:
        return found
    broken = session.engine.broken_rules(snapshot.batch) if snapshot is not None else {}
    found = Names(broken).find(rule)
    if found is not None:
        return found
    known = dict.fromkeys((*declared, *broken))
    raise OptionError(
        f"{dataset.name} has no rule {rule!r}",
        location=dataset.location,
        wanted=" or ".join(known),
        nearest=nearest(rule, known),
    )


def _dataset(session: Session, name: str) -> Dataset:
    owner = resolve(session.pipeline, name)
    if owner is None:
        raise DatasetNotFoundError(
            f"no dataset {name!r}",
            nearest=nearest(name, [d.name for d in session.pipeline.datasets]),
        )
    return owner


def replayable(session: Session, dataset: str | None) -> list[Dataset]:
    """The streaming table of that name; None for all.

    Raises:
        DatasetNotFoundError: no such dataset.
        PlanError: it is no streaming table.
    """
    if dataset is None:
        all_ = [session.pipeline.dataset(n) for n in session.graph.order]
        tables = [d for d in all_ if d.kind is DatasetKind.STREAMING_TABLE]
        return [d for d in tables if not (_snapshots_of(session, d) or _results_of(session, d))]
    table = _dataset(session, dataset)
    if table.kind is DatasetKind.MATERIALIZED_VIEW:
        raise PlanError(
            f"{table.name} is a materialized view: its rows and its quarantine are computed anew",
            hint=f"qanat run --refresh {shlex.quote(table.name)}",
        )
    if table.kind is not DatasetKind.STREAMING_TABLE:
        raise PlanError(
            f"{table.name} is a {table.kind}: it has no table to move rows into",
            hint="put the rule on the streaming table that reads it",
        )
    for snapshots in _snapshots_of(session, table):
        raise PlanError(
            f"{table.name} takes snapshots: the rows in its quarantine are of the last one, and"
            " come again with the next",
            location=table.location,
            hint=way_back(snapshots),
        )
    if _results_of(session, table):
        raise PlanError(
            f"{table.name} has the results of groups: those in its quarantine may be outdated",
            location=table.location,
            hint="a group's next row computes its result again, and checks it; for all of them:"
            f" {full_refresh(table.name)}",
        )
    return [table]


def _results_of(session: Session, dataset: Dataset) -> list[CompiledFlow]:
    """The flows whose results replace earlier ones."""
    flows = session.analysis.flows_into(dataset.name)
    return [f for f in flows if f.stateful is not None and f.stateful.changes]


def _snapshots_of(session: Session, dataset: Dataset) -> list[CompiledFlow]:
    return [f for f in session.analysis.flows_into(dataset.name) if takes_snapshots(f)]


def snapshot_of(session: Session, dataset: Dataset) -> Snapshot | None:
    """A dataset's quarantine as it is now; None if no row was ever put there."""
    table = session.table(dataset.quarantine)
    return session.store.snapshot(table) if session.store.version(table) is not None else None
