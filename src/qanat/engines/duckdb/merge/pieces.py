"""Pieces of SQL that all steps of a merge use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from duckdb import DuckDBPyConnection

from qanat.model.work import TableBatch
from qanat.text import quote

SEQUENCE = "__qanat_sequence"
"""From which event or epoch a row is; a column of the files, and of no table that readers see."""


def make(con: DuckDBPyConnection, name: str, select: str, kind: str = "TABLE") -> int:
    """Make a temporary table (or view) of the rows of a SELECT.

    In the place of one that there may be: an epoch that has to leave out rows computes once more.

    Returns:
        How many rows the table has; 0 for a view.
    """
    return changed(con, f"CREATE OR REPLACE TEMP {kind} {name} AS {select}")


def changed(con: DuckDBPyConnection, statement: str) -> int:
    """Run a statement; how many rows it has written."""
    row = con.execute(statement).fetchone()
    return int(row[0]) if row else 0


def count_of(con: DuckDBPyConnection, relation: str) -> int:
    """How many rows there are.

    Args:
        relation: what stands behind FROM: a name or a SELECT in parentheses, perhaps with WHERE.
    """
    row = con.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def part_of(batch: TableBatch, files: Sequence[str]) -> TableBatch:
    """Some files of a table, which have been fetched; their columns may have got wider types."""
    narrower = tuple(replace(b, files=tuple(files), fetch=None) for b in batch.narrower)
    return replace(batch, files=tuple(files), fetch=None, narrower=narrower)


def columns_in(names: Iterable[str], of: str = "") -> str:
    """Names as a list in SQL.

    >>> columns_in(["a", "b c"], "r")
    'r."a", r."b c"'
    """
    return ", ".join(f"{of}.{quote(n)}" if of else quote(n) for n in names)
