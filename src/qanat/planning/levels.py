"""Which queries compute row by row, at one level or at several nested ones.

In

    WITH clean AS (SELECT id, CAST(v AS INT) AS v FROM orders) SELECT *, v * 2 AS w FROM clean

each row of the result comes from one row of `clean`, and that from one of `orders`: two levels.
UNION ALL joins several such paths, one from each input, which may have levels in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from sqlglot import exp

from qanat.errors import SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.name import Named, same
from qanat.model.query import SqlQuery
from qanat.planning.fingerprint import repeatable, volatile
from qanat.planning.stateful import aggregates, tree_of

_WHOLE = ("distinct", "group", "having", "qualify", "windows", "limit", "offset",
          "sample", "laterals", "pivots", "match", "connect")  # fmt: skip
_AROUND = ("limit", "offset", "order", "sample", "pivots", "joins")
_MANY = (exp.Unnest, exp.Explode, exp.Posexplode, exp.Inline, exp.Stack)
_MANY_NAMES = frozenset(
    {"generate_subscripts", "inline_outer", "json_tuple", "regexp_split_to_table"}
)


class Level(Frozen):
    """A SELECT of which each row comes from one row of one relation in its FROM.

    That is the first one, or a stream that is joined to it.

    Args:
        select: in the query's tree.
        source: the relation there.
        relation: the relation's name: an input's by `Read.name`, or that of the CTE that is the
            next level; empty for a subquery.
        alias: as the SELECT calls it; empty if a subquery has no name.
        joined: whether one of its rows may give several of the SELECT.
    """

    select: exp.Select
    source: exp.Expr
    relation: str
    alias: str
    joined: bool

    @property
    def ordered(self) -> bool:
        """True if its rows come in an order of their own."""
        return bool(self.select.args.get("order"))

    @property
    def renamed(self) -> bool:
        """True if what reads it may know its columns by other names: arms of UNION, `c(a, b)`."""
        return any(
            isinstance(node, exp.SetOperation) or names_given(node) for node in enclosing(self)
        )


Path: TypeAlias = tuple[Level, ...]
"""Levels from an input up."""


def paths(query: SqlQuery) -> tuple[Path, ...]:
    """The levels at which a query computes row by row, from each input up to the result.

    There are none if a result row may combine several rows of an input. Joins are allowed while
    every result row has exactly one row of the first input; several result rows may share it.
    None, too, if sqlglot cannot read the query: the engine will, or will say what is wrong.
    """
    try:
        tree = tree_of(query)
    except SqlSyntaxError:
        return ()
    return _Search(query, tree).paths(tree, Named())


def parts(query: SqlQuery) -> tuple[tuple[Path, ...], ...]:
    """The largest parts of a query that compute row by row, other than the whole: their paths.

    They are CTEs, subqueries in FROM, and arms of set operations. Whatever is above them reads
    their rows as it would read those of a table.
    """
    try:
        tree = tree_of(query)
    except SqlSyntaxError:
        return ()
    search = _Search(query, tree)
    found = [search.paths(tree, Named())]
    found += [search.paths(node, known) for node, known in search.below(tree, Named())]
    selects = [frozenset(id(level.select) for path in each for level in path) for each in found]
    return tuple(
        each
        for at, each in enumerate(found)
        if at and each and not any(
            selects[at] < other or (selects[at] == other and n < at)
            for n, other in enumerate(selects)
        )
    )  # fmt: skip


def row_source(query: SqlQuery) -> str | None:
    """The input that each row of a query of one level comes from, as it is called there.

    None, too, if the query gives other values each time that it is computed, or sorts its rows.
    """
    found = paths(query)
    if len(found) != 1 or len(found[0]) != 1 or volatile(query) or not repeatable(query):
        return None
    (level,) = found[0]
    return None if level.ordered else level.alias


def reads_once(query: SqlQuery) -> bool:
    """True if each row of the query comes from one row of its one input, read a single time.

    Some column of that is asked for: what else there is of a row is looked at with it.
    """
    if len(query.reads) != 1 or row_source(query) is None:
        return False
    tree = tree_of(query)
    if any(tree.args.get(k) for k in ("joins", "laterals")):
        return False
    if len(list(tree.find_all(exp.Table))) > 1 or any(map(_multiplies, tree.walk())):
        return False
    return tree.find(exp.Column, exp.Star) is not None


def copies_input(query: SqlQuery) -> bool:
    """True if the query gives one row with all columns for each row of its one input.

    It reads the input a single time: `SELECT *` or `SELECT *, … FROM t`, and nothing else.
    """
    tree = tree_of(query) if reads_once(query) else None
    # An engine looks for rows that a condition lets through before it looks whether their values
    # fit: a row with a value that does not would be gone.
    if tree is None or tree.args.get("where"):
        return False
    stars = [i.this if isinstance(i, exp.Column) else i for i in tree.expressions]
    return any(isinstance(s, exp.Star) and not any(s.args.values()) for s in stars)


def scatters(query: SqlQuery) -> bool:
    """True if an engine may give the rows in another order each time: it joins them.

    A subquery in an expression (`IN`, `EXISTS`, or a value) is a join, too. A query that does not
    compute row by row, or sorts its rows itself, has no order to keep.
    """
    found = [level for path in paths(query) for level in path]
    if any(level.ordered for level in found) or not found or tree_of(query).args.get("order"):
        return False
    levels = {id(level.select) for level in found}
    if any(id(select) not in levels for select in tree_of(query).find_all(exp.Select)):
        return True
    joins = [join.this for level in found for join in level.select.args.get("joins") or []]
    return any(not isinstance(join, exp.Unnest) for join in joins)


def enclosing(level: Level) -> Iterator[exp.Expr]:
    """What stands around a level's SELECT, up to the CTE or subquery that it is the text of."""
    node = level.select.parent
    while isinstance(node, exp.SetOperation | exp.Subquery | exp.CTE):
        yield node
        if isinstance(node, exp.CTE) or isinstance(node.parent, exp.From | exp.Join):
            return
        node = node.parent


def names_given(source: exp.Expr) -> list[exp.Identifier]:
    """The names that a CTE or a source in FROM gives its columns, one by one: `c(a, b)`."""
    alias = source.args.get("alias")
    return list(alias.args.get("columns") or []) if isinstance(alias, exp.TableAlias) else []


class _Known(Frozen):
    """A CTE that a SELECT can read.

    Args:
        before: those that it can read itself.
    """

    node: exp.CTE
    before: Named[_Known]

    def readers(self, tree: exp.Expr) -> int:
        """How often it is read. In itself its name means something else."""
        return sum(
            same(table.name, self.node.alias) and table.find_ancestor(exp.CTE) is not self.node
            for table in tree.find_all(exp.Table)
        )


class _Search:
    """The search for paths in one query.

    Args:
        tree: of the whole query.
    """

    def __init__(self, query: SqlQuery, tree: exp.Expr) -> None:
        self._inputs = {r.name for r in query.reads}
        self._streams = {r.name for r in query.reads if r.streaming}
        self._tree = tree
        self._read: dict[int, _Known] = {}  # By SELECT, the CTE that is its next level.

    def paths(self, node: exp.Expr, known: Named[_Known]) -> tuple[Path, ...]:
        """The paths from inputs up to a query within the tree; none if it is not row by row."""
        found = tuple(self._paths(node, known))
        selects = {id(level.select) for path in found for level in path}
        ctes = [cte for select, cte in self._read.items() if select in selects]
        for cte in ctes:
            # A row that is left out for one reader would be missing for the others.
            if cte.readers(self._tree) != sum(c.node is cte.node for c in ctes):
                return ()
        return found

    def below(
        self, node: exp.Expr, known: Named[_Known]
    ) -> Iterator[tuple[exp.Expr, Named[_Known]]]:
        """The queries within a query, expressions aside, each with the CTEs that it can read."""
        clause, inner = node.args.get("with_"), _with(node, known)
        for cte in clause.expressions if clause and inner is not known else []:
            before = inner[cte.alias].before if cte is inner[cte.alias].node else known
            yield cte.this, before
            yield from self.below(cte.this, before)
        inside: Sequence[exp.Expr] = ()
        if isinstance(node, exp.SetOperation):
            inside = (node.this, node.expression)
        elif isinstance(node, exp.Subquery):
            inside = (node.this,)
        elif isinstance(node, exp.Select):
            sources = [node.args.get("from_"), *(node.args.get("joins") or [])]
            inside = [s.this.this for s in sources if s and isinstance(s.this, exp.Subquery)]
        for each in inside:
            if isinstance(each, exp.Query):
                yield each, inner
                yield from self.below(each, inner)

    def _paths(self, node: exp.Expr, known: Named[_Known]) -> list[Path]:
        inner = _with(node, known)
        match node:
            case exp.Union() if not node.args.get("distinct") and _keeps_places(node):
                arms = [self._paths(arm, inner) for arm in (node.this, node.expression)]
                return [*arms[0], *arms[1]] if all(arms) else []
            case exp.Subquery() if not any(node.args.get(k) for k in _AROUND):
                return self._paths(node.this, inner)
            case exp.Select():
                level = _level(node, lambda source: self._moves(source, inner))
                return [] if level is None else self._below_level(level, inner)
        return []

    def _below_level(self, level: Level, known: Named[_Known]) -> list[Path]:
        source = level.source
        cte = known.get(level.relation) if isinstance(source, exp.Table) else None
        if cte is not None:
            self._read[id(level.select)] = cte
            lower = self._paths(cte.node.this, cte.before)
        elif isinstance(source, exp.Subquery):
            lower = self._paths(source.this, known)
        else:
            lower = [()] if level.relation in self._inputs else []
        return [(*path, level) for path in lower]

    def _moves(self, source: exp.Expr, known: Named[_Known]) -> bool:
        """True if a source in FROM has rows of a stream."""
        if not self._streams:
            return False
        tables = {table.name: table for table in source.find_all(exp.Table)}
        ctes = [known[name] for name in tables if name in known]
        return not self._streams.isdisjoint(tables) or any(
            self._moves(cte.node.this, cte.before) for cte in ctes
        )


def _with(node: exp.Expr, outside: Named[_Known]) -> Named[_Known]:
    """The CTEs that a query can read, by name."""
    clause = node.args.get("with_")
    # In a recursive one a name may mean the CTE that it stands in.
    if clause is None or clause.args.get("recursive"):
        return outside
    known = outside
    for cte in clause.expressions:
        known = Named([*known.items(), (cte.alias, _Known(cte, known))])
    return known


def _level(select: exp.Select, moves: Callable[[exp.Expr], bool]) -> Level | None:
    """The level that a SELECT is, if it computes row by row.

    Args:
        moves: whether a source has rows of a stream.
    """
    joins = select.args.get("joins") or []
    if any(select.args.get(k) for k in _WHOLE) or not _keeps_places(select):
        return None
    source = _source(select, joins, moves)
    if not isinstance(source, exp.Table | exp.Subquery):
        return None
    nodes = [
        node
        for item in select.expressions
        for node in item.walk()
        if node.find_ancestor(exp.Select) is select and node.find_ancestor(exp.Lambda) is None
    ]
    if any(isinstance(node, exp.Window) or aggregates(node) for node in nodes):
        return None
    if any(source.args.get(k) for k in ("sample", "pivots", "with_")):
        return None
    name = source.name if isinstance(source, exp.Table) else ""
    many = bool(joins) or any(map(_multiplies, nodes))
    return Level(select, source, name, str(source.alias_or_name), many)


def _source(
    select: exp.Select, joins: Sequence[exp.Join], moves: Callable[[exp.Expr], bool]
) -> exp.Expr | None:
    """The source of which each row of a SELECT has one row; None if there is none."""
    clause = select.args.get("from_")
    first: exp.Expr | None = clause.this if clause else None
    if joins and first is not None and not moves(first):
        for at, join in enumerate(joins):
            others = (*joins[:at], *joins[at + 1 :])
            joined: exp.Expr = join.this
            if moves(joined) and _keeps_joined(join) and all(map(_keeps_rows, others)):
                return joined
    return first if all(map(_keeps_rows, joins)) else None


def _keeps_joined(join: exp.Join) -> bool:
    """True if each row of a join's result has one row of its right side."""
    kind, side = (join.args.get("kind") or "").upper(), (join.args.get("side") or "").upper()
    plain = (join.args.get("method") or "").upper() in ("", "NATURAL")
    # A subquery without a name has no columns that could be asked for by it.
    plain = plain and bool(join.this.alias_or_name)
    return plain and kind in ("", "INNER", "CROSS") and side in ("", "RIGHT")


def _keeps_places(query: exp.Expr) -> bool:
    """False if rows are sorted by places of columns: hidden ones in front would move them."""
    order = query.args.get("order")
    keys = [key.this for key in order.expressions] if order else []
    limited = isinstance(query, exp.SetOperation) and any(
        query.args.get(k) for k in ("limit", "offset")
    )
    return not limited and not any(isinstance(k, exp.Literal | exp.Var) for k in keys)


def _keeps_rows(join: exp.Join) -> bool:
    """True if each row of a join's result has one row of its left side."""
    if (join.args.get("side") or "").upper() in ("RIGHT", "FULL"):
        return False
    if (join.args.get("kind") or "").upper() in ("SEMI", "ANTI"):
        return True
    # A POSITIONAL join matches by the order of rows.
    if (join.args.get("method") or "").upper() not in ("", "NATURAL", "ASOF"):
        return False
    return isinstance(join.this, exp.Table | exp.Subquery | exp.Values | exp.Lateral | exp.Unnest)


def _multiplies(node: exp.Expr) -> bool:
    """True if a node makes several rows of one."""
    if isinstance(node, exp.Anonymous) and node.name.lower() in _MANY_NAMES:
        return True
    return isinstance(node, _MANY)
