"""Which queries compute row by row, at one level or at several nested ones.

In

    WITH clean AS (SELECT id, CAST(v AS INT) AS v FROM orders) SELECT *, v * 2 AS w FROM clean

each row of the result comes from one row of `clean`, and that from one of `orders`: two levels.
"""

from __future__ import annotations

from sqlglot import exp

from qanat.errors import SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.name import Named, same
from qanat.model.query import SqlQuery
from qanat.planning.fingerprint import repeatable, volatile
from qanat.planning.stateful import aggregates, tree_of

_WHOLE = ("distinct", "group", "having", "qualify", "windows", "limit", "offset", "order",
          "sample", "laterals", "pivots", "match", "connect")  # fmt: skip
_MANY = (exp.Unnest, exp.Explode, exp.Posexplode, exp.Inline, exp.Stack)
_MANY_NAMES = frozenset(
    {"generate_subscripts", "inline_outer", "json_tuple", "regexp_split_to_table"}
)


class Level(Frozen):
    """A SELECT of which each row comes from one row of the first relation of its FROM.

    Args:
        select: in the query's tree.
        relation: the relation's name: an input's by `Read.name`, or that of the CTE that is the
            next level; empty for a subquery.
        alias: as the SELECT calls it; empty if a subquery has no name.
        joined: whether one of its rows may give several of the SELECT.
    """

    select: exp.Select
    relation: str
    alias: str
    joined: bool


def levels(query: SqlQuery) -> tuple[Level, ...]:
    """The levels at which a query computes row by row, from the input up to the result.

    There are none if a result row may combine several rows of an input, or if which rows it gives
    depends on their order. Joins are allowed while every result row has exactly one row of the
    first input; several result rows may share it. None, too, if sqlglot cannot read the query: the
    engine will, or will say what is wrong with it.
    """
    try:
        tree = tree_of(query)
    except SqlSyntaxError:
        return ()
    found: list[Level] = []
    select: exp.Expr | None = tree
    known = Named[_Known]()
    while select is not None:
        if not isinstance(select, exp.Select) or any(select.args.get(k) for k in _WHOLE):
            return ()
        level = _level(select)
        if level is None:
            return ()
        found.append(level)
        source, known = select.args["from_"].this, _with(select, known)
        cte = known.get(level.relation) if isinstance(source, exp.Table) else None
        if cte is not None:
            # What is read twice would have to be two inputs.
            if cte.renames or len(cte.readers(tree)) > 1:
                return ()
            select, known = cte.node.this, cte.before
        elif isinstance(source, exp.Subquery):
            select = source.this
        elif level.relation in {r.name for r in query.reads}:
            select = None
        else:
            return ()
    return tuple(reversed(found)) if repeatable(query) else ()


def row_source(query: SqlQuery) -> str | None:
    """The input that each row of a query of one level comes from, as it is called there.

    None, too, if the query gives other values each time that it is computed.
    """
    found = levels(query)
    return found[0].alias if len(found) == 1 and not volatile(query) else None


def copies_input(query: SqlQuery) -> bool:
    """True if the query gives one row with all columns for each row of its one input.

    It reads the input a single time: `SELECT *` or `SELECT *, … FROM t`, and nothing else.
    """
    if len(query.reads) != 1 or row_source(query) is None:
        return False
    tree = tree_of(query)
    # An engine looks for rows that a condition lets through, of joins too, before it looks whether
    # their values fit: a row with a value that does not would be gone.
    if any(tree.args.get(k) for k in ("where", "joins", "laterals")):
        return False
    if len(list(tree.find_all(exp.Table))) > 1:
        return False
    stars = [i.this if isinstance(i, exp.Column) else i for i in tree.expressions]
    return any(isinstance(s, exp.Star) and not any(s.args.values()) for s in stars)


class _Known(Frozen):
    """A CTE that a SELECT can read.

    Args:
        before: those that it can read itself.
    """

    node: exp.CTE
    before: Named[_Known]

    @property
    def renames(self) -> bool:
        """True if it gives its columns names of its own, one by one."""
        return bool(self.node.args["alias"].args.get("columns"))

    def readers(self, tree: exp.Expr) -> list[exp.Table]:
        """Where it is read. In itself its name means something else."""
        return [
            table
            for table in tree.find_all(exp.Table)
            if same(table.name, self.node.alias) and table.find_ancestor(exp.CTE) is not self.node
        ]


def _with(select: exp.Select, outside: Named[_Known]) -> Named[_Known]:
    """The CTEs that a SELECT can read, by name."""
    clause = select.args.get("with_")
    # In a recursive one a name may mean the CTE that it stands in.
    if clause is None or clause.args.get("recursive"):
        return outside
    known = outside
    for cte in clause.expressions:
        known = Named([*known.items(), (cte.alias, _Known(cte, known))])
    return known


def _level(select: exp.Select) -> Level | None:
    """The level that a SELECT is, if it computes row by row."""
    clause = select.args.get("from_")
    source = clause.this if clause else None
    joins = select.args.get("joins") or []
    if not isinstance(source, exp.Table | exp.Subquery) or not all(map(_keeps_rows, joins)):
        return None
    nodes = (node for item in select.expressions for node in item.walk())
    if any(_combines(node) and node.find_ancestor(exp.Select) is select for node in nodes):
        return None
    if any(source.args.get(k) for k in ("sample", "pivots", "with_")) or source.alias_column_names:
        return None
    name = source.name if isinstance(source, exp.Table) else ""
    return Level(select, name, str(source.alias_or_name), bool(joins))


def _keeps_rows(join: exp.Join) -> bool:
    """True if each row of a join's result has one row of its left side."""
    if (join.args.get("side") or "").upper() in ("RIGHT", "FULL"):
        return False
    if (join.args.get("kind") or "").upper() in ("SEMI", "ANTI"):
        return True
    # ASOF and POSITIONAL joins match by the order of rows.
    return isinstance(join.this, exp.Table | exp.Subquery) and not join.args.get("method")


def _combines(node: exp.Expr) -> bool:
    """True if a node makes one row of many or many of one; a lambda's body works on lists."""
    if isinstance(node, exp.Anonymous) and node.name.lower() in _MANY_NAMES:
        return True
    if not isinstance(node, (exp.Window, *_MANY)) and not aggregates(node):
        return False
    return node.find_ancestor(exp.Lambda) is None
