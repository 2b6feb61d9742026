"""What a crash left behind: settle what was published, redo what was not, sweep the rest.

An epoch publishes its quarantine first and its table second. Whoever finds only the first of
the two cannot know that computing again gives the same rows: the author may have changed a rule
meanwhile, or the query may ask for the time. So what the epoch put into quarantines is taken
back (one commit that restores what was there) before the epoch is computed again, as a whole,
or given up. A row is then in the table, or in a quarantine, or its input is unread; never two
of these.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from qanat.errors import QanatError
from qanat.model.dataset import QUARANTINE
from qanat.model.event import Recovered, Warned
from qanat.model.flow import application
from qanat.model.record import Epoch, EpochStatus, UpdateStatus
from qanat.run.epoch import Step, carry_out
from qanat.run.replay import finish, is_replay
from qanat.run.scratch import sweep_scratch
from qanat.run.workspace import Workspace


def start_clean(step: Step, begin: Callable[[], None]) -> None:
    """Leave nothing of earlier updates in the way, whatever became of them.

    Args:
        begin: called before anything is written to the ledger.

    Raises:
        QanatError: an epoch was published in part and cannot be brought to an end now.
    """
    ledger = step.ws.ledger
    # Whoever holds the lease knows that no other update runs, whatever the ledger says.
    crashed = [u for u in ledger.updates() if u.status is UpdateStatus.RUNNING]
    crashed = [u for u in crashed if u.id != step.update]
    if crashed or ledger.open_epochs():
        begin()
        recover(step)
    _tidy(step)
    for update in crashed:
        # Last: as long as it is said to run, its leftovers are looked for.
        ledger.end_update(update.id, UpdateStatus.FAILED, "its process ended before it did")


def recover(step: Step) -> None:
    """Bring every open epoch to an end, then remove files that no table knows.

    An epoch whose number the table carries is settled; any other is computed again from
    exactly the range it had, or given up with a warning where that fails: its range is unread
    again. Sweeping comes last: until an open epoch is settled, the process that began it may
    only be asleep, and its staged files are still wanted.

    Raises:
        QanatError: an epoch was published in part and cannot be brought to an end now.
    """
    ws = step.ws
    tables = _tables(ws)
    _sweep_sinks(step)
    for folder in tables:
        ws.store.repair(folder)
    for epoch in ws.ledger.open_epochs():
        how = _bring_to_an_end(step, epoch)
        step.tell(Recovered(epoch.dataset, epoch.flow, epoch.number, how))
    for folder in tables:
        if folder.is_dir():
            ws.store.sweep(folder, step.at_ns)


def _tidy(step: Step) -> None:
    """Remove what crashed processes left aside, now that no epoch is open.

    But only what is older than this update. If it sleeps now, and wakes when another has taken
    over, it must not take away what that one has just made.
    """
    ws = step.ws
    sweep_scratch(ws.scratches)
    _sweep_sinks(step)
    # A replay writes its rows down before it intends to move them; and a disk may have refused
    # to let go of a gate.
    for parent in (ws.replays, ws.gates):
        with suppress(FileNotFoundError):
            for folder in parent.iterdir():
                if folder != step.gate and folder.stat().st_mtime_ns < step.at_ns:
                    shutil.rmtree(folder, ignore_errors=True)


def _sweep_sinks(step: Step) -> None:
    ws = step.ws
    for dataset in ws.pipeline.datasets:
        if dataset.sink is not None:
            ws.sink.sweep(dataset.sink, ws.project.root, step.at_ns)


def published(ws: Workspace, epoch: Epoch) -> bool:
    """Whether an epoch's last commit happened, although the ledger does not know."""
    dataset = ws.pipeline.get(epoch.dataset)
    if dataset is not None and dataset.sink is not None:
        return ws.sink.carries(dataset.sink, epoch.flow, epoch.number, ws.project.root)
    folder = str(ws.folder(epoch.dataset))
    return ws.store.transaction(folder, application(epoch.flow)) >= epoch.number


def _tables(ws: Workspace) -> list[Path]:
    """The folders of all tables, also of datasets that are no longer declared.

    A folder without a log is one only if its name, or the ledger, says so: it may be somebody's
    own.
    """
    names = {n for d in ws.pipeline.datasets for n in (d.name, d.quarantine)}
    names |= {e.dataset for e in ws.ledger.open_epochs()}
    known = {ws.folder(n) for n in names}

    def ours(folder: Path) -> bool:
        named = folder in known or folder.name.endswith(QUARANTINE)
        return named or ws.store.version(str(folder)) is not None

    return sorted(f for f in ws.project.tables.glob("*") if f.is_dir() and ours(f))


def _bring_to_an_end(step: Step, epoch: Epoch) -> str:
    ws = step.ws
    if is_replay(epoch.flow):
        finish(step, epoch)
        return "redone"
    if published(ws, epoch):
        version = ws.store.version(str(ws.folder(epoch.dataset)))
        settled = replace(epoch, status=EpochStatus.COMMITTED, version=version)
        dataset = ws.pipeline.get(epoch.dataset)
        if dataset is not None and dataset.sink is not None:
            # Of tables `repair` has made sure.
            ws.sink.secure(dataset.sink, ws.project.root)
        ws.ledger.settle(settled, step.lease.current)
        return "settled"
    _take_back(step, epoch)
    compiled = ws.analysis.flows.get(epoch.flow)
    if compiled is None or compiled.dataset.name.casefold() != epoch.dataset.casefold():
        # Nothing of it is wanted any more.
        ws.ledger.abandon(epoch, "the flow is no longer declared", step.lease.current)
        step.tell(Warned(epoch.dataset, f"flow {epoch.flow} is gone; its open epoch was given up"))
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


def _take_back(step: Step, epoch: Epoch) -> None:
    """Make all quarantines as they were before an epoch: it is computed again, or given up.

    All of them: which views a flow reads may have changed since.
    """
    store = step.ws.store
    for folder in _tables(step.ws):
        if folder.name.endswith(QUARANTINE):
            store.retract(str(folder), application(epoch.flow), epoch.number, step.gate)
