"""What an update would do, and why, without touching anything."""

from __future__ import annotations

from dataclasses import replace

from qanat.errors import QanatError
from qanat.model.pipeline import Dataset
from qanat.model.record import Definition
from qanat.run.decide import Decision, DefinitionStatus, Facts, Step, UpdatePlan, decide
from qanat.run.identity import past_sources
from qanat.run.refresh import Around, declared, gather
from qanat.run.results import Chosen, Selection, choose_datasets
from qanat.run.session import Session


def plan(session: Session, selection: Selection | None = None) -> UpdatePlan:
    """Compare declarations, ledger and sources.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: the selection names something that is not there.
    """
    session.require()
    chosen = choose_datasets(session, selection or Selection())
    definitions = session.recorded.definitions()
    opened = {e.flow: e for e in session.recorded.open_epochs()}
    past = past_sources(session)
    decided: dict[str, Decision] = {}
    with session.readables.running(chosen.datasets):
        for name in chosen.datasets:
            around = Around(definitions, past, decided, opened)
            facts = _facts(session, session.pipeline.dataset(name), chosen, around)
            decided[name] = decide(facts)
    everything = not (selection and selection.select)
    removed: list[Decision] = []
    if everything and not chosen.refresh and not chosen.full_refresh:
        gone = (old for key, old in definitions.items() if session.pipeline.get(key) is None)
        removed = [_removed(session, old) for old in gone]
    return UpdatePlan(session.project.environment, (*decided.values(), *removed))


def _facts(session: Session, dataset: Dataset, chosen: Chosen, around: Around) -> Facts:
    """The facts about a dataset; what stands in its way stops only its readers."""
    full = dataset.name in chosen.full_refresh
    generation = session.recorded.generation(dataset.name) + (1 if full else 0)
    try:
        return gather(session, dataset, chosen, around, generation)
    except QanatError as error:
        return replace(declared(session, dataset, chosen, around), problem=error)


def _removed(session: Session, old: Definition) -> Decision:
    there = session.store.version(session.table(old.dataset)) is not None
    return Decision(
        dataset=old.dataset,
        kind=old.kind,
        definition=DefinitionStatus.REMOVED,
        step=Step.NONE,
        reason="it is no longer declared",
        consequence="its table stays where it is; delete the folder to be rid of it"
        if there
        else "",
    )
