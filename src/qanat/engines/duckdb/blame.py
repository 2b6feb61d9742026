"""Which expression of a query fails, and for which row, where the query cannot do without the row.

An aggregate, a window or DISTINCT makes one row of several, so that what it gives would silently
change if a row were left out. But what it computes of each row before, the engine can be asked
about: the arguments, the keys and the condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb
from sqlglot import exp

from qanat.engines.duckdb.expressions import ctes_of
from qanat.engines.duckdb.files.bound import FILE, ROW
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.rowwise import RowWise
from qanat.errors import QanatError, SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.query import Computation, SqlQuery
from qanat.model.work import TableBatch, Work
from qanat.planning.stateful import aggregates, tree_of

_CLAUSES = ("group", "having", "qualify", "order")
_HINT = (
    "compute it in a CTE, a subquery in FROM or a table of its own that this query reads: there"
    " the row goes to quarantine, and all others go on; or use TRY_CAST or TRY(…), which give NULL"
)


class Blamed(Frozen):
    """What fails.

    Args:
        reason: the expression, and for which values.
        file: of the row; empty if it is not known.
        row: its number there.
        source: the input that the row is of, by `Read.name`; empty if it is not known.
    """

    reason: str
    file: str = ""
    row: int = 0
    source: str = ""


def blame(error: Exception, work: Work, bindings: Bindings) -> None:
    """Have an error about a value tell which expression fails, and for which row."""
    if not isinstance(error, QanatError) or error.got is not None:
        return
    queries = (*(view.query for view in work.views), *work.row_wise)
    levels = ((level, query) for query in queries for level in _levels(query))
    found = next((b for level in levels if (b := _first(*level, bindings))), None)
    if found is not None:
        error.got = found.reason + _place(found, work, bindings)
        if work.sets_aside:
            error.hint = _HINT


def _place(found: Blamed, work: Work, bindings: Bindings) -> str:
    """The line of a file, or the name of a table, as far as it is known."""
    if not found.source:
        return ""
    if isinstance(work.inputs[found.source], TableBatch):
        reads = (r for q in (work.query, *(v.query for v in work.views)) for r in q.reads)
        return f", in a row of {next(r.source.label for r in reads if r.name == found.source)}"
    lines = bindings.counted.get(found.file)
    return f", in {found.file}:{lines([found.row])[found.row] if lines else found.row}"


def _levels(query: Computation) -> Iterator[RowWise]:
    """The SELECTs of a query, as if each gave a row for each of what it reads."""
    if not isinstance(query, SqlQuery):
        return
    try:
        tree = tree_of(query)
    except SqlSyntaxError:
        return
    for select in tree.find_all(exp.Select, bfs=False):
        source = select.args["from_"].this if select.args.get("from_") else None
        if not isinstance(source, exp.Table | exp.Subquery):
            continue
        level = exp.Select(expressions=[each.copy() for each in _computed(select)])
        for key in ("from_", "joins", "where"):
            value = select.args.get(key)
            copied = (
                [v.copy() for v in value] if isinstance(value, list) else value and value.copy()
            )
            level.set(key, copied)
        yield RowWise(
            source=source.name if isinstance(source, exp.Table) else "",
            alias=str(source.alias_or_name),
            joined=True,
            level=level,
            rows=source,
            ctes=tuple(ctes_of(select)),
            dialect=query.dialect,
            needed=None,
            below=False,
        )


def _computed(select: exp.Select) -> Iterator[exp.Expr]:
    """What a SELECT computes of single rows."""
    for item in select.expressions:
        yield from [item] if _is_plain(item) else _plain(item)
    for key in _CLAUSES:
        if (clause := select.args.get(key)) is not None:
            yield from _plain(clause)


def _plain(node: exp.Expr) -> Iterator[exp.Expr]:
    """The largest expressions within a node that combine no rows."""
    if isinstance(node, exp.Query):
        return
    if isinstance(node, exp.Condition) and _is_plain(node):
        yield node
    elif isinstance(node, exp.Filter):
        condition = node.expression.this
        for part in (*_plain(node.this), exp.true()):
            yield exp.Case().when(condition.copy(), part.copy())
    else:
        for part in node.iter_expressions():
            yield from _plain(part)


def _is_plain(node: exp.Expr) -> bool:
    return not any(isinstance(n, exp.Window | exp.Query) or aggregates(n) for n in node.walk())


def _first(level: RowWise, query: Computation, bindings: Bindings) -> Blamed | None:
    hidden: Mapping[str, tuple[str, ...]] = bindings.hidden
    placed = {FILE, ROW} <= set(hidden.get(level.source, ()))
    key = (FILE, ROW) if placed else ()
    names = [r.name for r in query.reads]

    def over(sql: str) -> str:
        return bindings.over(sql, names, (level.source,) if placed else ())

    def compiles(sql: str) -> list[str] | None:
        try:
            return list(bindings.con.sql(f"SELECT * FROM ({over(sql)}) LIMIT 0").columns)
        except duckdb.Error:
            return None

    columns = compiles(level.relation)
    failing = level.failing(compiles, columns, key, False, False) if columns else None
    if failing is None or compiles(failing) is None:
        return None
    try:
        row = bindings.con.execute(
            f"SELECT * FROM ({over(failing)}) WHERE reason IS NOT NULL ORDER BY ALL LIMIT 1"
        ).fetchone()
    except duckdb.Error:
        return None  # what fails is below this SELECT
    if row is None:
        return None
    return Blamed(row[-1], row[0], row[1], level.source) if placed else Blamed(row[-1])
