"""Windows of event time in a query that reads all rows each time, as in a materialized view.

No engine knows `window(…)` as a key of GROUP BY. Taken apart as over a stream, such a SELECT is
put together again as plain SQL: rows, their windows, groups, and what is computed of these. So the
same text gives the same rows as in a streaming table, whose input has come to its end.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp, parse_one

from qanat.model.query import SqlQuery
from qanat.model.stateful import RESULT, Grouping, Window
from qanat.planning.eventtime.apart import Apart
from qanat.planning.eventtime.calls import NUMBER
from qanat.planning.eventtime.grouping import KEY, NAME, VALUE, windows_of
from qanat.planning.eventtime.windows import SESSION, WINDOW, called, starts
from qanat.planning.stateful import own_tree
from qanat.text import quote

_START, _END, _OPENS = "__qanat_start", "__qanat_end", "__qanat_opens"


def without_windows(query: SqlQuery) -> SqlQuery:
    """A query in the engine's dialect, whose windows have become plain SQL.

    The same object if it has none.

    Raises:
        FlowError: the arguments are none of a window.
    """
    while f"{WINDOW}(" in query.sql.lower() or f"{SESSION}(" in query.sql.lower():
        tree = own_tree(query)
        found = [s for s in tree.find_all(exp.Select) if _groups_by_window(s)]
        if not found:
            break
        query = replace(query, sql=_plain(query, tree, max(found, key=lambda s: s.depth)))
    return query


def _groups_by_window(select: exp.Select) -> bool:
    group = select.args.get("group")
    if group is None:
        return False
    where = select.expressions if group.args.get("all") else group.expressions
    given = list(where)
    aliased = {e.alias: e.this for e in select.expressions if isinstance(e, exp.Alias)}
    for each in group.expressions:
        if isinstance(each, exp.Column) and each.name in aliased:
            given.append(aliased[each.name])
        if isinstance(each, exp.Literal) and not each.is_string:
            given += select.expressions[int(each.name) - 1 : int(each.name)]
    return any(called(e.unalias()) in (WINDOW, SESSION) for e in given)


def _plain(query: SqlQuery, tree: exp.Expr, select: exp.Select) -> str:
    """SQL of a query, without the windows of one SELECT in its tree."""
    dialect = query.dialect
    grouping = windows_of(Apart(query, tree, select, frozenset()))
    made: exp.Expr = parse_one(grouping.result, dialect=dialect)
    level = next(s for s in made.find_all(exp.Select) if s.named_selects[:1] == [f"{NAME}0"])
    named = parse_one(grouping.named, dialect=dialect)
    names = [e.alias for e in named.selects] if isinstance(named, exp.Query) else []
    if all(names):
        for item, name in zip(level.expressions, names, strict=False):
            item.set("alias", exp.to_identifier(name, quoted=True))
    else:
        # Only the engine knows how it calls a column without a name: UNION takes the first's.
        first = f"SELECT * FROM ({grouping.named}) WHERE false"
        text = f"({first}) UNION ALL ({level.sql(dialect=dialect)})"
        union = parse_one(text, dialect=dialect)
        made = union if level is made else level.replace(union) and made
    source = parse_one(_groups(grouping), dialect=dialect)
    for table in list(made.find_all(exp.Table)):
        if table.name == RESULT:
            table.replace(exp.Subquery(this=source.copy(), alias=exp.to_identifier(RESULT)))
    return made.sql(dialect=dialect)


def _groups(grouping: Grouping) -> str:
    """SELECT text of the operator's result: a row for each group."""
    (rows,) = grouping.inputs
    keys = list(grouping.keys)
    at, window = next((n, k.window) for n, k in enumerate(keys) if k.window is not None)
    time = quote(keys[at].column)
    others = [quote(k.column) for n, k in enumerate(keys) if n != at]
    numbered = f"SELECT *, row_number() OVER () AS {NUMBER} FROM ({rows.query.sql})"
    spans = (
        _sessions(window, time, others, numbered)
        if window.session
        else _fixed(window, time, numbered)
    )
    shown = [
        _struct(time, n) if n == at else f"{quote(k.column)} AS {KEY}{n}"
        for n, k in enumerate(keys)
    ]
    shown += [f"{a.call} AS {VALUE}{n}" for n, a in enumerate(grouping.aggregates)]
    by = ", ".join((*others, _START))
    return f"SELECT {', '.join(shown)} FROM ({spans}) GROUP BY {by}"


def _fixed(window: Window, time: str, rows: str) -> str:
    """SELECT text of rows, once for each window that they are in, with its start and end."""
    each = f"SELECT *, {starts(window, time)} AS {_START} FROM ({rows})"
    return (
        f"SELECT *, {_START} + {window.width} AS {_END} FROM ({each}) WHERE {_START} IS NOT NULL"
    )


def _sessions(window: Window, time: str, others: list[str], rows: str) -> str:
    """SELECT text of rows with the start and the end of the session that they are in."""
    moment = f"epoch_us({time}::TIMESTAMP)"
    timed = f"SELECT *, {moment} AS {_START} FROM ({rows}) WHERE {time} IS NOT NULL"
    alike = f"PARTITION BY {', '.join(others)} " if others else ""
    order = f"OVER ({alike}ORDER BY {_START} ROWS UNBOUNDED PRECEDING)"
    before = f"lag({_START}) OVER ({alike}ORDER BY {_START})"
    opens = f"coalesce({_START} > {before} + {window.width}, true)"
    apart = f"SELECT *, {opens} AS {_OPENS} FROM ({timed})"
    numbered = f"SELECT *, count_if({_OPENS}) {order} AS {_END} FROM ({apart})"
    one = f"OVER (PARTITION BY {', '.join((*others, _END))})"
    return (
        f"SELECT * REPLACE (min({_START}) {one} AS {_START}, "
        f"max({_START}) {one} + {window.width} AS {_END}) FROM ({numbered})"
    )


def _struct(time: str, number: int) -> str:
    """SQL of a window as queries see it: of the type of the event time; of a DATE, timestamps."""
    one = f"min({time})"
    start, end = (
        f"{one} + to_microseconds(min({each}) - epoch_us({one}::TIMESTAMP))"
        for each in (_START, _END)
    )
    return f'struct_pack("start" := {start}, "end" := {end}) AS {KEY}{number}'
