"""A batch as rows that can be read several times, and its profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from duckdb import DuckDBPyConnection

from qanat.disk import explained as explained_disk
from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.faults import condition, explained, explained_condition
from qanat.engines.duckdb.files.bound import FILE, RID, ROW
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.profiling.summary import profile
from qanat.engines.duckdb.types import from_duckdb
from qanat.errors import ColumnNotFoundError, nearest
from qanat.model.profile import Profiled
from qanat.model.rule import Predicate
from qanat.model.schema import Field, Schema
from qanat.model.work import Batch, FilesBatch, TableBatch
from qanat.text import literal, quote

_NAME = "__profiled"
# As long as the part of a name by which samples are chosen: they are the same each time.
_COPY = "rows-of-a-batch-that-can-be-read-only-once.parquet"


def described(
    con: DuckDBPyConnection,
    scratch: Path,
    batch: Batch,
    columns: Sequence[str],
    where: Predicate | None,
) -> Profiled:
    """Describe the columns of a batch.

    Args:
        columns: only these, in this order; empty: all.
        where: only rows for which it is true.

    Raises:
        ColumnNotFoundError: there is no such column; names the nearest.
    """
    copy = scratch / _COPY
    try:
        with explained(None):
            bound = Bindings(con, scratch).bind(_NAME, batch)
            rows = bound.full
            if not _read_often(batch):
                # What is parsed, converted or computed is read once: as Parquet it is read
                # several times for less.
                with explained_disk("make", scratch):
                    scratch.mkdir(parents=True, exist_ok=True)
                con.execute(f"COPY ({bound.plain}) TO {literal(str(copy))} (FORMAT parquet)")
                rows = (
                    f"SELECT *, filename AS {FILE}, file_row_number AS {ROW}, file_row_number"
                    f" AS {RID} FROM read_parquet({literal(str(copy))}, file_row_number = true,"
                    " filename = true)"
                )
            schema = _chosen(_schema(con, bound.plain), columns)
            names = con.sql(f"{bound.plain} LIMIT 0").columns
            if where is not None:
                # It may end in a -- comment.
                rows = f"SELECT * FROM ({rows}) WHERE (\n{exact_casts(where.sql)}\n)"
                with explained(condition(where.sql), names):
                    con.sql(f"{rows} LIMIT 0").fetchall()
            with explained_condition(where, names):
                return profile(con, f"({rows})", schema)
    finally:
        copy.unlink(missing_ok=True)


def _read_often(batch: Batch) -> bool:
    """True if its rows cost little more than to be read."""
    return isinstance(batch, TableBatch) or (
        isinstance(batch, FilesBatch) and batch.format == "parquet"
    )


def _schema(con: DuckDBPyConnection, select: str) -> Schema:
    relation = con.sql(f"{select} LIMIT 0")
    pairs = zip(relation.columns, relation.types, strict=True)
    return Schema(tuple(Field(name, from_duckdb(type_)) for name, type_ in pairs))


def _chosen(schema: Schema, columns: Sequence[str]) -> Schema:
    if not columns:
        return schema
    found = []
    for name in columns:
        field = schema.get(name)
        if field is None:
            raise ColumnNotFoundError(
                f"there is no column {quote(name)}",
                got=name,
                nearest=nearest(name, schema.names),
            )
        found.append(field)
    return Schema(tuple(found))
