"""Whether ledger and tables tell the same story.

Each commit of an epoch carries its number. By these numbers ledger and tables are compared when an
update begins; where they differ, the older one was lost, or restored from a copy.
"""

from __future__ import annotations

from qanat.errors import HistoryMismatchError, full_refresh
from qanat.model.pipeline import DatasetKind, application, replay_flow
from qanat.model.record import QuarantineMark
from qanat.run.commits import last_commit
from qanat.run.memo import CompiledFlow
from qanat.run.owner import check_owners
from qanat.run.session import Session
from qanat.run.sides import quarantines, state_of


def check_history(session: Session, compiled: CompiledFlow) -> None:
    """Refuse to go on where ledger and table tell different stories.

    Raises:
        HistoryMismatchError: one of them was lost or restored from an older copy: going on
            would lose rows or double them.
        ForeignTableError: the table is another project's.
    """
    mismatch = mismatch_of(session, compiled)
    if mismatch is not None:
        check_owners(session, compiled.dataset, anew=False)
        raise mismatch


def mismatch_of(session: Session, compiled: CompiledFlow) -> HistoryMismatchError | None:
    """What ledger and tables tell differently about a flow; None if nothing.

    Of a sink only its quarantines can tell: the receiver may have taken away what was sent.
    """
    flow = compiled.flow
    name = compiled.dataset.name
    last = session.recorded.last_epoch(flow.name, name)
    known = last.number if last else 0
    if compiled.dataset.kind is not DatasetKind.SINK:
        there = last_commit(session, compiled)
        if there != known:
            return _out_of_step(compiled, known, "table", there)
        if not known and session.store.forgotten(session.table(name)):
            return _forgotten_table(session, compiled)
    generation = session.recorded.generation(name)
    kept = _kept_in_state(session, compiled)
    if kept is not None and kept != known:
        return _out_of_step(compiled, known, "state", kept)
    for dataset, table in quarantines(session, compiled).items():
        carried = session.store.transaction(table, flow.application)
        # A quarantine has gaps; but it cannot know an epoch that the ledger does not,
        newer = carried > known
        # a view's also has those of epochs into other datasets,
        if newer and dataset != name:
            newer = carried > session.recorded.last_number(flow.name)
        if newer:
            return _out_of_step(compiled, known, "quarantine", carried)
        # nor forget one that put rows into it, or emptied it.
        mark = session.recorded.quarantine_mark(flow.name, name, generation, dataset)
        if mark is None or carried >= mark.number:
            continue
        if (
            not mark.emptied
            or carried
            or _has_rows_of_other_flows(session, compiled, dataset, generation)
        ):
            return _lost_quarantine(compiled, dataset, mark, carried)
    return _forgotten_replay(session, compiled, generation)


def _kept_in_state(session: Session, compiled: CompiledFlow) -> int | None:
    """The number that a flow's state has to have, which each epoch of this definition commits to.

    None if its flow keeps nothing, or was declared otherwise when its newest epoch was.
    """
    state = state_of(session, compiled)
    last = session.recorded.last_epoch(compiled.flow.name, compiled.dataset.name)
    declared, _ = session.analysis.definitions.get(compiled.dataset.name, ("", ""))
    if state is None or last is None or last.fingerprint != declared:
        return None
    return session.store.transaction(state, compiled.flow.application)


def _out_of_step(
    compiled: CompiledFlow, known: int, holder: str, there: int
) -> HistoryMismatchError:
    """The ledger's newest epoch of a flow is not the newest that a table or quarantine has."""
    newer, older = (holder, "ledger") if there > known else ("ledger", holder)
    return HistoryMismatchError(
        f"the {older} of {compiled.dataset.name} is older than its {newer}: it was lost, or"
        " restored from a copy",
        wanted=f"{_epoch(known)} of flow {compiled.flow.name}, as the ledger says",
        got=f"{_epoch(there)} in the {holder}",
        hint=f"restore the {older} of the same time as the {newer}, or"
        f" {_anew(compiled, 'start over')}",
    )


def _forgotten_table(session: Session, compiled: CompiledFlow) -> HistoryMismatchError:
    name = compiled.dataset.name
    return HistoryMismatchError(
        f"the files of {name} are there, but ledger and catalog do not know of them: both were"
        " lost",
        wanted=f"the catalog that {session.table(name)} was committed to",
        got="no such table in the catalog",
        hint=f"restore {session.project.private} of the same time as the tables, or"
        f" {_anew(compiled, 'start over')}",
    )


def _epoch(number: int) -> str:
    return f"epoch {number}" if number else "no epoch"


def _has_rows_of_other_flows(
    session: Session, compiled: CompiledFlow, dataset: str, generation: int
) -> bool:
    """True if a quarantine has rows of other flows from before the table was replaced.

    The flow that replaced the table emptied it, if it was there.
    """
    table = session.table(compiled.dataset.quarantine)
    if dataset != compiled.dataset.name or session.store.version(table) is None:
        return False
    if any(e.dataset == dataset for e in session.recorded.open_epochs()):
        return False  # which may have put rows there
    since = session.recorded.quarantine_marks(dataset, generation, dataset).values()
    if not all(mark.emptied for mark in since):
        return False  # whose own flows would miss them
    return session.store.snapshot(table).rows != 0


def _forgotten_replay(
    session: Session, compiled: CompiledFlow, generation: int
) -> HistoryMismatchError | None:
    """A table or quarantine from before rows were moved from one into the other."""
    name = compiled.dataset.name
    flow = replay_flow(name)
    replay = session.recorded.last_epoch(flow, name)
    if replay is None or replay.generation != generation:
        return None
    for dataset in (name, compiled.dataset.quarantine):
        carried = session.store.transaction(session.table(dataset), application(flow))
        if carried < replay.number:
            return HistoryMismatchError(
                f"{dataset} is older than its ledger: it was restored from a copy",
                wanted=f"replay {replay.number}, which moved rows from the quarantine into {name}",
                got=f"replay {carried}" if carried else "no replay",
                hint=f"restore {dataset} of the same time as the ledger, or start over with table"
                f" and quarantine: {full_refresh(name)}",
            )
    return None


def _lost_quarantine(
    compiled: CompiledFlow, dataset: str, mark: QuarantineMark, carried: int
) -> HistoryMismatchError:
    did = "emptied it" if mark.emptied else "put rows into it"
    return HistoryMismatchError(
        f"the quarantine of {dataset} is older than its ledger: it was lost, or restored from a"
        " copy",
        wanted=f"epoch {mark.number} of flow {compiled.flow.name}, which {did}",
        got=f"epoch {carried} in it" if carried else "no quarantine, or one without it",
        hint="restore the quarantine of the same time as the ledger, or"
        f" {_anew(compiled, 'start over with table and quarantine')}",
    )


def _anew(compiled: CompiledFlow, what: str) -> str:
    if compiled.dataset.kind is DatasetKind.SINK:
        what = "send everything again"
    return f"{what}: {full_refresh(compiled.dataset.name)}"
