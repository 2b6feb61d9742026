"""Carries out a renaming or removal that the ledger has as intended.

Tables come first, then what their logs and the sinks count by flow, and the ledger last, with all
of its part in one transaction that also ends the intention. Each step looks at what is there, so
that one that was done before a crash is nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterator

from qanat.model.move import Move, Moved
from qanat.model.pipeline import QUARANTINE, application
from qanat.model.schema import Schema
from qanat.model.side import state_name
from qanat.model.table import Change, Commit, TableRef
from qanat.run.attempt import RunningUpdate
from qanat.run.profiles import move_profiles
from qanat.run.session import Session
from qanat.run.sides import states_of, tables


def carry_out(running: RunningUpdate, move: Move) -> None:
    """Rename or remove what is intended; the gate is open, so that no sleeper is in the way.

    Raises:
        LeaseLostError, CommitConflictError: another update has taken over.
        QanatError: a store, sink or ledger says no; the intention stays.
    """
    running.lease.confirm()
    if move.what is Moved.DATASET:
        _move_tables(running, move)
    if move.what is Moved.FLOW:
        for old, new in move.flows.items():
            _move_state(running, move.dataset, old, new)
    for old, new in move.flows.items():
        for table in _known_tables(running.session, move):
            store = running.session.store
            store.rename_application(table, application(old), application(new), running.gate)
        _rename_in_sink(running, move, old, new)
    for flow in move.gone:
        _forget_flow(running, flow)
    running.session.ledger.end_move(move, running.lease.latest)


def table_names(session: Session, name: str) -> tuple[str, ...]:
    """The names of a dataset's table, of its quarantine's and of those with its states."""
    return name, name + QUARANTINE, *(t.name for t in states_of(session, name))


def _move_tables(running: RunningUpdate, move: Move) -> None:
    session = running.session
    for old in table_names(session, move.old):
        if move.new is None:
            session.store.drop(session.table_named(old), running.gate)
        else:
            # A state tells whose it is behind that.
            new = move.new + old[len(move.old) :]
            to = session.table_named(new)
            session.store.move(session.table_named(old), to, running.gate)
    move_profiles(session, move.old, move.new)


def _move_state(running: RunningUpdate, dataset: str, old: str, new: str) -> None:
    session = running.session
    here, to = (session.table_named(state_name(dataset, flow)) for flow in (old, new))
    session.store.move(here, to, running.gate)


def _known_tables(session: Session, move: Move) -> Iterator[TableRef]:
    """All tables; a flow may have put rows into the quarantine of any view.

    A table by its new name: of two spellings of one name, `tables` finds the declared one.
    """
    yield from tables(session)
    if move.what is Moved.DATASET and move.new is not None:
        yield from (session.table_named(n) for n in table_names(session, move.new))


def _rename_in_sink(running: RunningUpdate, move: Move, old: str, new: str) -> None:
    """Tell the sink that is fed, if it is declared; without that it goes by the ledger alone."""
    session = running.session
    fed = move.new if move.what is Moved.DATASET else move.dataset
    dataset = session.pipeline.get(fed or "")
    if dataset is not None and dataset.sink is not None and session.project.sinks:
        running.lease.confirm()  # a sink knows no gate
        session.sink(dataset.sink).rename(dataset.sink, old, new)


def _forget_flow(running: RunningUpdate, flow: str) -> None:
    """Take a flow's rows out of the quarantines of views, and let its numbers begin anew."""
    session, name = running.session, application(flow)
    for table in tables(session):
        number = session.store.transaction(table, name)
        if number and table.name.endswith(QUARANTINE):
            columns = session.store.snapshot(table).schema
            session.store.publish(_without_rows(running, table, columns, name, number + 1))
        if number:
            session.store.rename_application(table, name, None, running.gate)


def _without_rows(
    running: RunningUpdate, table: TableRef, columns: Schema, name: str, number: int
) -> Commit:
    return Commit(
        table=table,
        schema=columns,
        files=(),
        change=Change.REPLACE_OWN,
        application=name,
        number=number,
        info={"qanat.update": running.id},
        gate=running.gate,
    )
