"""Watch the metrics of updates: what is out of the ordinary.

An observer of what is staged: it knows the metrics of an epoch before readers see its rows, and
the history of its flow. What a table property lets it do, it does in the epoch's audit.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING

from qanat.errors import AnomalyError, SelectionError, nearest
from qanat.frozen import Frozen
from qanat.model.anomaly import (
    ANOMALIES,
    BUDGET,
    ENOUGH,
    LONG,
    ROWS,
    SHORT,
    Anomaly,
    OnAnomaly,
    Verdict,
)
from qanat.model.metrics import Metrics, Watched, of_epoch
from qanat.model.name import fold
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.record import Epoch, Lease
from qanat.model.staged import Counts
from qanat.run.known import remembered
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.text import count

if TYPE_CHECKING:
    from qanat.quality.anomalies import Baseline

LAST = "last"
"""Stands for the newest update."""
_KEPT = 1000
"""The newest anomalies of a flow that are looked at."""


class Found(Frozen):
    """What is out of the ordinary with an epoch.

    Args:
        due: when the next one should come, seconds since 1970 (UTC); None if that is not known.
    """

    anomalies: tuple[Anomaly, ...] = ()
    due: float | None = None


class Watch:
    """What one update knows of the metrics of its flows; safe for several threads.

    A flow's history is read once: the epochs that the update adds to it are compared with what
    was before, all together.

    Args:
        goes_on: whether it is a continuous update.
    """

    def __init__(self, goes_on: bool = False) -> None:
        self._goes_on = goes_on
        self._told: set[tuple[str, str, str]] = set()
        self._baselines: dict[tuple[str, str], Baseline | None] = {}
        self._so_far: dict[tuple[str, str], Metrics] = {}
        self._watched: int | None = None
        self._lock = Lock()

    def look(self, session: Session, epoch: Epoch, complete: bool) -> Found:
        """Compare an epoch, and those of its flow before it in this update, with the history.

        Args:
            epoch: with what was staged in it.
            complete: whether it is the last one of its flow in this update.
        """
        found = of_epoch(replace(epoch, ended=time.time()))
        if found is None:
            return Found()
        known = self._of_epoch(session, epoch)
        if known is None:
            return Found()
        before = self._so_far.get(_key(epoch))
        both = found if before is None else before + found
        return Found(tuple(known.judge(both, complete)), known.due(found.ended))

    def settled(self, epoch: Epoch) -> None:
        """Add an epoch that is committed to what this update has brought."""
        found = of_epoch(epoch)
        if found is not None:
            before = self._so_far.get(_key(epoch))
            self._so_far[_key(epoch)] = found if before is None else before + found

    def new(self, found: Sequence[Anomaly]) -> tuple[Anomaly, ...]:
        """Those that this update has not told yet: each epoch of a stream tells them again."""
        with self._lock:
            known = {a: (a.flow, fold(a.dataset), a.metric) for a in found}
            news = tuple(a for a, key in known.items() if key not in self._told)
            self._told |= {known[a] for a in news}
            return news

    def brought(self, of: Watched) -> bool:
        """True if a flow has brought something in this update."""
        return _key(of) in self._so_far

    def of_an_hour(
        self, session: Session, of: Watched, update: str, hours: float
    ) -> list[Anomaly]:
        """What is out of the ordinary with the rows of a continuous update that has ended.

        Args:
            hours: that it has lasted.
        """
        now = time.time()
        found = self._so_far.get(_key(of))
        if found is None:
            found = Metrics(of.flow, of.dataset, update, now, now, 0, Counts())
        known = self._baseline(session, of, update)
        return [] if known is None else list(known.judge_rows(found, found.rows / hours))

    def _baseline(self, session: Session, of: Epoch | Watched, update: str) -> Baseline | None:
        key = _key(of)
        with self._lock:
            if key not in self._baselines:
                self._baselines[key] = self._read(session, of, update)
            return self._baselines[key]

    def _of_epoch(self, session: Session, epoch: Epoch) -> Baseline | None:
        """The baseline for an epoch; None for what starts over, as it takes all rows again."""
        last = session.ledger.last_epoch(epoch.flow, epoch.dataset)
        if last is None or last.generation != epoch.generation:
            return None
        return self._baseline(session, epoch, epoch.update)

    def _read(self, session: Session, of: Epoch | Watched, update: str) -> Baseline | None:
        """The baseline of a flow by all updates but this one; None if they are too few."""
        ledger, flow, dataset = session.ledger, of.flow, of.dataset
        volumes = [v for v in ledger.volumes(dataset, flow, LONG) if v.update != update]
        if len(volumes) <= ENOUGH:
            return None
        entries = [m for m in ledger.metrics(dataset, SHORT, flow) if m.update != update]
        anomalies = ledger.anomalies(dataset, _KEPT, flow)
        if self._watched is None:
            self._watched = sum(each.metrics for each in ledger.watched())
        # Loaded only where a history is long enough to be judged by.
        baseline = import_module("qanat.quality.anomalies").baseline
        told = volumes[::-1], entries[::-1], anomalies[::-1]
        made: Baseline = baseline(*told, self._watched, self._goes_on)
        declared = session.pipeline.get(dataset)
        if self._goes_on and declared and declared.kind is DatasetKind.MATERIALIZED_VIEW:
            # All of it comes again whenever something changes: how often, nobody has to know.
            norms = {name: norm for name, norm in made.norms.items() if name != ROWS}
            made = replace(made, norms=norms, gap=None)
        return made


def _key(of: Epoch | Watched) -> tuple[str, str]:
    return of.flow, fold(of.dataset)


def action_of(session: Session, dataset: Dataset) -> OnAnomaly:
    """What an anomaly of a dataset does."""
    default = session.project.configuration.get(ANOMALIES, OnAnomaly.WARN)
    return OnAnomaly(fold(dataset.table_property(ANOMALIES) or default))


def watched(
    session: Session, watch: Watch, compiled: CompiledFlow, epoch: Epoch, lease: Lease, last: bool
) -> Found:
    """What is out of the ordinary with an epoch that has been staged, and not told yet.

    All that is gets recorded.

    Args:
        last: whether it is the last epoch of its flow in this update.

    Raises:
        AnomalyError: something is, and the dataset's author wants nothing published then.
    """
    action = action_of(session, compiled.dataset)
    if action is OnAnomaly.OFF or not compiled.brings_rows:
        return Found()
    found = watch.look(session, epoch, last)
    if found.anomalies:
        session.ledger.keep_anomalies(found.anomalies, lease)
        if action is OnAnomaly.FAIL:
            raise _failed(compiled.dataset, found.anomalies)
    return replace(found, anomalies=watch.new(found.anomalies))


def _failed(dataset: Dataset, anomalies: Sequence[Anomaly]) -> AnomalyError:
    first, *others = anomalies
    more = f"; {count(len(others), 'other metric')} out of the ordinary" if others else ""
    return AnomalyError(
        f"{first.metric} of {dataset.name}: {first.found}, where {first.limits} was expected"
        f"{more}",
        location=dataset.location,
        wanted=first.limits,
        got="; ".join(f"{a.metric}: {a.found}" for a in anomalies),
        hint="nothing was published; mend the source and run again, or if it is as it should be:"
        f" qanat anomalies mark {shlex.quote(dataset.name)} expected",
    )


# -- what people ask, and say -------------------------------------------------------------------


class Anomalies(Frozen):
    """What was out of the ordinary.

    Args:
        anomalies: newest first.
        metrics: how many are watched, over all flows.
        budget: false alarms that an update may have on average, over all of them.
    """

    anomalies: tuple[Anomaly, ...]
    metrics: int
    budget: float = BUDGET


def anomalies(session: Session, dataset: str | None = None, limit: int = 20) -> Anomalies:
    """What was out of the ordinary in past updates, newest first.

    Raises:
        DatasetNotFoundError: no such dataset is declared, and none has epochs.
    """
    name = None if dataset is None else remembered(session, dataset)
    ledger = session.recorded
    metrics = sum(each.metrics for each in ledger.watched())
    return Anomalies(tuple(ledger.anomalies(name, limit)), metrics)


def mark(
    session: Session,
    dataset: str,
    verdict: Verdict,
    metric: str | None = None,
    update: str | None = None,
) -> tuple[Anomaly, ...]:
    """Remember what somebody says of the anomalies of an update.

    Args:
        metric: only of this one; default: of all in that update.
        update: its identifier; default, and `last`: the newest that has an anomaly of the dataset.

    Raises:
        DatasetNotFoundError: no such dataset is declared, and none has epochs.
        SelectionError: there is no such anomaly.
    """
    found = session.recorded.anomalies(remembered(session, dataset))
    about = [a for a in found if metric is None or a.metric == metric]
    newest = next((a.update for a in about), None)
    chosen = newest if update in (None, LAST) else update
    marked = [replace(a, verdict=verdict) for a in about if a.update == chosen]
    if not marked:
        known = [name for a in found for name in (a.metric, a.update)]
        what = "no anomaly" if metric is None else f"no anomaly of {metric}"
        where = "" if update is None else f" in update {update}"
        raise SelectionError(
            f"{dataset} has {what}{where}",
            nearest=nearest(metric or update or "", known),
            hint="qanat anomalies list shows them",
        )
    session.begin_writing()
    session.ledger.mark(marked, verdict)
    return tuple(marked)
