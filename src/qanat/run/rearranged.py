"""The work of an epoch that writes files of a table again."""

from __future__ import annotations

from pathlib import Path

from qanat.model.table import TableRef
from qanat.model.upkeep import Layout
from qanat.model.work import Output, Work
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.run.succession import ordered


def table_of(session: Session, compiled: CompiledFlow) -> tuple[TableRef, Layout]:
    """The one table whose files such an epoch writes again."""
    ((name, layout),) = compiled.layouts.items()
    return session.table(name), layout


def rearranging(
    session: Session,
    compiled: CompiledFlow,
    epoch: int,
    update: str,
    prefix: str,
    scratch: Path,
    at_ns: int,
) -> Work:
    """What to write again, and where to stage it.

    Args:
        epoch: its number; `update` the identifier of the update.
        prefix: of the names of staged files.
        at_ns: when the update began, nanoseconds since 1970 (UTC).
    """
    table, layout = table_of(session, compiled)
    snapshot = session.store.snapshot(table, layout.version)
    output = Output(session.store.staging(table), prefix, schema=snapshot.schema)
    return Work(
        flow=compiled.flow.name,
        epoch=epoch,
        update=update,
        # The engine stages one table: to it a quarantine is a table like any other.
        dataset=table.name,
        query=compiled.query,
        inputs={},
        output=output,
        quarantine=output,
        scratch=scratch,
        at_ns=at_ns,
        ordered=session.store.extends and ordered(session, compiled),
        rearranged=layout,
    )
