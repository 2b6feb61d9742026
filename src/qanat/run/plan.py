"""What an update would do, and why, without touching anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module

from qanat.errors import PlanError, QanatError
from qanat.model.backtest import BACKTESTED, Backtest
from qanat.model.name import Named, fold
from qanat.model.pipeline import Dataset
from qanat.model.record import Definition, Epoch
from qanat.run.commits import published
from qanat.run.dataset import Around, declared, gather
from qanat.run.decide import (
    Decision,
    DefinitionStatus,
    Step,
    UpdatePlan,
    decide,
)
from qanat.run.defined import changed_definitions, settled
from qanat.run.facts import Facts
from qanat.run.foresight import Foresight
from qanat.run.identity import past_sources
from qanat.run.inputs import PROMOTED
from qanat.run.results import Chosen, Selection, choose_datasets
from qanat.run.session import Session

_READ = 64_000_000
"""Bytes that a plan reads to try checks that are new or changed, at most."""


def plan(session: Session, selection: Selection | None = None) -> UpdatePlan:
    """Compare declarations, ledger and sources.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: the selection names something that is not there.
        PlanError: a renaming was interrupted, so that tables and ledger differ in names.
    """
    session.require()
    chosen = choose_datasets(session, selection or Selection())
    check_moves(session)
    opened = {(e.flow, fold(e.dataset)): e for e in session.recorded.open_epochs()}
    definitions = _definitions(session, opened.values())
    past = past_sources(session)
    changed = changed_definitions(session, definitions)
    decided: dict[str, Decision] = {}
    foresight = Foresight(session, definitions, decided)
    with session.readables.running(chosen.datasets):
        for name in chosen.datasets:
            around = Around(definitions, past, decided, opened, changed)
            facts = _facts(session, session.pipeline.dataset(name), chosen, around)
            decided[name] = foresight.checked(decide(facts))
    everything = not (selection and selection.select)
    removed: list[Decision] = []
    if everything and not chosen.refresh and not chosen.full_refresh:
        gone = (old for key, old in definitions.items() if session.pipeline.get(key) is None)
        removed = [_removed(session, old) for old in gone]
    tried = _backtests(session, decided.values())
    return UpdatePlan(session.project.environment, (*decided.values(), *removed), tried)


def _backtests(session: Session, decisions: Iterable[Decision]) -> tuple[Backtest, ...]:
    """What checks that are new or changed would have done, as far as little has to be read."""
    changed = [d for d in decisions if d.definition is DefinitionStatus.CHANGED]
    found: list[Backtest] = []
    epochs, most_bytes = BACKTESTED, _READ
    for decision in changed:
        dataset = session.pipeline.dataset(decision.dataset)
        if not dataset.stored or not dataset.expectations or not epochs:
            continue
        # Loaded only where there may be something to try.
        backtesting = import_module("qanat.run.backtest")
        if not (checks := backtesting.changed_checks(session, dataset)):
            continue
        tried: Backtest = backtesting.backtest(session, dataset.name, checks, epochs, most_bytes)
        # Many changed datasets share what a plan may read: it has to come soon.
        epochs, most_bytes = max(0, epochs - tried.looked), most_bytes - tried.bytes
        found.append(tried)
    return tuple(found)


def _definitions(session: Session, opened: Iterable[Epoch]) -> Named[Definition]:
    """The definitions of all datasets as an update finds them once recovery has been there.

    Args:
        opened: epochs that a crash left open. Recovery settles those that are published, and
            records by which definition they were computed.
    """
    found = Named(session.recorded.definitions().items())
    for epoch in opened:
        if published(session, epoch) and (known := settled(session, epoch)) is not None:
            found[known.dataset] = known
    return found


def check_moves(session: Session) -> None:
    """Refuse to look at what a crash has left between two names.

    Raises:
        PlanError: a renaming or removal was interrupted.
    """
    for move in session.recorded.open_moves():
        raise PlanError(
            f"{move} was interrupted",
            hint="type it again; the next `qanat run` finishes it as well",
        )


def _facts(session: Session, dataset: Dataset, chosen: Chosen, around: Around) -> Facts:
    """The facts about a dataset; what stands in its way stops only its readers."""
    name, generation = dataset.name, session.recorded.generation(dataset.name)
    if name in chosen.full_refresh:
        generation += 1
    else:
        # A promotion that was interrupted just before it was settled has begun one.
        found = [around.opened(c) for c in session.analysis.flows_into(name)]
        begun = [e for e in found if e is not None and PROMOTED in e.ranges]
        generation = max([generation, *(e.generation for e in begun if published(session, e))])
    try:
        return gather(session, dataset, chosen, around, generation)
    except QanatError as error:
        return replace(declared(session, dataset, chosen, around), problem=error)


def _removed(session: Session, old: Definition) -> Decision:
    there = session.store.version(session.table_named(old.dataset)) is not None
    return Decision(
        dataset=old.dataset,
        kind=old.kind,
        definition=DefinitionStatus.REMOVED,
        step=Step.NONE,
        reason="it is no longer declared",
        consequence=f"its {'table' if there else 'history'} stays; to be rid of it:"
        f" qanat drop {shlex.quote(old.dataset)}",
    )
