"""The rows of a state: found by key or by time, written after those of before, compacted.

A table only gains rows: of those with the same keys, the one of the newest epoch counts, and it
may say that the row is gone. So an epoch writes what it changes, however large the state is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.pieces import columns_in, make, part_of
from qanat.engines.duckdb.state.kind import GONE, Keeping, Moment
from qanat.engines.duckdb.state.marks import EPOCH, OWN, STREAM
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.errors import InvariantError
from qanat.frozen import Frozen
from qanat.model.schema import Field, Schema
from qanat.model.work import StateWork, TableBatch
from qanat.text import quote

_TOUCHED, _WANTED, _ROWS = (f"__qanat_{name}" for name in ("touched", "wanted", "kept"))
KEY, DUE = "a key of the row", "the watermark at which the row is due"
"""The comments of columns, by which they are known."""
_MANY = 100
"""Files of a state from which on some of them become one."""
_GROWS = 2
"""A file joins smaller ones if it is at most so many times as large as they are together."""


class Shape(Frozen):
    """What has to be known of the rows of a state.

    Args:
        columns: those of the operator.
        keys: that identify a row; the first `found_by` of them are asked for.
        closes: the column that says when a row is due; None: there is none.
    """

    columns: Schema
    keys: tuple[str, ...]
    found_by: tuple[str, ...]
    closes: str | None

    @classmethod
    def of(cls, keeping: Keeping[Any]) -> Shape:
        """That of an operator."""
        return cls(keeping.columns, keeping.keys, keeping.found_by, keeping.closes)

    @property
    def table(self) -> Schema:
        """The columns of the table."""
        told = dict.fromkeys(self.keys, KEY) | dict.fromkeys(filter(None, [self.closes]), DUE)
        own = (Field(f.name, f.type, comment=told.get(f.name)) for f in self.columns.fields)
        return Schema((*OWN.fields, *own))

    @property
    def typed(self) -> str:
        """The operator's columns as a SELECT list of NULLs."""
        return ", ".join(
            f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}" for f in self.columns.fields
        )

    def newest(self, rows: str) -> str:
        """SELECT text of the row of each key that counts, whether it is gone or not."""
        by = columns_in(self.keys)
        number = f"row_number() OVER (PARTITION BY {by} ORDER BY {EPOCH} DESC)"
        return f"SELECT * FROM ({rows}) QUALIFY {number} = 1"


def same_keys(names: Sequence[str], one: str, other: str) -> str:
    """SQL that is true if rows have the same values; NULL is equal to NULL."""
    parts = (f"{one}.{quote(n)} IS NOT DISTINCT FROM {other}.{quote(n)}" for n in names)
    return " AND ".join(parts)


def wanted(
    con: DuckDBPyConnection, shape: Shape, stored: str, touched: str, moment: Moment
) -> str:
    """SELECT text of the rows that an epoch needs: those of touched keys, and those that are due.

    Args:
        stored: SELECT text of all rows of the state.
        touched: SELECT text of the keys.
    """
    by = columns_in(shape.found_by)
    keys = f"SELECT {by} FROM ({touched})"
    if shape.closes is not None and moment.after is not None:
        # All versions of these rows: the newest may be due at another time, or gone.
        due = f"{quote(shape.closes)} <= {moment.after} AND {STREAM} IS NULL"
        keys += f" UNION SELECT {by} FROM ({stored}) WHERE {due}"
    make(con, _WANTED, keys)
    rows = (
        f"SELECT s.* FROM ({stored}) AS s SEMI JOIN {_WANTED} AS w "
        f"ON {same_keys(shape.found_by, 's', 'w')} WHERE s.{STREAM} IS NULL"
    )
    columns = columns_in(shape.columns.names)
    make(con, _ROWS, f"SELECT {columns} FROM ({shape.newest(rows)}) WHERE NOT {GONE}")
    return f"SELECT * FROM {_ROWS}"


class Compaction(Frozen):
    """Files of a state that become one.

    Args:
        removed: these, as the table's batch names them.
        select: SELECT text of what is left of their rows.
    """

    removed: tuple[str, ...]
    select: str


def compaction(bindings: Bindings, state: StateWork, shape: Shape) -> Compaction | None:
    """The files to write again, if it is time: the small ones, so that each grows by its like."""
    batch = state.stored.batch if state.stored is not None else None
    if not state.compacts or batch is None or len(_plain(batch).files) < _MANY:
        return None
    whole = _plain(batch)
    whole.ready()
    sizes = sorted((Path(f).stat().st_size, f) for f in whole.files)
    total, some = 0, list[str]()
    for size, path in sizes:
        if len(some) > 1 and size > _GROWS * total:
            break
        total += size
        some.append(path)
    rows = bindings.bind("__qanat_compacted", part_of(whole, some)).plain
    kept = shape.newest(f"SELECT * FROM ({rows}) WHERE {STREAM} IS NULL")
    if len(some) == len(whole.files):
        kept = f"SELECT * FROM ({kept}) WHERE NOT {GONE}"
    return Compaction(tuple(some), f"SELECT {columns_in(shape.table.names)} FROM ({kept})")


def _plain(batch: object) -> TableBatch:
    if not isinstance(batch, TableBatch):
        raise InvariantError("a state is a table of plain files")
    return batch
