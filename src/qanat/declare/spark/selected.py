"""A SELECT in the making: what a frame holds, and the steps that change it.

As long as SQL allows, steps go into one SELECT; behind an aggregate, DISTINCT, UNION or LIMIT the
next step reads a subquery.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sqlglot import exp

from qanat.declare.spark.items import Item, Items, Star, item_of
from qanat.declare.spark.terms import quoted, unaliased, written
from qanat.errors import ColumnNotFoundError, UnsupportedError, nearest
from qanat.model.name import fold

_MANY_ROWS = (exp.AggFunc, exp.Window, exp.Explode, exp.Posexplode, exp.Rand, exp.Uuid)
"""What may not be put in where its name is used: it stands for the result of the SELECT."""
_WINDOWS = ("window", "session_window")


@dataclass(frozen=True)
class Selected:
    """A query in the making.

    Args:
        head: what stands behind FROM, without alias and watermark.
        alias: of it; empty for a join, whose sides have aliases.
        mark: its watermark, as SQL.
        items: what the SELECT lists.
        where: its conditions.
        modifier: `DISTINCT` or `DISTINCT ON (…)`.
        tail: clauses behind WHERE.
        closed: True if the next step needs a subquery.
        raw: the whole query, if it is no SELECT.
        streaming: True if it reads a stream.
        times: columns with a watermark.
    """

    head: str
    alias: str = ""
    mark: str = ""
    items: Items = field(default_factory=Items)
    where: tuple[exp.Expr, ...] = ()
    modifier: str = ""
    tail: str = ""
    closed: bool = False
    raw: str = ""
    streaming: bool = False
    times: tuple[str, ...] = ()

    def query(self) -> str:
        """The SQL."""
        if self.raw:
            return self.raw
        words = ["SELECT", self.modifier, self.items.sql(), "FROM", self.source]
        if self.where:
            several = len(self.where) > 1
            texts = [written(exp.paren(c) if several else c) for c in self.where]
            words += ["WHERE", " AND ".join(texts)]
        return " ".join(w for w in (*words, self.tail) if w)

    @property
    def source(self) -> str:
        """What stands behind FROM."""
        alias = f"AS {quoted(self.alias)}" if self.alias else ""
        return " ".join(w for w in (self.head, alias, self.mark) if w)

    @property
    def plain(self) -> bool:
        """True if it is all rows and columns of what stands behind FROM, under one alias."""
        done = self.raw or self.where or self.closed or not self.alias
        return not done and self.items == Items()

    @property
    def untouched(self) -> bool:
        """True if it is a read, and no subquery."""
        return self.plain and not self.head.startswith("(")

    def opened(self) -> Selected:
        """What the next step is added to: a query of this one if SQL needs that.

        Raises:
            UnsupportedError: a column may be there twice.
        """
        return self.nested() if self.closed else self

    def nested(self) -> Selected:
        """A query that reads this one.

        Raises:
            UnsupportedError: a column was added beside others that nobody knows. If these have one
                of its name, the engine would take the wrong one without a word.
        """
        doubt = self.items.doubtful
        if doubt is not None:
            raise UnsupportedError(
                doubt,
                hint="before the next step, name the columns that it needs: .select(…)",
            )
        alias = self.alias or "t"
        return Selected(f"({self.query()})", alias, streaming=self.streaming, times=self.times)

    def aliased(self, alias: str) -> Selected:
        """With a name that qualifies columns."""
        return replace(self if self.plain else self.nested(), alias=alias)

    def resolved(self, term: exp.Expr) -> exp.Expr:
        """An expression with the values of columns that this query has made."""

        def of_column(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
                return node
            mine = bool(node.table) and fold(node.table) == fold(self.alias)
            if node.table and not mine:
                # A field of a column that this query has made, such as `window.start`.
                made = None if node.args.get("db") else self.items.value(node.table)
                return node if made is None else exp.Dot(this=_part(made), expression=node.this)
            value = self.items.value(node.name)
            if value is None:
                return exp.Column(this=node.this) if mine else node
            return _part(value)

        return term.copy().transform(of_column)

    def item(self, term: exp.Expr) -> Item:
        """An item of an expression over what this query has made.

        Raises:
            ColumnNotFoundError: it uses a column that an earlier `select` has left out.
        """
        known = self.items.names
        for used in () if known is None else term.find_all(exp.Column):
            free = used.table or used.find_ancestor(exp.Lambda) or isinstance(used.this, exp.Star)
            if not free and self.items.value(used.name) is None:
                raise ColumnNotFoundError(
                    f"no column {used.name!r}",
                    wanted=", ".join(known or ()),
                    nearest=nearest(used.name, known or ()),
                )
        return Item(item_of(term).name, self.resolved(unaliased(term)))

    def listing(self, items: Items) -> Selected:
        """With other items."""
        terms = [i.term for i in items.listed if isinstance(i, Item)]
        closed = any(t.find(*_MANY_ROWS) is not None for t in terms)
        return replace(self, items=items, closed=closed)

    def selected(self, terms: Iterable[exp.Expr]) -> Selected:
        """With the items of some expressions."""
        found: list[Star | Item] = []
        for term in terms:
            if isinstance(term, exp.Star):
                found += self.items.listed
            elif isinstance(term, exp.Column) and isinstance(term.this, exp.Star):
                mine = fold(term.table) == fold(self.alias)
                found += self.items.listed if mine else (Star(term.table),)
            else:
                found.append(self.item(term))
        return self.listing(Items(tuple(found)))

    def grouped(self, keys: list[exp.Expr], values: list[exp.Expr]) -> Selected:
        """Groups by some keys, with aggregates. Keys are listed first, as Spark does."""
        of = self._uncaptured(keys)
        items = [*(of.key(k) for k in keys), *(of.item(v) for v in values)]
        texts = [written(i.term) for i in items[: len(keys)]]
        tail = f"GROUP BY {', '.join(texts)}" if texts else ""
        return replace(of, items=Items(tuple(items)), tail=tail, closed=True, times=())

    def key(self, term: exp.Expr) -> Item:
        """An item of a key of groups; a window is called as Spark does."""
        found = self.item(term)
        called = found.term.name.lower() if isinstance(found.term, exp.Anonymous) else ""
        return Item(called, found.term) if not found.name and called in _WINDOWS else found

    def first_of(self, keys: list[exp.Expr]) -> Selected:
        """Of rows with equal keys the first; without keys, of equal rows."""
        of = self._uncaptured(keys)
        texts = ", ".join(written(of.resolved(k)) for k in keys)
        modifier = f"DISTINCT ON ({texts})" if keys else "DISTINCT"
        return replace(of, modifier=modifier, closed=True)

    def _uncaptured(self, keys: list[exp.Expr]) -> Selected:
        """A query in which the values of keys mean the same behind the SELECT as in it.

        Of `-x AS x` the clauses ORDER BY and DISTINCT ON take any `x` for the new one.
        """
        for column in (c for k in keys for c in self.resolved(k).find_all(exp.Column)):
            made = self.items.value(column.name)
            if made is not None and made != column and not column.table:
                return self.nested()
        return self

    def with_rows_of(self, other: Selected) -> Selected:
        """With the rows of another query below, by the order of columns."""
        sides = [f"({s.query()})" if s.tail else s.query() for s in (self, other)]
        return Selected(
            "",
            items=self.items if self.items.doubtful else other.items,
            closed=True,
            raw=" UNION ALL ".join(sides),
            streaming=self.streaming or other.streaming,
            times=(*self.times, *other.times),
        )

    def ordered(self, keys: list[exp.Expr]) -> Selected:
        """In an order."""
        of = self._uncaptured(keys)
        texts = ", ".join(written(of.resolved(k)) for k in keys)
        return replace(of, tail=f"ORDER BY {texts}", closed=True)

    def limited(self, rows: int) -> Selected:
        """The first rows."""
        ordered = self.tail.startswith("ORDER BY") and " LIMIT " not in self.tail
        query = self if ordered else self.opened()
        return replace(query, tail=f"{query.tail} LIMIT {rows}".strip(), closed=True)


def _part(value: exp.Expr) -> exp.Expr:
    """A value as a part of another expression."""
    found = value.copy()
    return found if isinstance(found, exp.Column | exp.Func | exp.Literal) else exp.paren(found)
