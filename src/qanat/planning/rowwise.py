"""Which queries compute row by row, and which give the same rows when asked twice."""

from __future__ import annotations

from sqlglot import exp

from qanat.model.query import SqlQuery
from qanat.planning.fingerprint import volatile
from qanat.planning.tree import tree_of

_WHOLE = ("distinct", "group", "having", "qualify", "windows", "limit", "offset", "order",
          "sample", "laterals", "pivots", "match", "connect")  # fmt: skip
_MANY = (exp.Unnest, exp.Explode, exp.Posexplode, exp.Inline, exp.TableSample)


def row_source(query: SqlQuery) -> str | None:
    """The input whose rows the result's rows are, by the name that qualifies its columns.

    None where a row of the result is not computed from one row of one input, or where asking
    twice may give other rows. Joins are allowed as long as every result row still has one row
    of the first input (which it may share with others).
    """
    tree = tree_of(query)
    if not isinstance(tree, exp.Select) or any(tree.args.get(k) for k in _WHOLE):
        return None
    clause = tree.args.get("from_")
    table = clause.this if clause else None
    names = {r.name for r in query.reads}
    if not isinstance(table, exp.Table) or table.name not in names or table.args.get("sample"):
        return None
    for join in tree.args.get("joins") or []:
        if (join.args.get("side") or "").upper() in ("RIGHT", "FULL"):
            return None
        if (join.args.get("kind") or "").upper() in ("SEMI", "ANTI"):
            continue
        if not isinstance(join.this, exp.Table | exp.Subquery):
            return None
    for item in tree.expressions:
        for node in item.find_all(exp.AggFunc, exp.Window, *_MANY):
            if node.find_ancestor(exp.Select) is tree and not node.find_ancestor(exp.Lambda):
                return None
    return None if not deterministic(query) else str(table.alias_or_name)


def deterministic(query: SqlQuery) -> bool:
    """Whether asking twice gives the same rows, as far as the text tells."""
    if volatile(query):
        return False
    for node in tree_of(query).walk():
        if isinstance(node, exp.Select) and node.args.get("limit") and not node.args.get("order"):
            return False
        if isinstance(node, exp.First | exp.Last | exp.AnyValue | exp.RowNumber):
            return False
        if isinstance(node, exp.TableSample):
            return False
    return True
