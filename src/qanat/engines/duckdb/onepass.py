"""Stage a copy of files while they are read, if there is nothing in them that needs care.

The careful way copies text files to a spool first: it is read as often as rules and quarantine
need, and tells each row's line. A query that keeps every row, without rules, needs none of that
as long as every record and every value fits. So it is tried without the spool, which is a third
of the work; and at the first value or record that does not fit the careful way begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files import OnePass
from qanat.engines.duckdb.files.bound import SOURCE
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.order import keep_order
from qanat.engines.duckdb.remembered import Queries
from qanat.engines.duckdb.sources import named, only_file
from qanat.engines.duckdb.types import Fitted, Result
from qanat.engines.duckdb.write import discard, write
from qanat.model.query import SqlQuery
from qanat.model.staged import Counts, Staged
from qanat.model.work import FilesBatch, Work
from qanat.text import quote

_AHEAD = "64MB"
"""How much DuckDB may read ahead of the file that it writes in order. A copy neither sorts nor
joins, so that nothing else is limited; without a limit it took 50 MB more, and no less CPU."""


def copy_input(
    con: DuckDBPyConnection,
    work: Work,
    bindings: Bindings,
    queries: Queries,
    located: Callable[[str], AbstractContextManager[None]],
    compiled: Callable[[], tuple[Result, Fitted]],
) -> Staged | None:
    """Stage all rows of the query's one input in one pass over its files.

    Args:
        located: makes errors of a block tell where the input of that name is read.
        compiled: compiles the query once its input is bound.

    Returns:
        None if the work is another one, or a file holds what does not fit. Nothing is staged
        then, and the input is to be bound anew.
    """
    if work.merge is not None or work.state is not None or not _passes(work, queries):
        return None
    ((name, batch),) = work.inputs.items()
    whole = isinstance(work.query, SqlQuery) and queries.copies_input(work.query)
    with located(name):
        once = bindings.bind_once(name, batch, whole)
    if once is None:
        return None
    result, fitted = compiled()
    if fitted.widens:
        return None
    keep_order(con, (batch,), work.ordered)
    con.execute(f"SET SESSION operator_memory_limit = '{_AHEAD}'")
    told, only = SOURCE in result.hidden, only_file(work)
    output = work.output if only is None or not told else named(work.output, only)
    own = f", {SOURCE}" if told and only is None else ""
    columns = f"SELECT {fitted.projection}{own} FROM ({result.select})"
    try:
        table = write(con, columns, fitted.schema, output)
        table = replace(table, sourced=told, by_column=bool(own))
        if not table.rows:
            _look(con, once)
        if once.complete():
            counts = Counts(out=table.rows, written=table.rows)
            found = {name: once.schema}
            missing = {name: once.missing} if once.missing else {}
            read = table.rows if once.count is None else once.count()
            return Staged(table, counts, (), {}, source_schemas=found, read=read, missing=missing)
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        # A value does not fit, or the query fails: the careful way finds the rows or the error.
        pass
    discard(work.output)
    con.execute("RESET SESSION operator_memory_limit")
    # A spool numbers its rows by their order.
    con.execute("RESET SESSION preserve_insertion_order")
    return None


def _look(con: DuckDBPyConnection, once: OnePass) -> None:
    """Look at every row once more: of a condition that none can meet DuckDB needs to see none.

    Raises:
        duckdb.Error: one does not fit.
    """
    column = quote(once.schema.names[0])
    con.execute(f"SELECT count({column}) FROM ({once.relation})").fetchall()


def _passes(work: Work, queries: Queries) -> bool:
    # A source that had malformed rows before will have some again: do not read it in vain.
    if work.row_rules or work.views or work.quarantine.schema.fields:
        return False
    files = [isinstance(batch, FilesBatch) for batch in work.inputs.values()]
    query = work.query
    return files == [True] and isinstance(query, SqlQuery) and queries.reads_once(query)
