"""Carry hidden columns through a query, which needs its tree.

A quarantined row must say where it came from, and a query may ask for `_metadata`, but
neither may appear under `SELECT *`. So the input's relation has them as ordinary columns, and the
stars of the query are told to leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW
from qanat.model.name import Names, same
from qanat.model.query import SqlQuery
from qanat.planning.fingerprint import row_source
from qanat.planning.stateful import own_tree

POSITIONS = (FILE, ROW, RID)


def carry(
    query: SqlQuery, hidden: Mapping[str, tuple[str, ...]], positions: bool
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The query's SQL with hidden columns looked after.

    Args:
        hidden: by `Read.name`, the hidden columns of each input that has some.
        positions: whether row positions are wanted in the result.

    Returns:
        The SQL; the inputs whose relation must have its hidden columns; the names of the
        position columns that the result has in front (none where the query's rows are not
        rows of one input).
    """
    source = row_source(query) if positions else None
    metadata = METADATA in query.sql.lower()
    if source is None and not metadata:
        return query.sql, (), ()
    tree = own_tree(query)
    carried: tuple[str, ...] = ()
    needs: set[str] = set()
    for select in tree.find_all(exp.Select):
        for table, alias in _inputs(select):
            columns = hidden.get(table, ())
            mine = bool(columns) and select is tree and alias == source
            if not mine and not (metadata and METADATA in columns):
                continue
            needs.add(table)
            _exclude(select, alias, columns)
            if mine:
                # A join may repeat a row of the source, so that its identifier is not unique.
                joined = bool(select.args.get("joins"))
                carried = tuple(c for c in POSITIONS if c in columns and not (joined and c == RID))
                front = [exp.column(c, table=alias, quoted=True) for c in carried]
                select.set("expressions", [*front, *select.expressions])
    if not needs:
        return query.sql, (), ()
    return tree.sql(dialect="duckdb"), tuple(sorted(needs)), carried


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
        if isinstance(item, exp.Column) and not same(item.table, alias):
            continue
        already = Names(e.name for e in star.args.get("except_") or [])
        more = [exp.to_identifier(h, quoted=True) for h in hidden if h not in already]
        star.set("except_", [*(star.args.get("except_") or []), *more])
