"""A query taken apart at one of its SELECTs: what is computed before it, and what after."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from qanat.errors import FlowError
from qanat.frozen import Frozen
from qanat.model.name import same_in_query
from qanat.model.query import SqlQuery
from qanat.model.stateful import GROUP, RESULT, Watermark
from qanat.planning.keyword import keyword_location
from qanat.text import quote

_AFTER = ("group", "having", "distinct", "order", "qualify", "windows", "limit", "offset")


class Apart(Frozen):
    """A query and the SELECT in its tree at which it is taken apart.

    Args:
        query: in the engine's dialect.
        tree: a copy of its tree, which is changed.
        select: in that.
        streamed: the inputs that are streams, by `Read.name`.
    """

    query: SqlQuery
    tree: exp.Expr
    select: exp.Select
    streamed: frozenset[str]

    def before(self, columns: list[exp.Expr] | None = None) -> SqlQuery:
        """The query of the rows that go into the SELECT; None: with the columns that it gives."""
        select = self.select.copy()
        for key in _AFTER:
            select.set(key, None)
        if columns is not None:
            select.set("expressions", columns)
        return self.over(select)

    def over(self, select: exp.Query) -> SqlQuery:
        """The query of a SELECT that stands in the place of the one in the tree."""
        ctes = _visible(self.select)
        own = select.args.get("with_")
        kept = [*ctes, *(own.expressions if own else [])]
        select.set("with_", exp.With(expressions=[c.copy() for c in kept]) if kept else None)
        _drop_unused(select)
        named = {t.name for t in select.find_all(exp.Table)}
        reads = tuple(r for r in self.query.reads if r.name in named)
        return replace(self.query, sql=select.sql(dialect=self.query.dialect), reads=reads)

    def after(self, select: exp.Select, changes: bool) -> str:
        """SQL of the query with another SELECT, over `RESULT`, in the place of its own.

        Args:
            changes: whether `GROUP` is to be a column of all levels above.
        """
        root = self.select is self.tree
        with_ = self.select.args.get("with_")
        for key in ("order", "limit", "offset"):
            select.set(key, self.select.args.get(key) and self.select.args[key].copy())
        if with_ is not None:
            select.set("with_", with_.copy())
        if changes:
            self._carry_group(select)
        if not root:
            self.select.replace(select)
        tree = select if root else self.tree
        _drop_unused(tree)
        return tree.sql(dialect=self.query.dialect)

    @property
    def watermarks(self) -> tuple[Watermark, ...]:
        """Those of the streams that the query reads."""
        found = []
        for read in self.query.reads:
            time = read.event_time
            if time is not None:
                newest = f"epoch_us(max({quote(time.column)}))"
                sql = f"SELECT {newest} FROM {quote(read.name)}"
                found.append(Watermark(read.name, sql, time.delay_us, time.column))
        return tuple(found)

    def problem(self, message: str, word: str, near: exp.Expr | None, *, hint: str) -> FlowError:
        """An error at a word of the author's query."""
        where = keyword_location(self.query, word, near)
        return FlowError(message, location=where, hint=hint)

    def problem_of(self, message: str, source: exp.Expr, *, hint: str) -> FlowError:
        """An error at the first stream inside a source in FROM."""
        names = {t.name for t in source.find_all(exp.Table)}
        reads = (r for r in self.query.reads if r.name in names)
        read = next((r for r in reads if r.name in self.streamed), None)
        where = self.query.location if read is None else read.location
        return FlowError(message, location=where, hint=hint)

    def _carry_group(self, select: exp.Select) -> None:
        """Have all levels from the SELECT up to the result carry `GROUP`."""
        select.append("expressions", exp.column(exp.to_identifier(GROUP, quoted=True)))
        node: exp.Expr = self.select
        while node is not self.tree:
            holder = node.parent
            if isinstance(holder, exp.CTE):
                reader = next(
                    t for t in self.tree.find_all(exp.Table) if same_in_query(t.name, holder.alias)
                )
                if holder.args["alias"].columns:
                    raise self._refused(node)
                above, alias = reader.find_ancestor(exp.Select), reader.alias_or_name
            elif isinstance(holder, exp.Subquery) and not isinstance(
                holder.parent, exp.SetOperation
            ):
                if holder.args.get("alias") and holder.args["alias"].columns:
                    raise self._refused(node)
                above, alias = holder.find_ancestor(exp.Select), holder.alias_or_name
            else:
                raise self._refused(node)
            if above is None:
                raise self._refused(node)
            if not any(_is_star_of(e, alias) for e in above.expressions):
                above.append("expressions", exp.column(exp.to_identifier(GROUP, quoted=True)))
            node = above

    def _refused(self, near: exp.Expr) -> FlowError:
        return self.problem(
            "what stands around an aggregate over a stream must be a plain SELECT",
            "SELECT",
            near,
            hint="put the aggregate into a STREAMING TABLE of its own, and read its changes:"
            " STREAM table_changes('…')",
        )


def result_source() -> exp.Table:
    """The relation of the operator's result in FROM."""
    return exp.Table(this=exp.to_identifier(RESULT, quoted=True))


def _is_star_of(column: exp.Expr, alias: str) -> bool:
    """True if a result column is a star that has all columns of a source."""
    if isinstance(column, exp.Column) and isinstance(column.this, exp.Star):
        return same_in_query(column.table, alias)
    return isinstance(column, exp.Star)


def _visible(select: exp.Select) -> list[exp.Expr]:
    """The CTEs that a SELECT sees and that are not its own: those declared before it."""
    found: list[exp.Expr] = []
    child: exp.Expr = select
    while child.parent is not None:
        parent = child.parent
        clause = parent if isinstance(parent, exp.With) else parent.args.get("with_")
        if isinstance(clause, exp.With):
            before = []
            for cte in clause.expressions:
                if parent is clause and cte is child:
                    break
                before.append(cte)
            found = [*before, *found]
        child = parent.parent if parent is clause and parent.parent else parent
    return found


def _drop_unused(tree: exp.Expr) -> None:
    """Drop the CTEs that nothing reads: those that only the other part needs."""
    while True:
        dropped = False
        for clause in list(tree.find_all(exp.With)):
            for cte in list(clause.expressions):
                inside = {id(t) for t in cte.find_all(exp.Table)}
                reads = (t for t in tree.find_all(exp.Table) if id(t) not in inside)
                if not any(same_in_query(t.name, cte.alias) for t in reads):
                    cte.pop()
                    dropped = True
            if not clause.expressions:
                clause.pop()
        if not dropped:
            return
