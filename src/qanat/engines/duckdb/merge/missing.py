"""Rows of a table that no row of the source of `MERGE INTO` matches."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.merge.pieces import count_of, make
from qanat.text import count

MISSING = "__qanat_missing"
"""The name of a temporary table with their places."""


def find_missing(con: DuckDBPyConnection, rows: str, matched: str, lost: int) -> tuple[str, ...]:
    """Make `MISSING`; what to tell of it.

    Args:
        rows: what stands behind FROM: all rows of the table.
        matched: SELECT text of pairs of these with rows of the source, before rules took any: one
            that a rule has taken away is not missing.
        lost: how many rows of the source could not be read: any row might be one of these.
    """
    make(
        con,
        MISSING,
        f"SELECT {RID} FROM {rows} WHERE {RID} NOT IN (SELECT {RID} FROM ({matched}))",
    )
    missing = count_of(con, MISSING) if lost else 0
    if not missing:
        return ()
    con.execute(f"DELETE FROM {MISSING}")
    stay = "stays" if missing == 1 else "stay"
    note = f"{count(missing, 'row')} that the source lacks {stay}"
    return (f"{note}: rows in quarantine could not be read, and may be these",)
