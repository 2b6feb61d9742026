"""What a crash left behind: settle what was published, redo what was not, sweep the rest."""

from __future__ import annotations

from dataclasses import replace

from qanat.errors import HistoryMismatchError
from qanat.model.dataset import DatasetKind
from qanat.model.event import Recovered, Warned
from qanat.model.record import Epoch, EpochStatus
from qanat.run.compiled import CompiledFlow
from qanat.run.epoch import Step, carry_out, last_number
from qanat.run.replay import finish, is_replay


def recover(step: Step) -> None:
    """Bring every open epoch to an end, then remove files that no table knows.

    An epoch whose number the table carries is settled; any other is computed again from
    exactly the range it had. Sweeping comes last: until an open epoch is settled, the process
    that began it may only be asleep, and its staged files are still wanted.

    Raises:
        QanatError: an epoch cannot be redone (its error says why).
    """
    ws = step.ws
    tables = [ws.folder(n) for d in ws.pipeline.datasets for n in (d.name, d.quarantine)]
    tables = [t for t in tables if t.is_dir()]
    for folder in tables:
        ws.store.repair(folder)
    for epoch in ws.ledger.open_epochs():
        if is_replay(epoch.flow):
            finish(step, epoch)
            step.tell(Recovered(epoch.dataset, epoch.flow, epoch.number, "redone"))
            continue
        flow = next((f for f in ws.pipeline.flows if f.name == epoch.flow), None)
        if flow is None:
            _forget(step, epoch)
            continue
        compiled = ws.analysis.flows[flow.name]
        if published(step, compiled, epoch):
            settled = replace(
                epoch,
                status=EpochStatus.COMMITTED,
                version=ws.store.version(str(ws.folder(epoch.dataset))),
            )
            ws.ledger.settle(settled, step.lease.current)
            how = "settled"
        else:
            carry_out(step, compiled, epoch)
            how = "redone"
        step.tell(Recovered(epoch.dataset, epoch.flow, epoch.number, how))
    for folder in tables:
        if folder.is_dir():
            ws.store.sweep(folder)


def published(step: Step, compiled: CompiledFlow, epoch: Epoch) -> bool:
    """Whether an epoch's commit happened, although the ledger does not know."""
    ws, sink = step.ws, compiled.dataset.sink
    if sink is not None:
        return ws.sink.carries(sink, epoch.flow, epoch.number, ws.project.root)
    return last_number(ws, compiled) >= epoch.number


def _forget(step: Step, epoch: Epoch) -> None:
    """An open epoch of a flow that the author has removed: nothing of it was wanted again."""
    step.ws.ledger.abandon(epoch, "the flow is no longer declared", step.lease.current)
    step.tell(Recovered(epoch.dataset, epoch.flow, epoch.number, "abandoned"))
    step.tell(Warned(epoch.dataset, f"flow {epoch.flow} is gone; its open epoch was given up"))


def check_history(step: Step, compiled: CompiledFlow) -> None:
    """Refuse to go on where ledger and table tell different stories.

    Raises:
        HistoryMismatchError: one of them was lost or restored from an older copy: going on
            would lose rows or double them.
    """
    if compiled.dataset.kind is DatasetKind.SINK:
        return
    last = step.ws.ledger.last_epoch(compiled.flow.name)
    known = last.number if last else 0
    there = last_number(step.ws, compiled)
    if there == known:
        return
    name = compiled.dataset.name
    newer, older = ("table", "ledger") if there > known else ("ledger", "table")
    raise HistoryMismatchError(
        f"the {older} of {name} is older than its {newer}: it was lost, or restored from a copy",
        wanted=f"{known} epochs of flow {compiled.flow.name}, as the ledger says",
        got=f"{there} in the table",
        hint=f"restore the {older} of the same time as the {newer}, or rebuild the table from its"
        f" sources: qanat run --full-refresh {name}",
    )
