"""What checks would have done with the rows of past updates; nothing is written.

The rows of an epoch are those that its commit added to the table, by the table's log, and those
that it put into quarantine and that still wait there. Each epoch is checked by itself (`trying`),
as the update would have done it. Keys that have to be unique are also compared with the rows
before (`among`); what a rule refers to is looked up as it is now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qanat.errors import DatasetNotFoundError, TableNotFoundError, nearest
from qanat.model.backtest import BACKTESTED, Backtest, CheckTrials, Unseen
from qanat.model.expectation import Expectation
from qanat.model.pipeline import Dataset
from qanat.planning.fingerprint import expected
from qanat.run.among import among_all, among_waiting, of_tables
from qanat.run.brought import Aside, brought, past_epochs
from qanat.run.results import Selection, choose_datasets
from qanat.run.session import Session
from qanat.run.stored import stored
from qanat.run.trying import Looked, Trying
from qanat.secret import masked


def backtest(
    session: Session,
    dataset: str,
    expectations: Sequence[Expectation] | None = None,
    updates: int = BACKTESTED,
    most_bytes: int | None = None,
    waiting: bool = True,
) -> Backtest:
    """What each of some checks would have done with each of the last updates of a dataset.

    Args:
        expectations: as an author declares them; they need not be those of the dataset.
            Default: all that it has.
        updates: how many of the newest, at most.
        most_bytes: of files that are read, at most; what is older then is not looked at.
        waiting: also on the rows that epochs have put into quarantine.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
    """
    found = session.pipeline.get(dataset)
    if found is None:
        known = [d.name for d in session.pipeline.datasets]
        raise DatasetNotFoundError(f"{dataset} is not declared", nearest=nearest(dataset, known))
    checks = found.expectations if expectations is None else tuple(expectations)
    return _tried(Trying(session, found, checks, most_bytes), updates, waiting)


def backtests(
    session: Session,
    selection: Selection | None = None,
    updates: int = BACKTESTED,
    changed: bool = False,
    most_bytes: int | None = None,
) -> tuple[Backtest, ...]:
    """The same of each chosen dataset with checks that has brought rows into a table.

    Args:
        changed: only of checks that are new, or that were declared otherwise at the last update.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: a pattern matches nothing.
    """
    session.require()
    found = []
    for name in choose_datasets(session, selection or Selection()).datasets:
        dataset = session.pipeline.dataset(name)
        checks = changed_checks(session, dataset) if changed else dataset.expectations
        if checks and dataset.stored and session.has_ledger and past_epochs(session, name, 1):
            found.append(_tried(Trying(session, dataset, checks, most_bytes), updates))
    return tuple(found)


def changed_checks(session: Session, dataset: Dataset) -> tuple[Expectation, ...]:
    """The checks of a dataset that its last update did not know, or knew otherwise.

    None of a dataset that has never run: nothing would be there to try them on.
    """
    known = session.recorded.definitions().get(dataset.name) if session.has_ledger else None
    if known is None:
        return ()
    return tuple(e for e in dataset.expectations if f"{masked(expected(e))}\n" not in known.text)


def _tried(trying: Trying, updates: int, waiting: bool = True) -> Backtest:
    """All checks on the newest epochs."""
    session, name = trying.session, trying.dataset.name
    epochs = past_epochs(session, name, updates) if session.has_ledger else []
    aside = _aside(session, trying.dataset) if waiting else Aside(session, None)
    trying.find_references()
    unseen: Counter[str] = Counter()
    looked: list[Looked] = []
    for found in brought(session, trying.read, epochs):
        if found.batch is None:
            unseen[found.missing or ""] += 1
            continue
        if trying.too_much(found.bytes):
            unseen[trying.far] += len(epochs) - len(looked) - unseen.total()
            break
        looked.append(trying.on(found.epoch, found.batch, aside.of(found.epoch)))
    among_waiting(trying, looked, aside)
    among_all(trying, [each.epoch for each in looked])
    of_tables(trying, [each.epoch for each in looked])
    return Backtest(
        dataset=name,
        updates=updates,
        looked=len(looked),
        rows=sum(each.rows for each in looked),
        dropped=sum(each.epoch.counts.dropped for each in looked if each.epoch.counts),
        checks=tuple(
            CheckTrials(
                declared,
                tuple(trying.trials.get(n, {}).values()),
                trying.released(n, aside),
                trying.problems.get(n),
            )
            for n, declared in enumerate(trying.declared)
        ),
        unseen=tuple(Unseen(count, reason) for reason, count in unseen.items()),
        bytes=trying.bytes,
    )


def _aside(session: Session, dataset: Dataset) -> Aside:
    try:
        return Aside(session, stored(session, dataset.quarantine))
    except TableNotFoundError:
        return Aside(session, None)
