"""Which queries compute row by row, and which are deterministic."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import SqlglotError

from qanat.model.query import SqlQuery
from qanat.planning.aggregate import aggregates
from qanat.planning.fingerprint import volatile
from qanat.planning.tree import tree_of

_WHOLE = ("distinct", "group", "having", "qualify", "windows", "limit", "offset", "order",
          "sample", "laterals", "pivots", "match", "connect")  # fmt: skip
_MANY = (exp.Unnest, exp.Explode, exp.Posexplode, exp.Inline, exp.Stack)
_MANY_NAMES = frozenset({"generate_subscripts", "inline_outer", "json_tuple"})

# The results of these depend on the order of rows, which differs from run to run with threads.
_BY_ORDER = (
    exp.AnyValue,
    exp.ArgMax,
    exp.ArgMin,
    exp.ArrayAgg,
    exp.First,
    exp.FirstValue,
    exp.GroupConcat,
    exp.Lag,
    exp.Last,
    exp.LastValue,
    exp.Lead,
    exp.Mode,
    exp.NthValue,
    exp.Ntile,
    exp.RowNumber,
)


def row_source(query: SqlQuery) -> str | None:
    """The input that each result row comes from one row of, as it is called in the query.

    None if a result row may combine several rows of the input, or if the query is not
    deterministic. Joins are allowed while every result row has exactly one row of the first
    input; several result rows may share it. None, too, if sqlglot cannot read the
    query: the engine will, or will say what is wrong with it.
    """
    try:
        tree = tree_of(query)
    except SqlglotError:
        return None
    if not isinstance(tree, exp.Select) or any(tree.args.get(k) for k in _WHOLE):
        return None
    clause = tree.args.get("from_")
    table = clause.this if clause else None
    names = {r.name for r in query.reads}
    if not isinstance(table, exp.Table) or table.name not in names:
        return None
    if table.args.get("sample") or table.args.get("pivots"):
        return None
    for join in tree.args.get("joins") or []:
        if (join.args.get("side") or "").upper() in ("RIGHT", "FULL"):
            return None
        if (join.args.get("kind") or "").upper() in ("SEMI", "ANTI"):
            continue
        if not isinstance(join.this, exp.Table | exp.Subquery) or join.args.get("method"):
            # ASOF and POSITIONAL joins match by the order of rows.
            return None
    for item in tree.expressions:
        for node in item.walk():
            if _combines(node) and node.find_ancestor(exp.Select) is tree:
                return None
    return None if not deterministic(query) else str(table.alias_or_name)


def copies_input(query: SqlQuery) -> bool:
    """True if the query gives one row with all columns for each row of its one input.

    It reads the input a single time: `SELECT *` or `SELECT *, … FROM t`, and nothing else.
    """
    if len(query.reads) != 1 or row_source(query) is None:
        return False
    tree = tree_of(query)
    if tree.args.get("where") or len(list(tree.find_all(exp.Table))) > 1:
        return False
    stars = [i.this if isinstance(i, exp.Column) else i for i in tree.expressions]
    return any(isinstance(s, exp.Star) and not any(s.args.values()) for s in stars)


def deterministic(query: SqlQuery) -> bool:
    """True if the query gives the same rows each time, as far as its text shows."""
    if volatile(query):
        return False
    for node in tree_of(query).walk():
        if isinstance(node, exp.Query) and not node.args.get("order"):
            distinct = node.args.get("distinct")
            if node.args.get("limit") or node.args.get("offset"):
                return False
            if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
                return False
        if isinstance(node, _BY_ORDER):
            return False
    return True


def _combines(node: exp.Expr) -> bool:
    """True if a node makes one row of many or many of one; a lambda's body works on lists."""
    if isinstance(node, exp.Anonymous) and node.name.casefold() in _MANY_NAMES:
        return True
    if not isinstance(node, (exp.Window, *_MANY)) and not aggregates(node):
        return False
    return node.find_ancestor(exp.Lambda) is None
