"""What an epoch of a flow finds in its state."""

from __future__ import annotations

from qanat.model.lateness import IDLE_TIMEOUT, LATE_ROWS, LateRows, parse_idle_timeout
from qanat.model.name import fold
from qanat.model.record import Epoch
from qanat.model.work import Output, StateWork, Stored
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.run.sides import starts_over, state_of


def state_work(
    session: Session, compiled: CompiledFlow, epoch: Epoch, prefix: str
) -> StateWork | None:
    """The state of a flow before an epoch, and where its changed rows are staged.

    An epoch that is redone finds the same: what it had published is taken back first, and which
    streams count as idle depends on when it was intended, which the ledger has.

    Args:
        prefix: of the names of staged files.
    """
    table, stateful = state_of(session, compiled), compiled.stateful
    if table is None or stateful is None:
        return None
    stored, id_ = None, ""
    if not starts_over(session, epoch) and session.store.version(table) is not None:
        snapshot = session.store.snapshot(table)
        stored, id_ = Stored(snapshot.batch, snapshot.version), snapshot.id
    asked, default = compiled.dataset.table_property, session.project.configuration
    idle = parse_idle_timeout(asked(IDLE_TIMEOUT) or default.get(IDLE_TIMEOUT))
    late = fold(asked(LATE_ROWS) or default.get(LATE_ROWS, LateRows.COUNT))
    return StateWork(
        stateful,
        Output(session.store.staging(table), prefix),
        stored,
        id_,
        at_us=round(epoch.started * 1_000_000),
        idle_us=None if idle is None else idle * 1_000_000,
        keeps_late=LateRows(late) is LateRows.QUARANTINE,
        compacts=session.store.merges,
    )
