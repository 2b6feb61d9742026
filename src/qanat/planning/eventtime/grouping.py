"""GROUP BY over a stream: its keys, its aggregates, and what is computed of them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from qanat.errors import FlowError
from qanat.model.name import Named, same_in_query
from qanat.model.stateful import RESULT, Aggregate, Grouping, GroupKey, OutputMode, StatefulInput
from qanat.planning.eventtime.apart import Apart, result_source
from qanat.planning.eventtime.calls import Calls, aliased, each_part, has_aggregate
from qanat.planning.eventtime.windows import SESSION, TIME_OF, WINDOW, called, ends_of, window_of
from qanat.planning.stateful import aggregates

KEY, VALUE, NAME = (f"__qanat_{each}" for each in ("key_", "value_", "name_"))
"""What the names of columns begin with: keys and aggregates of a result, and places for the names
of result columns."""


def grouping_of(apart: Apart, mode: OutputMode | None) -> Grouping:
    """The operator that a SELECT with GROUP BY or aggregates stands for.

    Raises:
        FlowError: it cannot be computed over a stream.
    """
    return _Taking(apart).grouping(mode)


def windows_of(apart: Apart) -> Grouping:
    """The same of a SELECT that reads all rows each time: its result is added to nothing.

    Raises:
        FlowError: the arguments are none of a window.
    """
    return _Taking(apart).grouping(None, changes=False)


class _Taking:
    """One SELECT with GROUP BY, being taken apart."""

    def __init__(self, apart: Apart) -> None:
        self.apart, self.select = apart, apart.select
        self.dialect = apart.query.dialect
        self.calls = Calls(self.dialect)
        self.aliases: Named[exp.Expr] = Named()
        for item in self.select.expressions:
            if isinstance(item, exp.Alias):
                self.aliases.setdefault(item.alias, item.this)
        self.groups: list[exp.Expr] = []
        for group in map(self._resolved, self._grouped()):
            if not any(_equal(group, known) for known in self.groups):
                self.groups.append(group)
        # A state has a column for each key and aggregate, whatever the order that they are written
        # in: so they have one of their own.
        self.groups.sort(key=self._text)
        self.keys = [self._key(g) for g in self.groups]
        self._check_windows()

    def grouping(self, mode: OutputMode | None, changes: bool | None = None) -> Grouping:
        """The operator, published in a mode, or in that which suits it.

        Args:
            changes: whether result rows replace earlier ones; None: the mode says it.
        """
        apart = self.apart
        closes = apart.watermarks and any(k.window or k.ends for k in self.keys)
        if mode is OutputMode.APPEND and not closes:
            raise self._never_closes()
        if changes is None:
            changes = not closes or mode is OutputMode.UPDATE
        named, items = self._items()
        having = self.select.args.get("having")
        after = exp.Select(expressions=items).from_(result_source())
        if having is not None:
            after.set("where", exp.Where(this=self._rewritten(having.this)))
        order = self.select.args.get("order")
        if order is not None:
            order.set("expressions", [self._rewritten(e) for e in order.expressions])
        # The tree is changed only from here on: what goes in must have been taken before.
        in_order = self._in_order([after, *([order] if order is not None else [])])
        before = apart.before(self.calls.columns or [aliased(exp.true(), "__qanat_none")])
        return Grouping(
            (StatefulInput("rows", before),),
            apart.watermarks,
            changes,
            apart.after(after, changes),
            named,
            tuple(self.keys),
            in_order,
        )

    # -- keys ------------------------------------------------------------------------------

    def _grouped(self) -> Iterator[exp.Expr]:
        """What stands behind GROUP BY, each alone."""
        group = self.select.args.get("group")
        if group is None:
            return
        for each in group.expressions:
            if isinstance(each, exp.Rollup | exp.Cube | exp.GroupingSets):
                name = type(each).__name__.upper().replace("SETS", " SETS")
                raise self.apart.problem(
                    f"{name} over a stream in one query",
                    "GROUP BY",
                    each,
                    hint="give each set of keys a STREAMING TABLE of its own",
                )
            if isinstance(each, exp.Tuple):
                yield from each.expressions
            else:
                yield each
        if group.args.get("all"):
            yield from (
                e
                for e in self.select.expressions
                if not has_aggregate(e) and e.find(exp.Column, exp.Star)
            )

    def _resolved(self, group: exp.Expr) -> exp.Expr:
        """A key as an expression of the rows: not a number, or the name of a result column."""
        if isinstance(group, exp.Literal) and not group.is_string:
            at = int(group.name) - 1
            if 0 <= at < len(self.select.expressions):
                chosen: exp.Expr = self.select.expressions[at].unalias()
                return chosen
        if isinstance(group, exp.Alias):
            inner: exp.Expr = group.this
            return inner
        if isinstance(group, exp.Column) and not group.table:
            meant = self.aliases.get(group.name)
            own = meant is not None and any(
                same_in_query(c.name, group.name) for c in meant.find_all(exp.Column)
            )
            if meant is not None and not own and not has_aggregate(meant):
                return meant
        return group

    def _key(self, group: exp.Expr) -> GroupKey:
        if group.is_star or group.find(exp.Star):
            raise self.apart.problem(
                "a star over a stream that is grouped",
                "SELECT",
                group,
                hint="name the columns, or write SELECT DISTINCT *",
            )
        text = self._text(group)
        found = window_of(self.apart, group)
        value = group if found is None else found[1]
        column = self.calls.column(value)
        if found is not None:
            self._check_time(value)
            return GroupKey(column, text.replace(WINDOW.upper(), "WINDOW"), found[0])
        return GroupKey(column, text, None, ends_of(self.apart, group, column))

    def _text(self, group: exp.Expr) -> str:
        return group.sql(dialect=self.dialect, normalize=True)

    def _check_windows(self) -> None:
        windows = [g for g, k in zip(self.groups, self.keys, strict=True) if k.window]
        if len(windows) > 1:
            raise self.apart.problem(
                "several windows in one GROUP BY",
                "GROUP BY",
                windows[1],
                hint="give each a STREAMING TABLE of its own",
            )

    def _check_time(self, value: exp.Expr) -> None:
        """Refuse windows of another column than the one that has the watermark."""
        known = [w.column for w in self.apart.watermarks]
        read = {r.name for r in self.apart.query.reads}
        # What a CTE or a subquery gives may have been computed of the column.
        direct = all(isinstance(s, exp.Table) and s.name in read for s in self._from())
        if known and direct and not any(
            isinstance(value, exp.Column) and same_in_query(value.name, k) for k in known
        ):  # fmt: skip
            raise self.apart.problem(
                f"the windows are of {value.sql(dialect=self.dialect)}, the watermark is of"
                f" {', '.join(known)}",
                "GROUP BY",
                value,
                hint="have both of one column",
            )

    def _from(self) -> Iterator[exp.Expr]:
        clause = self.select.args.get("from_")
        if clause is not None:
            yield clause.this
        yield from (j.this for j in self.select.args.get("joins") or ())

    def _never_closes(self) -> FlowError:
        if not self.apart.watermarks:
            return self.apart.problem(
                "no watermark says when a window is complete",
                "GROUP BY",
                self.select,
                hint="write one behind the stream: WATERMARK ts DELAY OF INTERVAL 5 MINUTES",
            )
        return self.apart.problem(
            "no key of GROUP BY says when a group is complete",
            "GROUP BY",
            self.select,
            hint="group by windows of the column that has the watermark: window(ts, '10 minutes')",
        )

    def _in_order(self, over: list[exp.Expr]) -> tuple[Aggregate, ...]:
        """The aggregates in an order of their own, and what reads them by the new numbers.

        Args:
            over: expressions over the operator's result; they are changed.
        """
        known = self.calls.aggregates
        order = sorted(range(len(known)), key=lambda n: known[n].text)
        names = {f"{VALUE}{old}": f"{VALUE}{new}" for new, old in enumerate(order)}
        for column in (c for each in over for c in each.find_all(exp.Column)):
            if column.table == RESULT and column.name in names:
                column.set("this", exp.to_identifier(names[column.name], quoted=True))
        return tuple(known[n] for n in order)

    # -- values ----------------------------------------------------------------------------

    def _items(self) -> tuple[str, list[exp.Expr]]:
        """SQL whose columns have the result's names, and the result columns."""
        items, named = [], []
        for number, item in enumerate(self.select.expressions):
            value = item.unalias()
            items.append(aliased(self._rewritten(value), f"{NAME}{number}"))
            if isinstance(item, exp.Alias):
                named.append(exp.alias_(exp.null(), item.alias, quoted=True))
            elif isinstance(value, exp.Column):
                named.append(exp.alias_(exp.null(), value.name, quoted=True))
            elif called(value) in (WINDOW, SESSION, TIME_OF):
                name = "window" if called(value) == WINDOW else called(value)
                named.append(exp.alias_(exp.null(), name, quoted=True))
            elif self._has_window(value):
                text = value.sql(dialect=self.dialect).replace("EVENT_WINDOW", "window")
                named.append(exp.alias_(exp.null(), text, quoted=True))
            else:
                named.append(value.copy())
        if all(isinstance(n, exp.Alias) for n in named):
            select = exp.Select(expressions=named)
            return select.sql(dialect=self.dialect), items
        # Only the engine knows how it calls a column that has no name.
        keys = [g for g in self.groups if window_of(self.apart, g) is None]
        select = exp.Select(expressions=named)
        copy = self.select.copy()
        for key in ("with_", "from_", "joins", "where", "laterals"):
            select.set(key, copy.args.get(key))
        if keys:
            select.set("group", exp.Group(expressions=[k.copy() for k in keys]))
        else:
            select.set("group", exp.Group(all=True))
        return self.apart.over(select).sql, items

    def _has_window(self, value: exp.Expr) -> bool:
        """True if an expression needs a window, which no engine knows."""
        columns = (c.table or c.name for c in value.find_all(exp.Column))
        calls = (called(c) for c in value.find_all(exp.Anonymous))
        return any(c in (WINDOW, SESSION, TIME_OF) for c in calls) or any(
            self._window(name) is not None for name in columns
        )

    def _rewritten(self, value: exp.Expr) -> exp.Expr:
        """An expression of the rows of groups as one over the operator's result."""
        return self._over(value.copy(), frozenset())

    def _over(self, node: exp.Expr, inside: frozenset[str]) -> exp.Expr:
        for number, group in enumerate(self.groups):
            if _equal(node, group):
                return _result(f"{KEY}{number}")
        if isinstance(node, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
            inner = node.find(exp.Func)
            if inner is not None and aggregates(inner):
                return _result(f"{VALUE}{self.calls.number(node)}")
        if isinstance(node, exp.Func) and aggregates(node):
            return _result(f"{VALUE}{self.calls.number(node)}")
        if isinstance(node, exp.Window):
            raise self.apart.problem(
                "a window function over groups of a stream",
                "OVER",
                node,
                hint="compute it in a MATERIALIZED VIEW over the streaming table",
            )
        if isinstance(node, exp.Query):
            return node
        if called(node) == TIME_OF and len(node.expressions) == 1:
            window = self._over(node.expressions[0], inside)
            end = exp.func("struct_extract", window, exp.Literal.string("end"))
            return exp.Sub(this=exp.Paren(this=end), expression=_microsecond())
        if isinstance(node, exp.Column):
            return self._column(node, inside)
        each_part(node, lambda child: self._over(child, inside))
        return node

    def _column(self, node: exp.Column, inside: frozenset[str]) -> exp.Expr:
        if node.table:
            # `window.start`: a field of the window, or of what an alias stands for.
            holder = self._window(node.table)
            if holder is not None:
                return exp.func("struct_extract", holder, exp.Literal.string(node.name.lower()))
            for number, group in enumerate(self.groups):
                plain = isinstance(group, exp.Column) and not group.table
                if plain and same_in_query(group.name, node.name):
                    return _result(f"{KEY}{number}")
        else:
            holder = self._window(node.name)
            if holder is not None:
                return holder
            named = [
                n
                for n, g in enumerate(self.groups)
                if isinstance(g, exp.Column) and same_in_query(g.name, node.name)
            ]
            if len(named) == 1:
                return _result(f"{KEY}{named[0]}")
            meant = self.aliases.get(node.name)
            if meant is not None and node.name not in inside:
                return exp.Paren(this=self._over(meant.copy(), inside | {node.name}))
        written = node.sql(dialect=self.dialect)
        call = node.parent
        what = "inside an aggregate"
        if isinstance(call, exp.Anonymous):
            what += f", as {call.name}() is none"
        raise self.apart.problem(
            f"{written} is neither in GROUP BY nor {what}",
            node.name,
            node,
            hint="add it to GROUP BY, or write any_value(…) if it does not matter which value it"
            " is",
        )

    def _window(self, name: str) -> exp.Expr | None:
        """The window that a name stands for: `window`, `session_window`, or an alias of one."""
        meant = self.aliases.get(name)
        for number, key in enumerate(self.keys):
            if key.window is None:
                continue
            own = SESSION if key.window.session else "window"
            if same_in_query(name, own) or (
                meant is not None and _equal(meant, self.groups[number])
            ):
                return _result(f"{KEY}{number}")
        return None


def _equal(one: exp.Expr, other: exp.Expr) -> bool:
    return one == other or (
        type(one) is type(other)
        and one.sql(dialect="duckdb", normalize=True).lower()
        == other.sql(dialect="duckdb", normalize=True).lower()
        and not one.find(exp.Literal)
    )


def _result(column: str) -> exp.Expr:
    return exp.column(
        exp.to_identifier(column, quoted=True), table=exp.to_identifier(RESULT, quoted=True)
    )


def _microsecond() -> exp.Expr:
    return exp.Interval(this=exp.Literal.string("1"), unit=exp.var("MICROSECOND"))
