"""Carry hidden columns of an input through the author's query.

A quarantined row must say where it came from, and `_metadata` is there for whoever asks, but
neither may appear under `SELECT *`. So the input's relation has them as ordinary columns, and the
stars of the query are told to leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp, parse_one

from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW
from qanat.engines.duckdb.inputs import Bound
from qanat.model.query import SqlQuery
from qanat.planning.rowwise import row_source

POSITIONS = (FILE, ROW, RID)


def wants_metadata(query: SqlQuery) -> bool:
    """Whether the query mentions `_metadata` at all."""
    return METADATA in query.sql.casefold()


def with_hidden(
    query: SqlQuery, bound: Mapping[str, Bound], positions: bool
) -> tuple[str, frozenset[str], tuple[str, ...]]:
    """The query's SQL with hidden columns looked after.

    Args:
        bound: the inputs of the query, by `Read.name`.
        positions: whether row positions are wanted in the result.

    Returns:
        The SQL; the inputs whose relation must have its hidden columns; the names of the
        position columns that the result has in front (none where the query's rows are not
        rows of one input).
    """
    source = row_source(query) if positions else None
    metadata = wants_metadata(query)
    if source is None and not metadata:
        return query.sql, frozenset(), ()
    tree = parse_one(query.sql, dialect="duckdb")
    carried: tuple[str, ...] = ()
    needs: set[str] = set()
    for select in tree.find_all(exp.Select):
        for table, alias in _inputs(select):
            info = bound.get(table)
            if info is None or not info.hidden:
                continue
            mine = source is not None and select is tree and alias == source
            if not mine and not (metadata and METADATA in info.hidden):
                continue
            needs.add(table)
            _exclude(select, alias, info.hidden)
            if mine:
                # The rows of a join may repeat a row of the source: then no identifier.
                joined = bool(select.args.get("joins"))
                carried = tuple(
                    c for c in POSITIONS if c in info.hidden and not (joined and c == RID)
                )
                front = [exp.column(c, table=alias, quoted=True) for c in carried]
                select.set("expressions", [*front, *select.expressions])
    if not needs:
        return query.sql, frozenset(), ()
    return tree.sql(dialect="duckdb"), frozenset(needs), carried


def _inputs(select: exp.Select) -> list[tuple[str, str]]:
    """The tables of a FROM clause: (name, the name by which columns are qualified)."""
    clause = select.args.get("from_")
    sources = [clause.this] if clause else []
    sources += [join.this for join in select.args.get("joins") or []]
    return [(t.name, t.alias_or_name) for t in sources if isinstance(t, exp.Table)]


def _exclude(select: exp.Select, alias: str, hidden: tuple[str, ...]) -> None:
    for item in select.expressions:
        star = item.this if isinstance(item, exp.Column) else item
        if not isinstance(star, exp.Star):
            continue
        if isinstance(item, exp.Column) and item.table.casefold() != alias.casefold():
            continue
        already = {e.name.casefold() for e in star.args.get("except_") or []}
        more = [exp.to_identifier(h, quoted=True) for h in hidden if h.casefold() not in already]
        star.set("except_", [*(star.args.get("except_") or []), *more])
