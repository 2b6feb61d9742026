"""The order of rows: UNIQUE keeps the first of several, now and when all is computed anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FILE, ROW
from qanat.engines.duckdb.places import PLACE
from qanat.model.rule import ORDERED
from qanat.model.work import Batch, FilesBatch, TableBatch, Work
from qanat.text import quote

_ORDERED = 64 * 1024 * 1024
"""Bytes of input up to which rows keep the order of their source. People look at small results
and expect that order; SQL does not promise it, and ORDER BY is kept at any size."""

_FILES = "__qanat_files_in_order"


def keep_order(con: DuckDBPyConnection, batches: Iterable[Batch], always: bool) -> None:
    """Let rows keep the order of their source, as a new connection does, unless there are many.

    Args:
        always: however many there are.
    """
    # Keeping the order of many rows costs a fifth more CPU and twice the memory.
    if not always and _bytes(batches) > _ORDERED:
        con.execute("SET SESSION preserve_insertion_order = false")


@contextmanager
def keeping_order(con: DuckDBPyConnection) -> Iterator[None]:
    """Let rows keep their order while the block lasts."""
    [(before,)] = con.execute("SELECT current_setting('preserve_insertion_order')").fetchall()
    con.execute("SET SESSION preserve_insertion_order = true")
    try:
        yield
    finally:
        con.execute(f"SET SESSION preserve_insertion_order = {str(before).lower()}")


def _bytes(batches: Iterable[Batch]) -> int:
    """The size of input files, compressed as they are."""
    total = 0
    for batch in batches:
        if isinstance(batch, FilesBatch):
            total += sum(f.size for f in batch.files)
        elif isinstance(batch, TableBatch):
            batch.ready()
            total += sum(Path(f).stat().st_size for f in batch.files)
    return total


def keeps_first(work: Work) -> bool:
    """True if it matters which of several rows comes first."""
    rules = (*work.expectations, *(e for view in work.views for e in view.expectations))
    return work.ordered or any(isinstance(e.rule, ORDERED) for e in rules)


def in_order(
    con: DuckDBPyConnection,
    select: str,
    names: Sequence[str],
    batches: Iterable[Batch],
    placed: bool,
) -> str:
    """SELECT text of joined rows in the order of the rows that they come from.

    Rows that come from the same one are in the order of their values.

    Args:
        select: SELECT text with the positions of rows.
        names: its columns.
        batches: the inputs, whose files are in order.
        placed: whether rows tell their place, whatever the order of files.
    """
    values = ", ".join(map(quote, names))
    if placed:
        return f"SELECT * FROM ({select}) AS q ORDER BY {PLACE}, {values}"
    paths = [path for batch in batches for path in _paths(batch)]
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_FILES} AS "
        "SELECT unnest(?::VARCHAR[]) AS file, unnest(?::BIGINT[]) AS number",
        [list(dict.fromkeys(paths)), list(range(len(set(paths))))],
    )
    file = f"(SELECT number FROM {_FILES} AS f WHERE f.file = q.{FILE})"
    return f"SELECT * FROM ({select}) AS q ORDER BY {file}, {FILE}, {ROW}, {values}"


def _paths(batch: Batch) -> Sequence[str]:
    if isinstance(batch, FilesBatch):
        return [file.path for file in batch.files]
    if not isinstance(batch, TableBatch):
        return ()
    if batch.copied is None:
        return batch.files
    folder, url = batch.copied
    return [f"{url}{path[len(folder) :]}" for path in batch.files]


def keep_sorted(con: DuckDBPyConnection, name: str, select: str) -> str:
    """Keep rows in a temporary table in the order of a SELECT, which `rowid` then tells.

    The table has names of its own: a column of the rows may be called rowid.

    Returns:
        The SELECT list that gives the columns their names again.
    """
    names = {quote(n): f"c{i}" for i, n in enumerate(con.sql(f"{select} LIMIT 0").columns)}
    own = ", ".join(f"{name} AS {other}" for name, other in names.items())
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {own} FROM ({select})")
    return ", ".join(f"{other} AS {name}" for name, other in names.items())
