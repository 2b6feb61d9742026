"""Find all that there is to tell of one update, for its page. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module

from qanat.model.metrics import Metrics
from qanat.model.name import Names
from qanat.run.account import UpdateAccount
from qanat.run.look import metrics, update_events
from qanat.run.profiles import profiles_of
from qanat.run.quarantine import rows
from qanat.run.results import FirstRows, HistoryEntry
from qanat.run.session import Session
from qanat.run.watching import LAST

TREND = 30
"""Updates over which trends are drawn."""
SAMPLES = 5
"""Rows of a quarantine that are shown."""
_TRENDS = 200
"""Datasets whose trends are drawn, at most: of thousands nobody looks at all."""
_QUARANTINES = 50
_ANOMALIES = 200


def account(session: Session, update: str = LAST, values: bool = False) -> UpdateAccount:
    """What there is to tell of an update.

    Args:
        update: its identifier, or `last`.
        values: whether the values of quarantined rows may be shown.

    Raises:
        UpdateNotFoundError: there is no such update.
    """
    told = update_events(session, update)
    ledger = session.recorded
    epochs = tuple(reversed(ledger.epochs(update=told.update.id)))
    datasets = list(dict.fromkeys(e.dataset for e in epochs))
    trends = {name: _trend(session, name, told.update.id) for name in datasets[:_TRENDS]}
    found = [a for a in ledger.anomalies(None, _ANOMALIES) if a.update == told.update.id]
    quarantined = Names(name for e in epochs for name in e.quarantined_datasets)
    known = [n for n in quarantined if session.pipeline.get(n) is not None]
    lineage = None
    if not session.problems:
        # Imported only here: with it comes the parser.
        lineage = import_module("qanat.run.lineage").lineage(session, None)
    return UpdateAccount(
        session.project.name,
        told,
        HistoryEntry(told.update, epochs),
        trends,
        tuple(found),
        tuple(_sampled(session, known[:_QUARANTINES], told.update.id)),
        lineage,
        values,
        tuple(profiles_of(session, told.update.id, datasets)),
    )


def _trend(session: Session, dataset: str, update: str) -> tuple[Metrics, ...]:
    """The metrics of a dataset up to an update, oldest first."""
    newest: Sequence[Metrics] = metrics(session, dataset, TREND * 2)
    ended = max((m.ended for m in newest if m.update == update), default=None)
    upto = [m for m in newest if ended is None or m.ended <= ended]
    return tuple(reversed(upto[:TREND]))


def _sampled(session: Session, datasets: Sequence[str], update: str) -> Iterator[FirstRows]:
    for name in datasets:
        sample = rows(session, name, SAMPLES, update=update)
        if sample.rows:
            yield sample
