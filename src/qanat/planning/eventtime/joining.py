"""A join of two streams: by which values rows match, and for how long they may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp, parse_one

from qanat.frozen import Frozen
from qanat.model.name import same_in_query
from qanat.model.stateful import RESULT, Joining, JoinSide, StatefulInput, Watermark
from qanat.planning.eventtime.apart import Apart
from qanat.planning.eventtime.intervals import interval_of
from qanat.planning.stateful import is_streamed, sources_of
from qanat.text import quote

EQUAL, TIME, LEFT, RIGHT = "__qanat_equal_", "__qanat_time", "__qanat_left", "__qanat_right"
"""Columns of the inputs: values that are equal in rows that match, and the event time. Columns of
the result: a row of the left side, and of the right one, as structs."""

_ORDER: dict[type[exp.Expr], int] = {exp.LTE: -1, exp.LT: -1, exp.GTE: 1, exp.GT: 1}


class _Bound(Frozen):
    """One event time is at most the other one and so many microseconds."""

    early: str
    late: str
    by: int


def joining_of(apart: Apart) -> Joining:
    """The operator that a SELECT with a join of two streams stands for.

    Raises:
        FlowError: it cannot be computed over streams.
    """
    return _Taking(apart).joining()


class _Taking:
    """One join of two streams, being taken apart."""

    def __init__(self, apart: Apart) -> None:
        self.apart, self.select = apart, apart.select
        self.dialect = apart.query.dialect
        sources = sources_of(self.select)
        moving = [is_streamed(s, apart.streamed) for s in sources]
        if moving[:2] != [True, True] or sum(moving) > 2:
            raise apart.problem_of(
                "two streams are joined first, and no third one with them",
                next(s for s, m in list(zip(sources, moving, strict=True))[1:] if m),
                hint="write the two streams first; give a join of three two STREAMING TABLEs",
            )
        self.sources = sources[:2]
        self.join, *self.others = self.select.args["joins"]
        self.aliases = [s.alias_or_name for s in self.sources]
        self._check()
        self._spell_out_using()
        on = self.join.args.get("on")
        self.condition: exp.Expr = exp.true() if on is None else on
        self.parts = list(_conjuncts(self.condition))
        if self.join.args.get("on") is None and self.select.args.get("where") is not None:
            # FROM a, b WHERE …: the condition of an inner join.
            where = self.select.args["where"].this
            self.parts = [p for p in _conjuncts(where) if self._is_about_both(p)]
            self.condition = exp.and_(*(p.copy() for p in self.parts)) or exp.true()
        self.kind = str(self.join.args.get("kind") or "").upper()
        side = str(self.join.args.get("side") or "").upper()
        self.kept = (side in ("LEFT", "FULL"), side in ("RIGHT", "FULL"))
        if self.kind in ("SEMI", "ANTI"):
            self.kept = (False, False)

    def joining(self) -> Joining:
        """The operator."""
        equal = list(self._equal())
        if not equal:
            raise self.apart.problem_of(
                "a join of two streams needs values that are equal in both",
                self.join.this,
                hint=f"write ON {self.aliases[0]}.key = {self.aliases[1]}.key, with the alias"
                " before each column",
            )
        marks = [self._mark(s) for s in self.sources]
        needed = self._needed(marks)
        for n, kept in enumerate((self.kept[0] or self.kind == "ANTI", self.kept[1])):
            if kept and needed[n] is None:
                raise self._never_ends(n)
        condition = self.condition.sql(dialect=self.dialect)
        inputs = tuple(self._input(n, [e[n] for e in equal], marks[n]) for n in range(2))
        sides = tuple(
            JoinSide(self.kept[n], self.aliases[n], TIME if marks[n] else "", needed[n])
            for n in range(2)
        )
        after = self._after()
        return Joining(
            inputs,
            self.apart.watermarks,
            False,
            self.apart.after(after, False),
            equal=tuple(f"{EQUAL}{n}" for n in range(len(equal))),
            condition=condition,
            sides=sides,
            semi=self.kind == "SEMI",
            anti=self.kind == "ANTI",
        )

    def _check(self) -> None:
        join, apart = self.join, self.apart
        method = str(join.args.get("method") or "")
        if method.upper() == "NATURAL":
            raise apart.problem_of(
                "NATURAL in a join of two streams",
                join.this,
                hint="write USING (…) with the columns that both have",
            )
        if method:
            raise apart.problem_of(
                f"{method.upper()} JOIN of two streams",
                join.this,
                hint="compute it in a MATERIALIZED VIEW over the streaming tables",
            )
        if not all(self.aliases):
            raise apart.problem_of(
                "a subquery in a join of streams has no name", join.this, hint="give it one"
            )
        for other in self.others:
            if str(other.args.get("side") or "").upper() in ("RIGHT", "FULL"):
                raise apart.problem_of(
                    "a table that keeps its unmatched rows beside a join of streams",
                    other.this,
                    hint="give the join of the streams a STREAMING TABLE of its own",
                )

    def _spell_out_using(self) -> None:
        """Have ON say what USING does, and each mention of its columns which value it means."""
        names = [c.name for c in self.join.args.get("using") or ()]
        if not names:
            return
        one, other = (exp.to_identifier(a, quoted=True) for a in self.aliases)
        pairs = {
            name: [
                exp.column(exp.to_identifier(name, quoted=True), table=a.copy())
                for a in (one, other)
            ]
            for name in names
        }
        only = str(self.join.args.get("kind") or "").upper() in ("SEMI", "ANTI")
        meant = {
            name: a if only else exp.Coalesce(this=a, expressions=[b])
            for name, (a, b) in pairs.items()
        }
        for column in list(self.select.find_all(exp.Column)):
            name = next((n for n in names if same_in_query(n, column.name)), None)
            if name is None or column.table or column.find_ancestor(exp.Query) is not self.select:
                continue
            value = meant[name].copy()
            given = column.parent is self.select and column.arg_key == "expressions"
            column.replace(exp.alias_(value, column.name, quoted=True) if given else value)
        if not only:
            self._spell_out_star(names, meant)
        self.join.set("using", None)
        self.join.set("on", exp.and_(*(exp.EQ(this=a, expression=b) for a, b in pairs.values())))

    def _spell_out_star(self, names: list[str], meant: Mapping[str, exp.Expr]) -> None:
        """Have `*` say that columns of USING come once, where the first stream has them."""
        given: list[exp.Expr] = []
        for each in self.select.expressions:
            if not isinstance(each, exp.Star) or any(each.args.values()):
                given.append(each)
                continue
            first, second = (exp.Star(), exp.Star())
            first.set("replace", [exp.alias_(v.copy(), n, quoted=True) for n, v in meant.items()])
            second.set("except_", [exp.to_identifier(n, quoted=True) for n in names])
            tables = [*zip(self.aliases, (first, second), strict=True)]
            tables += [(o.alias_or_name, exp.Star()) for o in self.others]
            given += [
                exp.Column(this=star, table=exp.to_identifier(alias, quoted=True))
                for alias, star in tables
            ]
        self.select.set("expressions", given)

    # -- the condition ---------------------------------------------------------------------

    def _equal(self) -> Iterator[tuple[exp.Expr, exp.Expr]]:
        """The values that are equal in rows that match: of the left side, and of the right."""
        for part in self.parts:
            part = part.unnest()
            if not isinstance(part, exp.EQ):
                continue
            one, other = _plain(part.this), _plain(part.expression)
            sides = self._side(one), self._side(other)
            if sides == (0, 1):
                yield one, other
            elif sides == (1, 0):
                yield other, one

    def _is_about_both(self, part: exp.Expr) -> bool:
        """True if a condition is about columns of the two streams, and of nothing else."""
        names = [c.table for c in part.find_all(exp.Column)]
        own = (any(same_in_query(n, a) for a in self.aliases) for n in names)
        return all(own) and part.find(exp.Query) is None

    def _side(self, value: exp.Expr) -> int | None:
        """Of which side all columns of a value are; None if of both, or if it does not say."""
        found = set()
        for column in value.find_all(exp.Column):
            known = [n for n, a in enumerate(self.aliases) if same_in_query(a, column.table)]
            if not known:
                return None
            found.add(known[0])
        return found.pop() if len(found) == 1 else None

    def _mark(self, source: exp.Expr) -> Watermark | None:
        names = {t.name for t in source.find_all(exp.Table)}
        return next((w for w in self.apart.watermarks if w.read in names), None)

    def _needed(self, marks: list[Watermark | None]) -> list[int | None]:
        """For each side, how much later than a row of it one of the other side may be."""
        if None in marks:
            return [None, None]
        found: list[int | None] = [None, None]
        for bound in self._bounds(marks):
            # A row of `late`'s side is at most so much later than that of `early`'s.
            side = self._which(bound.early)
            known = found[side]
            found[side] = bound.by if known is None else min(known, bound.by)
        return found

    def _which(self, alias: str) -> int:
        return 0 if same_in_query(alias, self.aliases[0]) else 1

    def _bounds(self, marks: list[Watermark | None]) -> Iterator[_Bound]:
        """What the condition says of the two event times."""
        for part in self.parts:
            part = part.unnest()
            pairs: list[tuple[exp.Expr, exp.Expr]] = []
            if isinstance(part, exp.Between):
                pairs = [(part.args["low"], part.this), (part.this, part.args["high"])]
            elif isinstance(part, exp.EQ):
                pairs = [(part.this, part.expression), (part.expression, part.this)]
            elif type(part) in _ORDER:
                both = (part.this, part.expression)
                pairs = [both if _ORDER[type(part)] < 0 else (both[1], both[0])]
            for small, large in pairs:
                one, other = self._moment(small, marks), self._moment(large, marks)
                if one is None or other is None or same_in_query(one[0], other[0]):
                    continue
                # one + a <= other + b: `one` is at most b - a later than `other`.
                yield _Bound(early=other[0], late=one[0], by=other[1] - one[1])

    def _moment(self, node: exp.Expr, marks: list[Watermark | None]) -> tuple[str, int] | None:
        """An event time and what is added to it: the alias of its side, and microseconds."""
        node = _plain(node)
        if isinstance(node, exp.Add | exp.Sub):
            sign = -1 if isinstance(node, exp.Sub) else 1
            inner, span = self._moment(node.this, marks), interval_of(node.expression)
            return None if inner is None or span is None else (inner[0], inner[1] + sign * span)
        if isinstance(node, exp.Column):
            for alias, mark in zip(self.aliases, marks, strict=True):
                named = mark is not None and same_in_query(node.name, mark.column)
                if named and same_in_query(node.table, alias):
                    return alias, 0
        return None

    def _never_ends(self, side: int) -> Exception:
        other = self.apart.watermarks
        mine, its = self.aliases[side], self.aliases[1 - side]
        if len(other) < 2:
            return self.apart.problem_of(
                f"nothing says when a row of {mine} can no longer match",
                self.join.this,
                hint="give both streams a watermark: WATERMARK ts DELAY OF INTERVAL 5 MINUTES",
            )
        return self.apart.problem_of(
            f"nothing says how much later than a row of {mine} one of {its} may be",
            self.join.this,
            hint=f"bound it in ON: {its}.{other[1 - side].column} <= {mine}.{other[side].column}"
            " + INTERVAL 1 HOUR",
        )

    # -- before and after ------------------------------------------------------------------

    def _input(self, side: int, equal: list[exp.Expr], mark: Watermark | None) -> StatefulInput:
        alias = exp.to_identifier(self.aliases[side], quoted=True)
        columns: list[exp.Expr] = [exp.Column(this=exp.Star(), table=alias.copy())]
        columns += [exp.alias_(e.copy(), f"{EQUAL}{n}", quoted=True) for n, e in enumerate(equal)]
        if mark is not None:
            time = exp.column(exp.to_identifier(mark.column, quoted=True), table=alias.copy())
            call = exp.Anonymous(this="epoch_us", expressions=[time])
            columns.append(exp.alias_(call, TIME, quoted=True))
        select = exp.Select(expressions=columns).from_(self.sources[side].copy())
        own = self.select.args.get("with_")
        if own is not None:
            select.set("with_", own.copy())
        return StatefulInput(("left", "right")[side], self.apart.over(select))

    def _after(self) -> exp.Select:
        """The SELECT over pairs of rows, which the sides' names tell apart."""
        select = self.select.copy()
        both = [
            f"(SELECT UNNEST({quote(column)}) FROM {quote(RESULT)}) AS {quote(alias)}"
            for column, alias in zip((LEFT, RIGHT), self.aliases, strict=True)
        ]
        only = self.kind in ("SEMI", "ANTI")
        text = both[0] if only else " POSITIONAL JOIN ".join(both)
        made = parse_one(f"SELECT 1 FROM {text}", dialect="duckdb")
        clause = made.args["from_"]
        joins = [*(clause.this.args.get("joins") or []), *(made.args.get("joins") or [])]
        clause.this.set("joins", None)
        select.set("from_", clause)
        select.set("joins", [*joins, *(o.copy() for o in self.others)])
        return select


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that all have to hold, wherever parentheses stand."""
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.this)
        yield from _conjuncts(condition.expression)
    else:
        yield condition


def _plain(node: exp.Expr) -> exp.Expr:
    """A value without parentheses, and without the checks that a translation puts around it."""
    node = node.unnest()
    if isinstance(node, exp.Case) and node.args.get("default") is not None and not node.this:
        checks = (i.args["true"] for i in node.args["ifs"])
        if all(isinstance(c, exp.Anonymous) and c.name.upper() == "ERROR" for c in checks):
            return _plain(node.args["default"])
    return node
