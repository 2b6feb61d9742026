"""Ask the project's tables; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qanat.declare.adhoc import parse_adhoc
from qanat.dialect import to_engine
from qanat.errors import located
from qanat.model.batch import Batch
from qanat.model.query import DatasetRead
from qanat.ports.engine import Reading
from qanat.run.stored import Stored, stored
from qanat.run.workspace import Workspace

SELF = "self"
"""What the query of one table calls that table."""


@contextmanager
def query(
    ws: Workspace, sql: str, limit: int | None = None, table: Stored | None = None
) -> Iterator[Reading]:
    """Run a query over the stored tables; its rows are taken while the block lasts.

    Args:
        sql: in the project's dialect. Tables are read by the names of their datasets, also
            `<dataset>__quarantine`, and as they were with `VERSION AS OF 3` behind the name.
        limit: rows at most.
        table: what the name `self` stands for.

    Raises:
        DatasetNotFoundError: nobody declares what it reads; names the nearest.
        TableNotFoundError: that has no table (yet), or no such version.
        DeclarationError: it is no query, or does not fit the tables; says where in it.
    """
    asked = parse_adhoc(sql, ws.project)
    inputs: dict[str, Batch] = {}
    for read in asked.query.reads:
        assert isinstance(read.source, DatasetRead)  # noqa: S101 - parse_adhoc gives no other
        with located(read.location):
            name, version = read.source.dataset, asked.versions.get(read.name)
            if table is not None and name.casefold() == SELF:
                found = table if version is None else stored(ws, table.name, version)
            else:
                found = stored(ws, name, version)
        inputs[read.name] = found.snapshot.batch
    executable = to_engine(asked.query, ws.dialect)
    with ws.engine.read(executable, inputs, limit) as reading:
        yield reading
