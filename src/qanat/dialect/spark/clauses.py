"""Translates the clauses of a query, node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from qanat.dialect.spark.kinds import kind
from qanat.dialect.spark.refused import Refused

Handler = Callable[[Any], exp.Expr]

_REFUSED = {
    "match": "MATCH_RECOGNIZE",
    "connect": "CONNECT BY",
    "kind": "SELECT AS",
    "into": "SELECT INTO",
    "prewhere": "PREWHERE",
    "for_": "FOR",
    "format": "FORMAT",
    "operation_modifiers": "this modifier of SELECT",
    "options": "OPTIONS",
    "settings": "SETTINGS",
    "exclude": "EXCLUDE after SELECT",
}


def _select(node: exp.Select) -> exp.Expr:
    for key, name in _REFUSED.items():
        if node.args.get(key):
            raise Refused(name)
    if not node.expressions:
        raise Refused("a SELECT of nothing", "name at least one column")
    # DISTRIBUTE, CLUSTER and SORT BY only spread rows over workers, so they are dropped; with
    # LIMIT they would decide which rows are returned.
    if node.args.get("limit") and (node.args.get("sort") or node.args.get("cluster")):
        raise Refused("LIMIT after SORT BY or CLUSTER BY", "use ORDER BY")
    for key in ("distribute", "cluster", "sort"):
        node.set(key, None)
    laterals = node.args.get("laterals") or []
    node.set("laterals", None)
    for lateral in laterals:
        node.append(
            "joins", _lateral_join(lateral) if isinstance(lateral, exp.Lateral) else lateral
        )
    if any(isinstance(p, exp.Alias) and isinstance(p.this, exp.Star) for p in node.expressions):
        raise Refused("a star with an alias")
    return node


def _lateral_join(lateral: exp.Lateral) -> exp.Join:
    """A LATERAL VIEW as a lateral join with the rows that it makes of each row."""
    call = lateral.this
    name = call.name.lower() if isinstance(call, exp.Anonymous) else ""
    if name not in ("explode", "posexplode", "explode_outer", "posexplode_outer"):
        raise Refused(
            f"LATERAL VIEW {name or 'of this form'}", "carried over: explode and posexplode"
        )
    alias = lateral.args.get("alias")
    columns = [c.name for c in alias.args.get("columns") or []] if alias else []
    names = ["pos", "col"] if name.startswith("pos") else ["col"]
    if columns and len(columns) != len(names):
        raise Refused(
            f"LATERAL VIEW {name} with {len(columns)} columns",
            f"it has {len(names)}; a map is exploded through map_entries()",
        )
    columns = columns or names
    array = call.expressions[0]
    values: list[exp.Expr] = [exp.Anonymous(this="unnest", expressions=[array])]
    if len(columns) == 2:
        places = exp.Anonymous(
            this="generate_subscripts", expressions=[array.copy(), exp.Literal.number(1)]
        )
        before = exp.Sub(this=places, expression=exp.Literal.number(1))
        values.insert(0, exp.Cast(this=before, to=exp.DataType.build("int")))
    inner = exp.Select(
        expressions=[
            exp.alias_(v, exp.to_identifier(c, quoted=True))
            for v, c in zip(values, columns, strict=True)
        ]
    )
    table = alias.this.copy() if alias and alias.this else exp.to_identifier("__exploded")
    subquery = exp.Lateral(this=exp.Subquery(this=inner), alias=exp.TableAlias(this=table))
    if lateral.args.get("outer") or name.endswith("outer"):
        return exp.Join(this=subquery, side="LEFT", on=exp.true())
    return exp.Join(this=subquery, kind="CROSS")


def _table(node: exp.Table) -> exp.Expr:
    for key in ("version", "when", "partition", "hints"):
        if node.args.get(key):
            raise Refused("this form of a table", "read the whole table as it is now")
    if isinstance(node.this, exp.Anonymous):
        name = node.this.name.lower()
        raise Refused(f"the table function {name}()", "use LATERAL VIEW, or a table of your own")
    return node


def _refusing(name: str, hint: str) -> Handler:
    def refuse(node: exp.Expr) -> exp.Expr:
        raise Refused(name, hint)

    return refuse


def _with(node: exp.With) -> exp.Expr:
    if node.args.get("recursive"):
        raise Refused("WITH RECURSIVE", "compute it in a Python function")
    return node


def _values(node: exp.Values) -> exp.Expr:
    """Name the columns of VALUES col1, col2, … as Spark does; DuckDB counts from col0."""
    rows = [
        r if isinstance(r, exp.Tuple) else exp.Tuple(expressions=[r]) for r in node.expressions
    ]
    node.set("expressions", rows)
    alias = node.args.get("alias")
    if alias is None or not alias.args.get("columns"):
        names = [exp.to_identifier(f"col{i + 1}") for i in range(len(rows[0].expressions))]
        table = alias.this if alias and alias.this else exp.to_identifier("__values")
        node.set("alias", exp.TableAlias(this=table, columns=names))
    if isinstance(node.parent, exp.From | exp.Join):
        return node
    return exp.Select(expressions=[exp.Star()]).from_(node.copy())


def _group(node: exp.Group) -> exp.Expr:
    if node.args.get("totals"):
        raise Refused("GROUP BY … WITH TOTALS")
    return node


def _ordered(node: exp.Ordered) -> exp.Expr:
    if node.args.get("with_fill"):
        raise Refused("WITH FILL")
    return node


def _limit(node: exp.Limit) -> exp.Expr:
    if isinstance(node.expression, exp.Var):
        raise Refused("LIMIT ALL", "leave it out: without LIMIT all rows are taken")
    return node


def _set_operation(node: exp.SetOperation) -> exp.Expr:
    """Refuse a string beside another type: Spark casts the string, DuckDB the other value."""
    sides = [s for s in (node.left, node.right) if isinstance(s, exp.Select)]
    if len(sides) == 2:
        for left, right in zip(sides[0].expressions, sides[1].expressions, strict=False):
            kinds = {kind(left.unalias()), kind(right.unalias())} - {None}
            if "string" in kinds and len(kinds) > 1:
                raise Refused(
                    f"{type(node).__name__.upper()} of a string and another type",
                    "cast one of them",
                )
    return node


HANDLERS: dict[type[exp.Expr], Handler] = {
    exp.Select: _select,
    exp.Table: _table,
    exp.With: _with,
    exp.Pivot: _refusing("PIVOT or UNPIVOT", "use max(CASE WHEN … END), or UNION ALL"),
    exp.TableSample: _refusing("TABLESAMPLE", "read the whole table, or filter on a column"),
    exp.Qualify: _refusing("QUALIFY", "filter on the window in a query around it"),
    exp.Values: _values,
    exp.Group: _group,
    exp.Ordered: _ordered,
    exp.Limit: _limit,
    exp.Union: _set_operation,
    exp.Except: _set_operation,
    exp.Intersect: _set_operation,
}

SAME: frozenset[type[exp.Expr]] = frozenset(
    [
        exp.From, exp.Where, exp.Having, exp.Order, exp.Offset, exp.Subquery, exp.CTE,
        exp.TableAlias, exp.Join, exp.Window,
        exp.WindowSpec, exp.Filter, exp.Lateral, exp.Cube, exp.Rollup, exp.GroupingSets,
        exp.Hint, exp.Sort, exp.Cluster, exp.Distribute,
    ]
)  # fmt: skip
