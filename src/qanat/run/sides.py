"""The tables beside those of datasets, to which an epoch commits before its table.

Quarantines take the rows that broke a rule, and a state has what a flow keeps from one epoch to
the next. Both carry the numbers of epochs, and both are taken back where an epoch got no further.
"""

from __future__ import annotations

from collections.abc import Iterator

from qanat.model.name import same
from qanat.model.pipeline import Dataset
from qanat.model.record import Epoch
from qanat.model.side import dataset_of, is_side, is_state, state_name
from qanat.model.table import TableRef
from qanat.run.memo import CompiledFlow
from qanat.run.owner import is_own
from qanat.run.session import Session


def quarantines(session: Session, compiled: CompiledFlow) -> dict[str, TableRef]:
    """All quarantines that a flow may put rows into, by dataset."""
    datasets = [compiled.dataset, *(v.dataset for v in compiled.views)]
    return {d.name: session.table(d.quarantine) for d in datasets}


def state_of(session: Session, compiled: CompiledFlow) -> TableRef | None:
    """The table with the state of a flow; None if it keeps nothing."""
    if compiled.stateful is None:
        return None
    return session.table_named(state_name(compiled.dataset.name, compiled.flow.name))


def sides(session: Session, compiled: CompiledFlow) -> tuple[TableRef, ...]:
    """All tables that an epoch of a flow may commit to before its own."""
    state = state_of(session, compiled)
    found = tuple(quarantines(session, compiled).values())
    return found if state is None else (state, *found)


def states_of(session: Session, dataset: str) -> list[TableRef]:
    """The states that there are of a dataset's flows, whether those are declared or not."""
    found = session.store.tables(session.project.tables)
    return [t for t in found if is_state(t.name) and same(dataset_of(t.name), dataset)]


def has_state(session: Session, dataset: Dataset) -> bool:
    """True if a flow of a dataset keeps something, as it is declared or was declared before."""
    return any(session.store.version(t) is not None for t in states_of(session, dataset.name))


def all_sides(session: Session) -> Iterator[TableRef]:
    """All of all datasets, also of those that are no longer declared."""
    return (table for table in tables(session) if is_side(table.name))


def tables(session: Session) -> list[TableRef]:
    """All tables, also those of datasets that are no longer declared.

    A folder without a log is one only if its name, or the ledger, says so: it may be the
    author's own. Tables of other projects and environments are left out.
    """
    names = {n for d in session.pipeline.datasets for n in (d.name, d.quarantine)}
    names |= {e.dataset for e in session.ledger.open_epochs()}
    known = {session.table(n).location for n in names}

    def ours(table: TableRef) -> bool:
        named = table.location in known or is_side(table.name)
        if not named and session.store.version(table) is None:
            return False
        return is_own(session, table, dataset_of(table.name))

    return [t for t in session.store.tables(session.project.tables) if ours(t)]


def starts_over(session: Session, epoch: Epoch) -> bool:
    """True if this is the flow's first epoch after a full refresh (or replaces all anyway)."""
    last = session.ledger.last_epoch(epoch.flow, epoch.dataset)
    return epoch.replaces or last is None or last.generation < epoch.generation
