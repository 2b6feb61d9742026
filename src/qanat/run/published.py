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
from qanat.model.flow import application, is_replay
from qanat.model.record import Epoch
from qanat.model.table import TableRef
from qanat.run.session import Session

_READ_BY_EARLIER = "__quarantine"
"""The key of the range of replays from before they became epochs like any other."""


def published(session: Session, epoch: Epoch) -> bool:
    """Whether an epoch's last commit has happened, whatever the ledger knows."""
    dataset = session.pipeline.get(epoch.dataset)
    if dataset is not None and dataset.sink is not None:
        # As long as nobody wrote down what was staged, what has its number is somebody else's.
        sink, sent = session.sink(dataset.sink), epoch.counts is not None
        return sent and sink.carries(dataset.sink, epoch.flow, epoch.number)
    table = session.table(epoch.dataset)
    return session.store.transaction(table, application(epoch.flow)) >= epoch.number


def is_half_moved(session: Session, epoch: Epoch) -> bool:
    """Whether a replay of an earlier release has left its rows in table and quarantine.

    Those committed to the table first, and kept what they had read under a name of its own. Not
    if the quarantine is another by now: it was restored, and may lack the rows.
    """
    read = epoch.ranges.get(_READ_BY_EARLIER) if is_replay(epoch.flow) else None
    if read is None or not published(session, epoch):
        return False
    table = session.table(epoch.dataset + QUARANTINE)
    moved = session.store.transaction(table, application(epoch.flow)) >= epoch.number
    return not moved and session.store.version(table) == read.value.get("version")


def take_back(session: Session, gate: Path, epoch: Epoch) -> None:
    """Make all quarantines as they were before an epoch.

    All of them: which views a flow reads may have changed since.
    """
    for table in tables(session):
        if table.name.endswith(QUARANTINE):
            session.store.retract(table, application(epoch.flow), epoch.number, gate)


def tables(session: Session) -> list[TableRef]:
    """All tables, also those of datasets that are no longer declared.

    A folder without a log is one only if its name, or the ledger, says so: it may be somebody's
    own.
    """
    names = {n for d in session.pipeline.datasets for n in (d.name, d.quarantine)}
    names |= {e.dataset for e in session.ledger.open_epochs()}
    known = {session.table(n).location for n in names}

    def ours(table: TableRef) -> bool:
        named = table.location in known or table.name.endswith(QUARANTINE)
        return named or session.store.version(table) is not None

    return [t for t in session.store.tables(str(session.project.tables)) if ours(t)]
