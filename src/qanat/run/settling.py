"""How far the rows of a quarantine are there to stay, for streams that read it.

An epoch commits to quarantines first and to its table last, and takes the first back if the last
fails. So what a quarantine has of an application counts once the table has that number, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from qanat.model.name import same
from qanat.model.pipeline import Pipeline, flow_of, is_upkeep
from qanat.model.table import TableRef
from qanat.planning.graph import resolve
from qanat.ports.ledger import Ledger
from qanat.ports.store import TableStore


class Declared(Protocol):
    """What has to be known of an opened project: `Session` has it."""

    @property
    def pipeline(self) -> Pipeline:
        """What it declares."""
        ...

    @property
    def recorded(self) -> Ledger:
        """The ledger to read from."""
        ...


def carried_beside(
    session: Declared,
    store: TableStore,
    table: TableRef,
    at: Callable[[str], TableRef],
    own: bool,
) -> Callable[[str], int | None] | None:
    """What `TableStore.settled` asks about a quarantine; None if the table is none.

    Args:
        at: gives the tables of datasets in the same environment.
        own: whether that is the environment of the session, whose ledger can be asked.
    """
    dataset = resolve(session.pipeline, table.name)
    if dataset is None or same(dataset.name, table.name):
        return None
    if dataset.stored:
        return partial(_carried, store, at(dataset.name))
    targets = {f.application: f.target for f in session.pipeline.flows}

    def carried(application: str) -> int | None:
        if is_upkeep(flow_of(application)):
            return None
        # Rows of a view or sink wait for the tables of all flows that read the one or feed the
        # other; a flow's numbers go on where it has been sent from one table to another.
        numbers = [session.recorded.last_number(flow_of(application))] if own else []
        target = session.pipeline.get(targets.get(application, ""))
        if target is not None and target.stored:
            numbers.append(store.transaction(at(target.name), application))
        return max(numbers, default=None)

    return carried


def _carried(store: TableStore, table: TableRef, application: str) -> int | None:
    """The number of an application in a table; maintenance counts each table by itself."""
    if is_upkeep(flow_of(application)):
        return None
    return store.transaction(table, application)
