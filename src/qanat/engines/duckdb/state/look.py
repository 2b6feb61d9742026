"""The rows of a state, counted."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.merge.pieces import columns_in
from qanat.engines.duckdb.state.kind import GONE
from qanat.engines.duckdb.state.marks import EPOCH, STREAM, WATERMARK, marks_in
from qanat.engines.duckdb.state.stored import DUE, KEY
from qanat.model.kept import KeptRows, StreamMark
from qanat.model.schema import Schema
from qanat.text import quote


def kept_rows(con: DuckDBPyConnection, stored: str, columns: Schema) -> KeptRows:
    """What a state has.

    Args:
        stored: SELECT text of all rows of its table.
        columns: of that, whose comments tell the keys.
    """
    marks = marks_in(con, stored)
    reached = marks.pop(WATERMARK, None)
    keys = [f.name for f in columns.fields if f.comment == KEY]
    due = next((quote(f.name) for f in columns.fields if f.comment == DUE), "NULL")
    newest = (
        f"SELECT {GONE}, {due} AS due FROM ({stored}) WHERE {STREAM} IS NULL "
        f"QUALIFY row_number() OVER (PARTITION BY {columns_in(keys)} ORDER BY {EPOCH} DESC) = 1"
    )
    row = con.execute(f"SELECT count(*), min(due) FROM ({newest}) WHERE NOT {GONE}").fetchone()
    total, first = row or (0, None)
    return KeptRows(
        total,
        None if reached is None else reached.newest,
        first,
        tuple(StreamMark(s, p, m.newest, m.at_us) for (s, p), m in sorted(marks.items())),
    )
