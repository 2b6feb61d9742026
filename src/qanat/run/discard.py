"""Throw quarantined rows away, for good: an epoch, so that the history knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qanat.disk import explained
from qanat.model.pipeline import Dataset
from qanat.model.query import Discard
from qanat.model.record import Range
from qanat.model.rule import Predicate
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.entry import LedgerEntry, open_update, working_on
from qanat.run.epoch import run_epoch
from qanat.run.export import QuarantineExport, asks_origin
from qanat.run.inputs import key_of
from qanat.run.quarantine import checked, known_rule, replayable, snapshot_of
from qanat.run.query import condition_of
from qanat.run.recovery import start_clean
from qanat.run.replay import Way, replay_of
from qanat.run.results import DiscardResult
from qanat.run.session import Session
from qanat.text import count


def discarding(session: Session, dataset: str, rule: str | None, where: str | None) -> int:
    """How many rows a discard would throw away, to be asked about first.

    Raises:
        DatasetNotFoundError: no such dataset.
        PlanError: its quarantine is computed anew with its rows (it is no streaming table).
        OptionError: there is no such rule.
        ColumnNotFoundError, QueryError, SqlSyntaxError: `where` does not fit.
    """
    (owner,) = replayable(session, dataset)
    snapshot = snapshot_of(session, owner)
    rule = rule and known_rule(session, owner, snapshot, rule)
    if snapshot is None:
        return 0
    if asks_origin(where):
        return QuarantineExport(session, owner.name, where, rule).count()
    condition = condition_of(session, where)
    return session.engine.quarantined(snapshot.batch, rule, 0, condition).total or 0


def discard(
    session: Session,
    dataset: str,
    rule: str | None = None,
    where: str | None = None,
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
) -> DiscardResult:
    """Throw rows of a quarantine away, once and for good.

    Args:
        rule: only rows that broke this one.
        where: only rows for which this condition, in the project's dialect, is true; it may name
            `_quarantine_origin`.
        observers: get every event as it happens.
        wait: seconds to wait for updates of the same dataset; True: as long as it takes.

    Raises:
        DatasetNotFoundError, PlanError, QueryError: as `discarding` tells.
        HistoryMismatchError: table, quarantine and ledger are not of the same time.
        UpdateRunningError: an update works on the dataset.
    """
    session.require()
    condition = condition_of(session, where)
    (owner,) = replayable(session, dataset)
    opening = open_update(
        session, lambda: (owner.name,), observers, command="quarantine discard", wait=wait
    )
    with opening as opened, explained("use"):
        start_clean(opened.running, opened.entry.begin)
        with working_on(opened.running, owner) as ending:
            result = _discard(opened.running, owner, opened.entry, rule, condition)
            ending.status = "updated" if result.discarded else "unchanged"
            ending.reason = f"{count(result.discarded, 'row')} of the quarantine discarded"
            return result


def _discard(
    running: RunningUpdate,
    dataset: Dataset,
    entry: LedgerEntry,
    rule: str | None,
    where: Predicate | None,
) -> DiscardResult:
    session = running.session
    snapshot = checked(session, dataset)
    rule = rule and known_rule(session, dataset, snapshot, rule)
    if snapshot is None:
        return DiscardResult(dataset.name, 0, 0)
    entry.begin()
    # No row comes back, so that none changes the table, nor keeps a rule.
    replay = replay_of(session, dataset, Way((), None))
    (read,) = replay.reads
    query = Discard((read,), dataset.location, rule, where.sql if where else None)
    if where is not None and asks_origin(where.sql):
        export = QuarantineExport(session, dataset.name, rule=rule)
        query = replace(query, origins=str(export.write_origins(session.scratch)))
    done = run_epoch(
        running,
        replace(replay, query=query),
        {key_of(read): Range({"version": snapshot.version})},
        session.ledger.generation(dataset.name),
        replaces=False,
        fingerprint=session.analysis.definitions[dataset.name][0],
    )
    gone = done.epoch.counts.dropped if done and done.epoch.counts else 0
    return DiscardResult(dataset.name, gone, (snapshot.rows or 0) - gone)
