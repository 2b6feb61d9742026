"""Flows of which nothing has come for longer than their history lets expect."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping

from qanat.model.anomaly import FRESHNESS, HOUR, SHORTEST, Anomaly, OnAnomaly
from qanat.model.event import Warned
from qanat.model.metrics import Watched
from qanat.model.name import Names
from qanat.run.attempt import RunningUpdate
from qanat.run.session import Session
from qanat.run.watching import action_of

_HOURS = 400
"""Entries of the history that are looked at for the newest with rows."""


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


def end_hour(running: RunningUpdate, started: float, datasets: Collection[str]) -> None:
    """Compare the rows of a continuous update that ends with those of earlier hours.

    An hour in which nothing came is one, too: it gets an entry in the history of metrics.

    Args:
        started: when it began, seconds since 1970 (UTC).
        datasets: those that it has worked on all the time.
    """
    ledger, names, session = running.session.ledger, Names(datasets), running.session
    flows = [w for w in ledger.watched() if w.dataset in names]
    lasted, watch = time.time() - started, running.watch
    if not flows:
        return
    silent: list[Watched] = []
    if lasted >= SHORTEST:
        silent = [w for w in flows if not watch.brought(w)]
        of = [w for w in flows if _judges(session, w.dataset)]
        hours = lasted / HOUR
        found = [a for w in of for a in watch.of_an_hour(session, w, running.id, hours)]
        if found:
            ledger.keep_anomalies(found, running.lease.latest)
        for anomaly in watch.new(found):
            running.tell(Warned(anomaly.dataset, anomaly.note))
    ledger.close_metrics(running.id, lasted, silent, running.lease.latest)


def _judges(session: Session, name: str) -> bool:
    dataset = session.pipeline.get(name)
    return dataset is not None and action_of(session, dataset) is not OnAnomaly.OFF


def next_due(session: Session, datasets: Collection[str]) -> float:
    """When the next of these datasets should have brought something, seconds since 1970 (UTC)."""
    names = Names(datasets)
    due = (w.due for w in session.ledger.watched() if w.due is not None and w.dataset in names)
    return min(due, default=math.inf)


def _silence(running: RunningUpdate, of: Watched, due: float, now: float) -> Anomaly | None:
    dataset = running.session.pipeline.get(of.dataset)
    if dataset is None or not _judges(running.session, of.dataset):
        return None
    # Hours of a stream in which nothing came are part of the silence.
    known = running.session.ledger.volumes(of.dataset, of.flow, _HOURS)
    newest = next((v for v in known if v.rows or v.lasted is None), None)
    if newest is None:
        return None
    silent, usual = now - newest.ended, due - newest.ended
    name, update = dataset.name, running.id
    return Anomaly(name, of.flow, FRESHNESS, update, now, silent, usual, 0.0, usual)
