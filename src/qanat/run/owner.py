"""Whether the tables that an update would change are this project's and environment's own.

A store writes to no table that is marked as another owner's (`qanat.model.owner`). What is asked
here comes before that: before anything is computed, and of tables that have no mark. A table that
the ledger knows was made before there were marks, and its next commit sets one. A table that the
ledger does not know may be anybody's, and is not replaced without a word. Only where the ledger
was lost may its own project replace it: the table carries commits of a flow of that name then, and
the author asks for a full refresh.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from qanat.errors import ForeignTableError, full_refresh
from qanat.model.name import same
from qanat.model.owner import check_owner
from qanat.model.pipeline import Dataset
from qanat.model.side import state_name
from qanat.model.table import TableRef
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session


def check_owners(session: Session, dataset: Dataset, anew: bool) -> None:
    """Refuse to change tables of a dataset that are not this project's own.

    Args:
        anew: whether the dataset starts over, as its author asked.

    Raises:
        ForeignTableError: one belongs to another project or environment, or may belong to one.
    """
    flows = session.analysis.flows_into(dataset.name)
    for table, of in _targets(session, dataset, flows):
        found = session.store.owner(table)
        check_owner(table.name, found, session.scope)
        if found is not None or session.store.version(table) is None or _known(session, of):
            continue
        # Made before there were marks; a ledger in the storage knows by whom.
        for other in session.recorded.others(of):
            check_owner(table.name, other, session.scope, "the ledger has epochs of it by {!r}")
        carried = any(session.store.transaction(table, c.flow.application) for c in flows)
        if not (anew and carried):
            raise _unclaimed(session, dataset, table, carried)


def is_own(session: Session, table: TableRef, of: str) -> bool:
    """True if a table is this project's and environment's, or no table yet.

    Args:
        of: the dataset that the table belongs to, or whose quarantine or state it is.
    """
    found = session.store.owner(table)
    if found is not None:
        return found == session.scope
    return session.store.version(table) is None or _known(session, of)


def _targets(
    session: Session, dataset: Dataset, flows: Collection[CompiledFlow]
) -> Iterator[tuple[TableRef, str]]:
    """The tables that epochs of a dataset may commit to, each with its dataset."""
    if dataset.stored:
        yield session.table(dataset.name), dataset.name
    views = (view.dataset for flow in flows for view in flow.views)
    for each in {d.name: d for d in (dataset, *views)}.values():
        yield session.table(each.quarantine), each.name
    for flow in flows:
        if flow.stateful is not None:
            yield session.table_named(state_name(dataset.name, flow.flow.name)), dataset.name


def _known(session: Session, dataset: str) -> bool:
    """True if the ledger knows of anything that was written for a dataset."""
    recorded = session.recorded
    if dataset in recorded.definitions():
        return True
    if any(same(e.dataset, dataset) for e in recorded.open_epochs()):
        return True
    # The definition comes with the last epoch of an update, which may have ended before.
    flows = session.analysis.flows.values()
    return any(
        recorded.last_epoch(c.flow.name, c.dataset.name) is not None
        for c in flows
        if same(c.dataset.name, dataset) or any(same(v.dataset.name, dataset) for v in c.views)
    )


def _unclaimed(
    session: Session, dataset: Dataset, table: TableRef, carried: bool
) -> ForeignTableError:
    hint = "give this project another `storage`, or the dataset another name"
    if carried:
        hint += f"; if it is this project's and the ledger was lost: {full_refresh(dataset.name)}"
    else:
        hint += f"; if nobody needs it, move its folder away: {table.location}"
    return ForeignTableError(
        f"there is a table {table.name} that this project has not made",
        location=dataset.location,
        wanted=f"no table, or one that the ledger of {session.scope} knows",
        got=f"{table.location}, which does not say whose it is",
        hint=hint,
    )
