"""Columns of files that a folder's name hides: `m=1/x.csv` with a column `m` in which stands 99.

As in Spark and DuckDB, the folder's value is the one that is read; here that is said.
"""

from __future__ import annotations

from collections.abc import Mapping

from qanat.engines.duckdb.files.bound import BatchColumns, FileTable
from qanat.engines.duckdb.files.cast import ISO, Formats, from_text
from qanat.model.name import Named, same
from qanat.model.work import Overruled


def overruled(
    table: FileTable,
    layout: BatchColumns,
    source: str,
    columns: Mapping[str, str],
    formats: Formats = ISO,
) -> list[Overruled]:
    """One example for each partition column that some files have, too, with another value.

    Args:
        layout: the batch's columns, for their types.
        source: FROM text of the files' rows, with `file`, the file's index.
        columns: the files' own columns, each with SQL for its value as text.
        formats: how dates and timestamps are written.
    """
    found = []
    own = Named(columns.items())
    for number, (name, values) in enumerate(table.partitions.columns):
        text = own.get(name)
        field = next((f for f in layout.fields if same(f.name, name)), None)
        if text is None or field is None:
            continue
        folders = table.variable(f"over{number}", values, "VARCHAR")
        folder = f"{folders}[CAST(file AS BIGINT) + 1]"
        here, there = (f"({from_text(t, field.type, formats)})" for t in ("here", "there"))
        rows = table.con.execute(
            f"SELECT file, here, there FROM (SELECT file, {text} AS here, {folder} AS there "
            f"FROM {source}) WHERE here IS NOT NULL AND here IS DISTINCT FROM there "
            f"AND ({here} IS NULL OR {here} IS DISTINCT FROM {there}) LIMIT 1"
        ).fetchall()
        found += [Overruled(table.files[f].path, name, value, said) for f, value, said in rows]
    return found
