"""Whether ledger, tables and sink agree, and which number an epoch has: one more than any says."""

from __future__ import annotations

from qanat.errors import HistoryMismatchError, located
from qanat.model.pipeline import DatasetKind, application, replay_flow
from qanat.model.record import QuarantineMark
from qanat.model.table import TableRef
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session


def next_number(session: Session, compiled: CompiledFlow, generation: int) -> int:
    """The number of a flow's next epoch.

    Ledger and tables differ only where a full refresh starts over after one of them was lost.

    Raises:
        HistoryMismatchError: a sink has epochs that the ledger does not know, and no full
            refresh of it was asked for.
    """
    flow, sink = compiled.flow, compiled.dataset.sink
    last = session.ledger.last_epoch(flow.name)
    known = last.number if last else 0
    there = [
        session.store.transaction(t, flow.application)
        for t in quarantines(session, compiled).values()
    ]
    if sink is None:
        return max(known, last_number(session, compiled), *there) + 1
    with located(compiled.dataset.location):
        sent = session.sink(sink).last(sink, flow.name)
    if sent > known and generation == (last.generation if last else 0):
        name = compiled.dataset.name
        raise HistoryMismatchError(
            f"the ledger of {name} is older than what the sink holds: it was lost, or restored"
            " from a copy",
            wanted=f"{known} epochs of flow {flow.name}, as the ledger says",
            got=f"epoch {sent} in the sink",
            hint="restore the ledger of the same time, or send everything again:"
            f" qanat run --full-refresh {name}",
        )
    return max(known, sent, *there) + 1


def last_number(session: Session, compiled: CompiledFlow) -> int:
    """The number of a flow's newest commit, as its table says."""
    table = session.table(compiled.dataset.name)
    return session.store.transaction(table, compiled.flow.application)


def quarantines(session: Session, compiled: CompiledFlow) -> dict[str, TableRef]:
    """All quarantines that a flow may put rows into, by dataset."""
    datasets = [compiled.dataset, *(v.dataset for v in compiled.views)]
    return {d.name: session.table(d.quarantine) for d in datasets}


def check_history(session: Session, compiled: CompiledFlow) -> None:
    """Refuse to go on where ledger and table tell different stories.

    Raises:
        HistoryMismatchError: one of them was lost or restored from an older copy: going on
            would lose rows or double them.
    """
    mismatch = mismatch_of(session, compiled)
    if mismatch is not None:
        raise mismatch


def mismatch_of(session: Session, compiled: CompiledFlow) -> HistoryMismatchError | None:
    """What ledger and tables tell differently about a flow; None if nothing.

    Of a sink only its quarantines can tell: the receiver may have taken away what was sent.
    """
    flow, name = compiled.flow, compiled.dataset.name
    last = session.recorded.last_epoch(flow.name)
    known = last.number if last else 0
    sink = compiled.dataset.kind is DatasetKind.SINK
    there = known if sink else last_number(session, compiled)
    if there == known:
        generation = session.recorded.generation(name)
        for dataset, table in quarantines(session, compiled).items():
            found = session.store.transaction(table, flow.application)
            # A quarantine has gaps; but it cannot know an epoch that the ledger does not,
            if found > known:
                there = found
                break
            # nor forget one that put rows into it, or emptied it.
            mark = session.recorded.quarantine_mark(flow.name, generation, dataset)
            if mark is None or found >= mark.number:
                continue
            if not mark.emptied or found or _of_others(session, compiled, dataset, generation):
                return _lost_quarantine(compiled, dataset, mark, found)
        else:
            return _forgotten_replay(session, compiled, generation)
    holder = "quarantine" if sink else "table"
    newer, older = (holder, "ledger") if there > known else ("ledger", holder)
    return HistoryMismatchError(
        f"the {older} of {name} is older than its {newer}: it was lost, or restored from a copy",
        wanted=f"{known} epochs of flow {compiled.flow.name}, as the ledger says",
        got=f"{there} in the {holder}",
        hint=f"restore the {older} of the same time as the {newer}, or"
        f" {_anew(compiled, 'rebuild the table from its sources')}",
    )


def _of_others(session: Session, compiled: CompiledFlow, dataset: str, generation: int) -> bool:
    """Whether a quarantine has rows of other flows from before the table was replaced.

    The flow that replaced the table emptied it, if it was there.
    """
    table = session.table(compiled.dataset.quarantine)
    if dataset != compiled.dataset.name or session.store.version(table) is None:
        return False
    if any(e.dataset == dataset for e in session.recorded.open_epochs()):
        return False  # which may have put rows there
    since = session.recorded.quarantine_marks(dataset, generation).values()
    if not all(mark.emptied for mark in since):
        return False  # whose own flows would miss them
    return session.store.snapshot(table).rows != 0


def _forgotten_replay(
    session: Session, compiled: CompiledFlow, generation: int
) -> HistoryMismatchError | None:
    """A table or quarantine from before rows were moved from one into the other."""
    name = compiled.dataset.name
    flow = replay_flow(name)
    replay = session.recorded.last_epoch(flow)
    if replay is None or replay.generation != generation:
        return None
    for dataset in (name, compiled.dataset.quarantine):
        found = session.store.transaction(session.table(dataset), application(flow))
        if found < replay.number:
            return HistoryMismatchError(
                f"{dataset} is older than its ledger: it was restored from a copy",
                wanted=f"replay {replay.number}, which moved rows from the quarantine into {name}",
                got=f"replay {found}" if found else "no replay",
                hint=f"restore {dataset} of the same time as the ledger, or compute table and"
                f" quarantine anew from their sources: qanat run --full-refresh {name}",
            )
    return None


def _lost_quarantine(
    compiled: CompiledFlow, dataset: str, mark: QuarantineMark, found: int
) -> HistoryMismatchError:
    did = "emptied it" if mark.emptied else "put rows into it"
    return HistoryMismatchError(
        f"the quarantine of {dataset} is older than its ledger: it was lost, or restored from a"
        " copy",
        wanted=f"epoch {mark.number} of flow {compiled.flow.name}, which {did}",
        got=f"epoch {found} in the quarantine" if found else "no quarantine, or one without it",
        hint="restore the quarantine of the same time as the ledger, or"
        f" {_anew(compiled, 'compute table and quarantine anew from their sources')}",
    )


def _anew(compiled: CompiledFlow, what: str) -> str:
    if compiled.dataset.kind is DatasetKind.SINK:
        what = "send everything again"
    return f"{what}: qanat run --full-refresh {compiled.dataset.name}"
