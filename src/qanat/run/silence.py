"""Flows of which nothing has come for longer than their history lets expect."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping

from qanat.model.anomaly import FRESHNESS, Anomaly, OnAnomaly
from qanat.model.event import Warned
from qanat.model.metrics import Watched
from qanat.model.name import Names
from qanat.run.attempt import RunningUpdate
from qanat.run.session import Session
from qanat.run.watching import action_of


def tell_of_silence(running: RunningUpdate, datasets: Collection[str]) -> Mapping[str, str]:
    """Warn of datasets into which nothing has come for too long; what was told, by dataset.

    Each silence is told once, and ends with the next rows.

    Args:
        datasets: those that are looked at.
    """
    ledger, now, names = running.session.ledger, time.time(), Names(datasets)
    late = [w for w in ledger.watched() if w.due is not None and w.due < now]
    found = [_silence(running, w, w.due or now, now) for w in late if w.dataset in names]
    told = [anomaly for anomaly in found if anomaly is not None]
    if told:
        ledger.keep_anomalies(told, running.lease.latest)
    for anomaly in told:
        running.tell(Warned(anomaly.dataset, anomaly.note))
    return {a.dataset: a.note for a in told}


def next_due(session: Session, datasets: Collection[str]) -> float:
    """When the next of these datasets should have brought something, seconds since 1970 (UTC)."""
    names = Names(datasets)
    due = (w.due for w in session.ledger.watched() if w.due is not None and w.dataset in names)
    return min(due, default=math.inf)


def _silence(running: RunningUpdate, of: Watched, due: float, now: float) -> Anomaly | None:
    dataset = running.session.pipeline.get(of.dataset)
    if dataset is None or action_of(running.session, dataset) is OnAnomaly.OFF:
        return None
    newest = next(iter(running.session.ledger.volumes(of.dataset, of.flow, 1)), None)
    if newest is None:
        return None
    silent, usual = now - newest.ended, due - newest.ended
    name, update = dataset.name, running.id
    return Anomaly(name, of.flow, FRESHNESS, update, now, silent, usual, 0.0, usual)
