"""What a crash left behind: settle what was published, redo what was not, sweep the rest.

An epoch is computed again only as it was intended: from the same range, by the same definition,
into the same table. Where one of them is another now, it is given up, and its range is unread:
what a definition reads that it did not read then, the range says nothing about.

What stands in the way of one dataset does not stop the others. Its own run tells, and its full
refresh is a way out of anything: no part of what was begun will be left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from qanat.errors import LedgerError, QanatError
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.event import Recovered, Warned
from qanat.model.location import Location
from qanat.model.record import Epoch, EpochStatus, UpdateStatus
from qanat.run.compiled import CompiledFlow
from qanat.run.consistency import mismatch_of
from qanat.run.epoch import Step, carry_out
from qanat.run.publish import starts_over
from qanat.run.published import published, tables, take_back
from qanat.run.pulse import felt
from qanat.run.replay import Replay, is_replay
from qanat.run.scratch import sweep_scratch
from qanat.run.workspace import Workspace


def start_clean(
    step: Step, begin: Callable[[], None], anew: Collection[str] = frozenset()
) -> None:
    """Leave nothing of earlier updates in the way, whatever became of them.

    An epoch that cannot be brought to an end now is put down in `step.stuck`.

    Args:
        begin: called before anything is written to the ledger.
        anew: datasets that are about to be computed from the start.
    """
    ledger = step.ws.ledger
    # Whoever holds the lease knows that no other update runs, whatever the ledger says.
    crashed = [u for u in ledger.open_updates() if u.id != step.update]
    # Asked before anything is swept: what a sleeper stages after that, a later update removes.
    asleep = {u.id for u in crashed if felt(step.ws.scratches, u.id)}
    if crashed or ledger.open_epochs():
        begin()
        recover(step, anew)
    _tidy(step)
    for update in crashed:
        # Last: as long as it is said to run, its leftovers are looked for.
        if update.id not in asleep and not step.stuck:
            why = "its process ended before it did"
            ledger.end_update(update.id, UpdateStatus.FAILED, step.lease.current, why)


def recover(step: Step, anew: Collection[str] = frozenset()) -> None:
    """Bring every open epoch to an end, then remove files that no table knows.

    Sweeping comes last: until an open epoch is settled, the process that began it may only be
    asleep, and its staged files are still wanted.
    """
    ws = step.ws
    folders = tables(ws)
    _sweep_sinks(step)
    _each(step, folders, ws.store.repair)
    for epoch in ws.ledger.open_epochs():
        how: str | None
        try:
            how = _bring_to_an_end(step, epoch)
        except LedgerError:
            raise
        except QanatError as error:
            # Whoever has lost the lease has no say any more.
            step.lease.confirm()
            how = _set_aside(step, epoch, error, anew)
        if how is not None:
            step.tell(Recovered(epoch.dataset, epoch.flow, epoch.number, how))
    # No clock says whose a file is. But what was there while we held the lease, and is none of
    # ours, is a leftover; also if we fall asleep over removing it, and another takes over.
    _each(step, folders, lambda folder: ws.store.sweep(folder, step.lease.confirm))


def _each(step: Step, folders: Collection[Path], act: Callable[[Path], object]) -> None:
    """Do something to each table; one that is damaged is its dataset's trouble alone."""
    ws = step.ws
    owners = {ws.folder(n): d.name for d in ws.pipeline.datasets for n in (d.name, d.quarantine)}
    for folder in folders:
        try:
            act(folder)
        except QanatError as error:
            step.lease.confirm()
            name = owners.get(folder, folder.name)
            step.stuck.setdefault(name.casefold(), error)
            step.tell(Warned(name, error.message))


def _set_aside(step: Step, epoch: Epoch, error: QanatError, anew: Collection[str]) -> str | None:
    """Leave an epoch open, for its dataset's own run to tell, unless that starts over."""
    name = epoch.dataset.casefold()
    if name not in {n.casefold() for n in anew}:
        step.stuck.setdefault(name, error)
        message = f"epoch {epoch.number} of {epoch.flow}, which a crash left open, stays open"
        step.tell(Warned(epoch.dataset, f"{message}: {error.message}"))
        return None
    if is_replay(epoch.flow) and published(step.ws, epoch):
        # Rows are in two places until all are computed anew: nobody may go on before that.
        settled = replace(epoch, status=EpochStatus.COMMITTED)
        step.ws.ledger.settle(settled, step.lease.current)
        return "settled"
    step.ws.ledger.abandon(epoch, error.message, step.lease.current)
    return "abandoned"


def _tidy(step: Step) -> None:
    """Remove what crashed processes left aside, but for what an epoch that stays open needs."""
    ws = step.ws
    sweep_scratch(ws.scratches)
    _sweep_sinks(step)
    # A replay writes its rows down before it intends to move them; and a disk may have refused
    # to let go of a gate.
    parents = [p for p in (ws.replays, ws.gates) if p.is_dir()]
    if left := [f for p in parents for f in p.iterdir() if f != step.gate]:
        needed = {e.fingerprint for e in ws.ledger.open_epochs() if is_replay(e.flow)}
        step.lease.confirm()
        for folder in left:
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)


def _sweep_sinks(step: Step) -> None:
    ws = step.ws
    for dataset in ws.pipeline.datasets:
        if dataset.sink is not None:
            ws.sink.sweep(dataset.sink, ws.project.root, step.lease.confirm)


def _bring_to_an_end(step: Step, epoch: Epoch) -> str:
    ws = step.ws
    if is_replay(epoch.flow):
        return _finish_replay(step, epoch)
    if published(ws, epoch):
        version = ws.store.version(str(ws.folder(epoch.dataset)))
        settled = replace(epoch, status=EpochStatus.COMMITTED, version=version)
        dataset = ws.pipeline.get(epoch.dataset)
        if dataset is not None and dataset.sink is not None:
            # Of tables `repair` has made sure.
            ws.sink.secure(dataset.sink, ws.project.root)
        ws.ledger.settle(settled, step.lease.current)
        return "settled"
    take_back(ws, step.gate, epoch)
    compiled = ws.analysis.flows.get(epoch.flow)
    if compiled is None or compiled.dataset.name.casefold() != epoch.dataset.casefold():
        # Nothing of it is wanted any more.
        ws.ledger.abandon(epoch, "the flow is no longer declared", step.lease.current)
        step.tell(Warned(epoch.dataset, f"flow {epoch.flow} is gone; its open epoch was given up"))
        return "abandoned"
    if (why := _not_as_intended(ws, compiled, epoch)) is not None:
        # Nothing is lost by it, so that nobody need hear of it.
        ws.ledger.abandon(epoch, why, step.lease.current)
        return "abandoned"
    try:
        carry_out(step, compiled, epoch)
    except QanatError as error:
        if any(e.id == epoch.id for e in ws.ledger.open_epochs()):
            raise
        # The dataset's own run tells the error if it is still there.
        message = f"epoch {epoch.number} of {epoch.flow}, which a crash left open, was given up"
        step.tell(Warned(epoch.dataset, f"{message}: {error.message}"))
        return "abandoned"
    return "redone"


def _not_as_intended(ws: Workspace, compiled: CompiledFlow, epoch: Epoch) -> str | None:
    """Why an epoch that nobody has seen cannot be computed as it was meant to be."""
    fingerprint, _ = ws.analysis.definitions[compiled.dataset.name]
    if fingerprint != epoch.fingerprint:
        return "the definition has changed"
    if starts_over(ws, epoch):
        return None  # it replaces whatever there is
    mismatch = mismatch_of(ws, compiled)
    return None if mismatch is None else mismatch.message


def _finish_replay(step: Step, epoch: Epoch) -> str:
    """Bring a replay to its end; give it up while nobody has seen anything of it."""
    ws = step.ws
    dataset = ws.pipeline.get(epoch.dataset)
    replay = Replay(step, dataset or _undeclared(ws, epoch))
    if not replay.begun(epoch):
        why = None
        if dataset is None:
            why = "the dataset is no longer declared"
        elif not replay.kept(epoch):
            why = "the rows to move are gone"
        else:
            found = (mismatch_of(ws, c) for c in ws.analysis.flows_into(dataset.name))
            why = next((m.message for m in found if m is not None), None)
        if why is not None:
            ws.ledger.abandon(epoch, why, step.lease.current)
            return "abandoned"
    replay.publish(epoch)
    return "redone"


def _undeclared(ws: Workspace, epoch: Epoch) -> Dataset:
    """What has to be known of a dataset whose rows were moved in part, and which is gone."""
    return Dataset(epoch.dataset, DatasetKind.STREAMING_TABLE, Location(str(ws.project.spec)))
