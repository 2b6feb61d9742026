"""What of an epoch can be seen already, and how to take it back.

An epoch publishes its quarantines first and its table last. Whoever finds only the first cannot
know that computing again gives the same rows: the author may have changed a rule meanwhile, or the
query may ask for the time. So what the epoch put into quarantines is taken back (one commit that
restores what was there) before the epoch is computed again, as a whole, or given up. A row is then
in the table, or in a quarantine, or its input is unread; never two of these.
"""

from __future__ import annotations

from pathlib import Path

from qanat.model.dataset import QUARANTINE
from qanat.model.flow import application
from qanat.model.record import Epoch
from qanat.run.workspace import Workspace


def published(ws: Workspace, epoch: Epoch) -> bool:
    """Whether an epoch's last commit has happened, whatever the ledger knows."""
    dataset = ws.pipeline.get(epoch.dataset)
    if dataset is not None and dataset.sink is not None:
        # As long as nobody wrote down what was staged, what has its number is somebody else's.
        sent = epoch.counts is not None
        return sent and ws.sink.carries(dataset.sink, epoch.flow, epoch.number, ws.project.root)
    folder = str(ws.folder(epoch.dataset))
    return ws.store.transaction(folder, application(epoch.flow)) >= epoch.number


def take_back(ws: Workspace, gate: Path, epoch: Epoch) -> None:
    """Make all quarantines as they were before an epoch.

    All of them: which views a flow reads may have changed since.
    """
    for folder in tables(ws):
        if folder.name.endswith(QUARANTINE):
            ws.store.retract(str(folder), application(epoch.flow), epoch.number, gate)


def tables(ws: Workspace) -> list[Path]:
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
