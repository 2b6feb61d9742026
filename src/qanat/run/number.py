"""Which number an epoch has: one more than ledger, table, quarantines and sink know of."""

from __future__ import annotations

from qanat.errors import HistoryMismatchError, located
from qanat.model.table import TableRef
from qanat.run.compiled import CompiledFlow
from qanat.run.session import Session


def next_number(session: Session, compiled: CompiledFlow, generation: int) -> int:
    """The number of a flow's next epoch.

    Ledger and tables differ only where a full refresh starts over after one of them was lost.

    Raises:
        HistoryMismatchError: a sink has epochs that the ledger does not know, and nobody asked
            to start over.
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
