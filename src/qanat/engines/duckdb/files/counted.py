"""Lines of rows that DuckDB has only counted.

DuckDB tells no line of a CSV file's rows. They are counted instead, which gives the line unless a
value goes on over lines, or blank lines or comments stand between. Of such files the lines are
looked up, by the reader that knows them, for the few rows that somebody wants to know it of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from duckdb import DuckDBPyConnection

LinesOf: TypeAlias = Callable[[Iterable[int]], Mapping[int, int]]
"""The lines on which the rows of a file begin, by the rows' numbers."""

_LINES = "__qanat_lines"


def with_lines(con: DuckDBPyConnection, rows: str, counted: Mapping[str, LinesOf]) -> str:
    """SELECT text of rows for a quarantine that name lines where they named numbers of rows.

    Args:
        rows: SELECT text with the column `_quarantine_source`; it is evaluated once here.
        counted: by path, the files of which a row may have another line than its number.

    Raises:
        OSError, EOFError: a file cannot be read.
    """
    kind = con.sql(f"SELECT _quarantine_source FROM ({rows}) LIMIT 0").types[0] if counted else ""
    if not str(kind).startswith("STRUCT"):
        return rows
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_LINES} AS SELECT DISTINCT source.file AS file, "
        f"source.row AS number, NULL::BIGINT AS line "
        f"FROM (SELECT _quarantine_source AS source FROM ({rows})) "
        "WHERE source.file IN (SELECT unnest(?::VARCHAR[]))",
        [list(counted)],
    )
    paths = con.execute(f"SELECT DISTINCT file FROM {_LINES}").fetchall()
    for (path,) in paths:
        numbers = con.execute(f"SELECT number FROM {_LINES} WHERE file = ?", [path]).fetchall()
        lines = counted[path](number for (number,) in numbers)
        con.execute(
            f"UPDATE {_LINES} AS l SET line = f.line FROM (SELECT unnest(?::BIGINT[]) AS number, "
            "unnest(?::BIGINT[]) AS line) AS f WHERE l.file = ? AND l.number = f.number",
            [list(lines), list(lines.values()), path],
        )
    if not paths:
        return rows
    source = "{'file': q._quarantine_source.file, 'row': coalesce(l.line, l.number)}"
    return (
        f"SELECT q.* REPLACE (CASE WHEN l.file IS NULL THEN q._quarantine_source ELSE {source} "
        f"END AS _quarantine_source) FROM ({rows}) AS q LEFT JOIN {_LINES} AS l "
        "ON l.file = q._quarantine_source.file AND l.number = q._quarantine_source.row"
    )
