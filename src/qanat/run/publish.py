"""The moment an epoch becomes visible: one commit for each quarantine, then one for the table."""

from __future__ import annotations

from pathlib import Path

from qanat.model.record import Epoch
from qanat.model.schema import Schema
from qanat.model.work import Output, Staged, StagedTable, Work
from qanat.ports.store import Commit
from qanat.run.compiled import CompiledFlow
from qanat.run.workspace import Workspace


def publish(
    ws: Workspace,
    gate: Path,
    compiled: CompiledFlow,
    epoch: Epoch,
    work: Work,
    staged: Staged,
    again: bool,
) -> int | None:
    """Make an epoch visible; the new version of its table, None for a sink.

    Quarantine first: a row that leaves the table is never nowhere.

    Args:
        again: an earlier attempt may have published the epoch.

    Raises:
        HistoryMismatchError: a sink holds somebody else's epoch of that number.
    """
    over = starts_over(ws, epoch)
    for view in work.views:
        found = staged.quarantines.get(view.name)
        # The view's rows are computed from the start: what the flow put there before is old.
        if (
            over
            and found is None
            and ws.store.transaction(str(view.quarantine.folder), compiled.flow.application)
        ):
            found = StagedTable(_quarantine_schema(ws, view.quarantine), ())
        if found is not None:
            _publish_quarantine(ws, gate, compiled, epoch, view.quarantine, found, own=over)
    mine = staged.quarantines.get(compiled.dataset.name)
    stale = epoch.replaces and ws.store.version(str(work.quarantine.folder)) is not None
    if mine is not None or stale:
        table = mine or StagedTable(_quarantine_schema(ws, work.quarantine), ())
        _publish_quarantine(
            ws, gate, compiled, epoch, work.quarantine, table, replaces=epoch.replaces
        )
    dataset = compiled.dataset
    if dataset.sink is not None:
        ws.sink.publish(
            dataset.sink,
            compiled.flow.name,
            epoch.number,
            work.output.folder,
            staged.table,
            ws.project.root,
            again,
        )
        return None
    return ws.store.publish(
        Commit(
            folder=work.output.folder,
            schema=staged.table.schema,
            files=staged.table.files,
            replaces=epoch.replaces,
            application=compiled.flow.application,
            number=epoch.number,
            partition_by=dataset.partition_by,
            comment=dataset.comment,
            properties=dict(dataset.properties),
            info={"qanat.update": epoch.update, "qanat.flow": epoch.flow},
            gaps=over,
            gate=gate,
        )
    )


def starts_over(ws: Workspace, epoch: Epoch) -> bool:
    """Whether this is the flow's first epoch after a full refresh (or replaces all anyway)."""
    last = ws.ledger.last_epoch(epoch.flow)
    return epoch.replaces or last is None or last.generation < epoch.generation


def _publish_quarantine(
    ws: Workspace,
    gate: Path,
    compiled: CompiledFlow,
    epoch: Epoch,
    output: Output,
    table: StagedTable,
    replaces: bool = False,
    own: bool = False,
) -> None:
    ws.store.publish(
        Commit(
            folder=output.folder,
            schema=table.schema,
            files=table.files,
            replaces=replaces,
            replaces_own=own,
            application=compiled.flow.application,
            number=epoch.number,
            # Epochs without a quarantined row leave no commit here.
            gaps=True,
            gate=gate,
            info={"qanat.update": epoch.update, "qanat.flow": epoch.flow},
        )
    )


def _quarantine_schema(ws: Workspace, output: Output) -> Schema:
    return output.schema if output.schema.fields else ws.store.snapshot(str(output.folder)).schema
