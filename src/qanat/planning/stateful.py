"""Stateful constructs: what a query over a stream cannot compute without rows of earlier epochs.

In each epoch, a streaming table's query sees only rows that it has not read before. A construct
that combines rows of different epochs (an aggregate, a join of two streams, a limit) would give
the result for one epoch's rows, not for all rows: so it is an operator with a state
(`qanat.planning.eventtime`), or refused. Queries are looked at as sqlglot trees, each parsed once
per process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.errors import Location, SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.name import same_in_query
from qanat.model.query import SqlQuery
from qanat.planning.keyword import keyword_location

# As in `qanat.declare.cursor`, which is not imported where the declarations are remembered.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())


def tree_of(query: SqlQuery) -> exp.Expr:
    """The tree of a query's executable SQL. It is shared and cached: copy it to change it.

    Raises:
        SqlSyntaxError: sqlglot cannot parse it.
    """
    key = query.sql, query.dialect
    tree = _trees.get(key)
    if tree is None:
        tree = _parse(query)
        if len(_trees) >= _MOST:
            _trees.clear()
        _trees[key] = tree
    return tree


def own_tree(query: SqlQuery) -> exp.Expr:
    """A new tree that the caller may change: a copy, where the query has been parsed already.

    Raises:
        SqlSyntaxError: sqlglot cannot parse it.
    """
    known = _trees.get((query.sql, query.dialect))
    return _parse(query) if known is None else known.copy()


_MOST = 4096
_trees: dict[tuple[str, str], exp.Expr] = {}
"""By text and dialect. A copy costs a fifth of parsing, but then the tree has to be kept."""


def _parse(query: SqlQuery) -> exp.Expr:
    # The author's text has been parsed, but not with the names that inputs have in this one, and
    # an engine's translation of it may say what sqlglot does not know.
    try:
        tree: exp.Expr = parse_one(query.sql, dialect=query.dialect)
    except SqlglotError as error:
        raise SqlSyntaxError(
            "the query cannot be analysed",
            location=query.location,
            hint="write the part that is out of the ordinary in another way",
        ) from error
    for select in tree.find_all(exp.Select):
        _gather_joins(select)
    return tree


def _gather_joins(select: exp.Select) -> None:
    """Hang all joins on the SELECT; sqlglot hangs those of `FROM a JOIN b` on the table."""
    clause = select.args.get("from_")
    first = clause.this if clause else select
    joins = first.args.get("joins")
    if joins and first is not select:
        first.set("joins", None)
        select.set("joins", [*joins, *(select.args.get("joins") or [])])


# Aggregates of DuckDB and Spark that sqlglot parses as unknown functions.
_NAMES = """
    any arbitrary arg_max_null arg_max_nulls_last arg_min_null arg_min_nulls_last bitstring_agg
    bit_and bit_or bit_xor bool_and bool_or collect_list collect_set combine_aggr
    count_min_sketch count_star decimal_average entropy every favg fsum histogram histogram_exact
    histogram_numeric hll_sketch_agg kahan_sum kurtosis kurtosis_pop lttb mad max_by mean
    min_by percentile product reservoir_quantile sem skewness some sum_no_overflow sumkahan
    try_avg try_sum variant_group_object
"""
_AGGREGATES = frozenset(_NAMES.split())


def aggregates(node: exp.Expr) -> bool:
    """True if a node is a call of an aggregate function.

    >>> from sqlglot import parse_one
    >>> [aggregates(parse_one(sql, dialect="duckdb")) for sql in ("sum(x)", "mad(x)", "abs(x)")]
    [True, True, False]
    """
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _AGGREGATES
    return isinstance(node, exp.AggFunc)


def aggregating(select: exp.Select) -> bool:
    """True if a SELECT itself, and no subquery in it, groups rows or calls an aggregate."""
    if select.args.get("group") or select.args.get("having"):
        return True
    calls = select.find_all(exp.Func)
    return any(_combines(n) and n.find_ancestor(exp.Select) is select for n in calls)


def _combines(node: exp.Expr) -> bool:
    """True if a call is of an aggregate, and neither over a window nor inside a lambda."""
    return aggregates(node) and not node.find_ancestor(exp.Lambda, exp.Window)


_CLAUSES = (
    ("group", "GROUP BY"),
    ("distinct", "DISTINCT"),
    ("having", "HAVING"),
    ("qualify", "QUALIFY"),
    ("limit", "LIMIT"),
    ("offset", "OFFSET"),
)


class StatefulConstruct(Frozen):
    """A construct that needs rows of earlier epochs: its name for messages, and its location."""

    name: str
    location: Location


def first_stateful(
    query: SqlQuery, streamed: frozenset[str], known: exp.Select | None = None
) -> StatefulConstruct | None:
    """The first stateful construct over a stream in a query; None if there is none.

    Args:
        query: the query to search.
        streamed: the inputs that are streams, by `Read.name`.
        known: a SELECT of its tree (`tree_of`) whose aggregates, DISTINCT and join of two streams
            are left aside.
    """
    return next(_Search(query, streamed, known).found(), None) if streamed else None


def reads_stream(select: exp.Select, streamed: frozenset[str]) -> bool:
    """True if the FROM clause reads a stream, also through a subquery or a CTE."""
    return _Streams(streamed).reads(select)


def is_streamed(source: exp.Expr, streamed: frozenset[str]) -> bool:
    """True if a source in FROM, or something that is joined to it, reads a stream."""
    return _Streams(streamed).moves(source)


class _Streams(Frozen):
    """Which parts of a query read a stream."""

    streamed: frozenset[str]

    def reads(self, select: exp.Select) -> bool:
        """True if the FROM clause reads a stream, also through a subquery or a CTE."""
        return any(self.moves(source) for source in sources_of(select))

    def moves(self, source: exp.Expr) -> bool:
        """True if a source, or something that is joined to it, reads a stream."""
        joined = () if isinstance(source, exp.Select) else source.args.get("joins") or ()
        return self.moves_itself(source) or any(self.moves(j.this) for j in joined)

    def moves_itself(self, source: exp.Expr) -> bool:
        """True if a source reads a stream, apart from what is joined to it."""
        match source:
            case exp.Table():
                cte = None if source.name in self.streamed else _cte(source)
                return source.name in self.streamed or (cte is not None and self.moves(cte))
            case exp.Select():
                return self.reads(source)
            case exp.SetOperation():
                return self.moves(source.left) or self.moves(source.right)
            case exp.Subquery() | exp.CTE() | exp.Lateral() | exp.Paren():
                return isinstance(source.this, exp.Expr) and self.moves(source.this)
        return False


class _Search(Frozen):
    query: SqlQuery
    streamed: frozenset[str]
    known: exp.Select | None = None

    def found(self) -> Iterator[StatefulConstruct]:
        root = tree_of(self.query)
        for pivot in root.find_all(exp.Pivot):
            if not pivot.args.get("unpivot") and self._pivots_stream(pivot):
                yield self._at("PIVOT", "PIVOT", pivot)
        for nested in root.find_all(exp.Table, exp.Subquery):
            # sqlglot hangs joins on a table if they are in parentheses.
            if nested.args.get("joins") and self._is_streamed(nested):
                yield from self._joins(nested)
        for select in root.find_all(exp.Select):
            if _Streams(self.streamed).reads(select):
                yield from self._in_select(select)
                yield from self._around(select)

    def _is_streamed(self, source: exp.Expr) -> bool:
        return _Streams(self.streamed).moves(source)

    def _pivots_stream(self, pivot: exp.Pivot) -> bool:
        holder = pivot.parent if isinstance(pivot.parent, exp.Table | exp.Subquery) else pivot.this
        return isinstance(holder, exp.Expr) and self._is_streamed(holder)

    # -- one SELECT --------------------------------------------------------------------------

    def _in_select(self, select: exp.Select) -> Iterator[StatefulConstruct]:
        for key, name in _CLAUSES:
            clause = select.args.get(key)
            if clause and not (select is self.known and key in ("group", "distinct", "having")):
                near = clause if isinstance(clause, exp.Expr) and key != "distinct" else None
                yield self._at(name, name, near or _first(select))
        for node in select.find_all(exp.Func, exp.Window):
            if node.find_ancestor(exp.Select) is not select:
                continue
            if isinstance(node, exp.Window):
                yield self._at("a window function", self._written(node.this), node)
            elif _combines(node) and select is not self.known:
                name = self._written(node)
                yield self._at(f"the aggregate {name.lower()}()", name, node)
        yield from self._joins(select)

    def _joins(self, holder: exp.Expr) -> Iterator[StatefulConstruct]:
        """Stateful joins of a SELECT, or of a table or subquery in parentheses."""
        sources = sources_of(holder)
        streams = _Streams(self.streamed)
        first = streams.moves if isinstance(holder, exp.Select) else streams.moves_itself
        moving = [first(sources[0]), *map(streams.moves, sources[1:])] if sources else []
        if holder is self.known and sum(moving) == 2:
            return
        if sum(moving) > 1:
            second = [s for s, moves in zip(sources, moving, strict=True) if moves][1]
            yield StatefulConstruct("a join of two streams", self._read(second))
        for join, moves in zip(holder.args.get("joins") or [], moving[1:], strict=True):
            side, kind, method = ((join.args.get(k) or "") for k in ("side", "kind", "method"))
            # A row of the side that is no stream stays unmatched until all of the stream is read.
            lost = side == "FULL" or (side == "LEFT" and moves) or (side == "RIGHT" and not moves)
            if kind in ("SEMI", "ANTI"):
                # LEFT in front of them says nothing more.
                if moves:
                    yield self._at(f"{_an(kind)} JOIN on a stream", "JOIN", join.this)
            elif lost:
                what = f"a {side} JOIN that keeps unmatched rows of the other side"
                yield self._at(what, "JOIN", join.this)
            elif method == "POSITIONAL" or (moves and method == "ASOF"):
                yield self._at(f"{_an(method)} JOIN", "JOIN", join.this)

    # -- what stands around it ---------------------------------------------------------------

    def _around(self, select: exp.Select) -> Iterator[StatefulConstruct]:
        """Stateful set operations and limits above a SELECT, up to the FROM that reads it."""
        node: exp.Expr = select
        while isinstance(node.parent, exp.SetOperation | exp.Subquery | exp.Paren):
            node = node.parent
            for key, name in (("limit", "LIMIT"), ("offset", "OFFSET")):
                if node.args.get(key):
                    yield self._at(name, name, node.args[key])
            if isinstance(node, exp.SetOperation):
                yield from self._set_operation(node)
        holder = node.parent
        if holder is None or isinstance(holder, exp.CTE | exp.From | exp.Join | exp.Lateral):
            return
        yield StatefulConstruct("a subquery in an expression", self._read(select))

    def _set_operation(self, node: exp.SetOperation) -> Iterator[StatefulConstruct]:
        word = type(node).__name__.upper()
        if not isinstance(node, exp.Union):
            yield self._at(word, word, node.right)
        elif node.args.get("distinct"):
            yield self._at("UNION without ALL", word, node.right)
        elif not (self._is_streamed(node.left) and self._is_streamed(node.right)):
            what = "UNION ALL with something that is not a stream"
            yield self._at(what, word, node.right)

    # -- where a construct stands --------------------------------------------------------------

    def _at(self, name: str, word: str, near: exp.Expr | None) -> StatefulConstruct:
        return StatefulConstruct(name, keyword_location(self.query, word, near))

    def _written(self, function: exp.Expr) -> str:
        """A function's name, spelled as the author wrote it."""
        start, end = function.meta.get("start"), function.meta.get("end")
        if start is not None and end is not None:
            return self.query.sql[int(start) : int(end) + 1]
        if isinstance(function, exp.Anonymous):
            return function.name
        return function.sql_name() if isinstance(function, exp.Func) else "OVER"

    def _read(self, source: exp.Expr) -> Location:
        """The location of the first stream inside a source."""
        names = [t.name for t in source.find_all(exp.Table, bfs=False)]
        for read in self.query.reads:
            if read.name in self.streamed and read.name in names:
                return read.location
        return self.query.location


def _an(word: str) -> str:
    return f"an {word}" if word.startswith("A") else f"a {word}"


def sources_of(holder: exp.Expr) -> list[exp.Expr]:
    """The sources that a SELECT reads; for a table or subquery, itself and what is joined."""
    joins = [j.this for j in holder.args.get("joins") or []]
    if not isinstance(holder, exp.Select):
        return [holder, *joins]
    clause = holder.args.get("from_")
    return [*([clause.this] if clause else []), *joins]


def _first(select: exp.Select) -> exp.Expr | None:
    return select.expressions[0] if select.expressions else None


def _cte(table: exp.Table) -> exp.Expr | None:
    """The query of the common table expression that a table name stands for, if it does."""
    scope: exp.Expr | None = table
    inside: set[int] = set()
    while scope is not None:
        inside.add(id(scope))
        clause = scope.args.get("with_")
        for cte in clause.expressions if clause else []:
            # A recursive CTE that reads itself is not followed: it would never end.
            if same_in_query(cte.alias, table.name) and id(cte) not in inside:
                found = cte.this
                return found if isinstance(found, exp.Expr) else None
        scope = scope.parent
    return None
