"""Ask a query that computes row by row which rows it cannot compute, whatever the reason.

`TRY(hash(e))` is NULL exactly where the expression `e` fails. (`e IS NULL` would not do: DuckDB
knows that of a sum of two columns without NULLs, and does not compute it.) So of a query

    SELECT id, CAST(v AS INT) AS v FROM orders WHERE CAST(day AS DATE) > DATE '2026-01-01'

a second one is made, which gives the identifiers of failing rows, each with what fails and for
which values. A row that the condition rejects anyway has no reason to wait: for `a AND b` it is
enough that one of both is not true. It is left out without a reason, as the engine may compute the
part that fails before the one that rejects.

The engine may skip what does not matter: of `a OR b` a part beside one that is true, and columns
that nothing above a subquery uses. It need not: so they are asked about too (`strictly`) where it
has refused a value though all rows were set aside that fail in what matters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from sqlglot import exp

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.expressions import (
    aliases,
    conjuncts,
    ctes_of,
    inlined,
    leaves,
    needed_of,
    replaced,
    with_column,
)
from qanat.engines.duckdb.files.bound import METADATA, RESERVED
from qanat.engines.duckdb.udf import SAYS
from qanat.frozen import Frozen
from qanat.model.name import Named, Names, fold
from qanat.planning.levels import Level, Path, names_given
from qanat.secret import masked
from qanat.text import literal, quote

_LONGEST = 200
"""Characters of a value that a reason quotes."""

Compiles = Callable[[str], Sequence[str] | None]
"""Tells the columns of SELECT text; None if it is not valid."""

# These cannot fail.
_GIVEN = (exp.Column, exp.Star, exp.Literal)
# A part of these may be computed or not.
_PERHAPS = (exp.Case, exp.If, exp.Coalesce, exp.And, exp.Or, exp.Lambda, exp.Try, exp.TryCast,
            exp.Query)  # fmt: skip


class RowWise(Frozen):
    """A SELECT whose rows are computed each from one row of an input.

    Args:
        source: the input, by `Read.name`.
        alias: what the SELECT calls the relation that its rows come from; maybe nothing.
        joined: whether one row of the input may give several of the result.
        level: the SELECT; what it reads passes the positions of the input's rows on.
        rows: the relation there that its rows come from.
        ctes: what its names may mean besides inputs.
        dialect: of the query.
        needed: which of its columns matter; None: all.
        below: whether another level reads it.
        told: functions of a project, which tell what they raise.
    """

    source: str
    alias: str
    joined: bool
    level: exp.Select
    rows: exp.Expr
    ctes: tuple[exp.Expr, ...]
    dialect: str
    needed: Names | None
    below: bool
    told: frozenset[str] = frozenset()

    @property
    def relation(self) -> str:
        """SELECT text of all columns that the expressions can name."""
        return f"{self._with()}SELECT * FROM {self._from()}"

    def failing(
        self,
        compiles: Compiles,
        columns: Collection[str],
        key: Collection[str],
        alone: bool,
        strictly: bool,
    ) -> str | None:
        """SELECT text of a key and the `reason` of the rows that fail; None if none can.

        Args:
            compiles: describes SELECT text.
            columns: of `relation`; other names are those of expressions in the same SELECT.
            key: the columns that tell the rows of the input apart; none: one of all will do.
            alone: whether nothing else reads the input. Then rows that the condition rejects, and
                that may fail nevertheless, are among those found; their reason is NULL.
            strictly: whether what may not matter must not fail either.
        """
        given = Names(columns)
        known = aliases(self.level, given)
        condition = self._condition(known, compiles)
        outputs = [
            part
            for e in self._outputs(known, strictly, compiles)
            for part in self._parts(e, compiles)
        ]
        tests = () if condition is None else leaves(condition)
        if not all(c.find(exp.Query) or self._can_be_tried(c, compiles) for c in tests):
            # Which rows it keeps can then not be told apart from those that it fails for.
            return None
        if condition is None and not outputs:
            return None
        reason = self._reasons(outputs, given)
        rows, rejected = self._from(), "false"
        if condition is not None:
            holds, broken = self._holds(condition), self._reason(condition, given)
            computes, rejects = self._computes(condition), self._rejects(condition)
            if strictly:
                holds = f"({holds} AND {computes})"
            reason = f"CASE WHEN {holds} THEN {reason} WHEN NOT {rejects} THEN {broken} END"
            # The engine may move conditions: what is above may meet rows that this one rejects.
            spoils = "true" if self.below else f"NOT {computes}"
            # A row that is joined to several others may be rejected beside some of them only.
            spoils = "false" if self.joined or not alone else spoils
            rejected = f"({rejects} AND {spoils})"
        return self._selected(reason, rejected, rows, key)

    def failing_below(
        self, compiles: Compiles, columns: Collection[str], key: Collection[str], alone: bool
    ) -> str | None:
        """SELECT text like `failing`, of what the engine may compute before it joins.

        It may do so for rows that find no partner, of which the level has nothing to tell. Nor
        has it of the parts of a condition with a subquery.
        """
        given = Names(columns)
        known = aliases(self.level, given)
        condition = self._condition(known, compiles)
        wanted = list(conjuncts(condition)) if condition is not None else []
        joins = [join.args.get("on") for join in self.level.args.get("joins") or []]
        on = (inlined(c, known) for join in joins if join for c in conjuncts(join))
        rows = self._exact(self.rows)
        parts = [
            part
            for expression in (*self._outputs(known, True, compiles), *wanted, *on)
            for part in self._parts(expression, compiles, rows)
            if part.find(exp.Column)
        ]
        if not parts:
            return None
        own = (c for c in wanted if self._can_be_tried(c, compiles, rows))
        rejects = " OR ".join(map(self._rejects, own)) or "false"
        reason = f"CASE WHEN NOT ({rejects}) THEN {self._reasons(parts, given)} END"
        return self._selected(reason, f"({rejects})" if alone else "false", rows, key)

    def _condition(self, known: Named[exp.Expr], compiles: Compiles) -> exp.Expr | None:
        """The condition of WHERE; None if there is none."""
        where = self.level.args.get("where")
        if where is None:
            return None
        every = list(self._expanded(inlined(where.this, known), compiles))
        return exp.and_(*every) if len(every) > 1 else every[0]

    def _selected(self, reason: str, rejected: str, rows: str, key: Collection[str]) -> str:
        """SELECT text of a key and the reason of rows that have one, or are rejected.

        A filter may change what fails: DuckDB takes rows without a partner out of a LEFT JOIN if
        it finds the filter not true for them, and does not notice what fails there. It does not
        see through `unnest`.
        """
        owner = f"{quote(self.alias)}." if self.alias else ""
        places = ", ".join(f"{owner}{column}" for column in key) or "NULL AS place"
        every = f"SELECT {places}, {reason} AS reason, {rejected} AS rejected FROM {rows}"
        found = "unnest(CASE WHEN rejected OR reason IS NOT NULL THEN [reason] END) AS reason"
        by = ", ".join(key) or "place"
        some = f"SELECT {by}, {found} FROM ({self._with()}{every})"
        return f"SELECT {by}, min(reason) AS reason FROM ({some}) GROUP BY {by}"

    def _reasons(self, expressions: Collection[exp.Expr], given: Names) -> str:
        """SQL of the text that says which expressions fail; NULL if none does."""
        reasons = ", ".join(
            f"CASE WHEN {self._fails(e)} THEN {self._reason(e, given)} END" for e in expressions
        )
        return f"nullif(concat_ws('; ', {reasons}), '')" if expressions else "NULL"

    def _parts(
        self, expression: exp.Expr, compiles: Compiles, rows: str = ""
    ) -> Iterator[exp.Expr]:
        """The largest parts of an expression that can be tried, if they are computed in any case.

        Args:
            rows: what they are computed from; empty: all that the level reads.
        """
        if isinstance(expression, _GIVEN):
            return
        if self._can_be_tried(expression, compiles, rows):
            yield expression
        elif not isinstance(expression, _PERHAPS) and (rows or expression.find(exp.Query)):
            for part in expression.iter_expressions():
                yield from self._parts(part, compiles, rows)

    def _outputs(
        self, known: Named[exp.Expr], all_: bool, compiles: Compiles
    ) -> Iterator[exp.Expr]:
        """What the SELECT list and ORDER BY compute; columns as they are cannot fail."""
        needed = None if all_ else self.needed
        for item in self.level.expressions:
            for each in (item, *replaced(item)):
                if needed is not None and each.alias and each.alias not in needed:
                    continue
                computed = each.unalias()
                if not isinstance(computed, _GIVEN):
                    yield from self._expanded(inlined(computed, known), compiles)
        order = self.level.args.get("order")
        for key in order.expressions if order else []:
            # Names in it mean columns of the result first.
            columns = key.this.find_all(exp.Column)
            if not isinstance(key.this, _GIVEN) and not any(
                c.name in self._named for c in columns
            ):
                yield key.this.copy()

    @property
    def _named(self) -> Names:
        """The names that the SELECT list gives to what it computes."""
        return Names(e.alias for e in self.level.expressions if isinstance(e, exp.Alias))

    def _expanded(self, expression: exp.Expr, compiles: Compiles) -> Iterator[exp.Expr]:
        """An expression for each of the columns that `COLUMNS(…)` in it finds."""
        wanted = next(expression.find_all(exp.Columns), None)
        if wanted is None or wanted.args.get("unpack"):
            yield expression
            return
        found = compiles(f"{self._with()}SELECT {self._sql(wanted)} FROM {self._from()}") or ()
        names = [n for n in found if n != METADATA and not n.startswith(RESERVED)]
        for name in names:
            yield with_column(expression, name)
        if not names:
            yield expression

    def _can_be_tried(self, expression: exp.Expr, compiles: Compiles, rows: str = "") -> bool:
        # TRY takes neither subqueries nor what changes from call to call.
        tried = f"SELECT {self._fails(expression)} FROM {rows or self._from()}"
        return compiles(self._with() + tried) is not None

    def _fails(self, expression: exp.Expr) -> str:
        return f"TRY(hash({self._exact(_triable(expression))})) IS NULL"

    def _holds(self, condition: exp.Expr) -> str:
        """True if a condition is true, though a part of it that does not matter may fail."""
        match condition:
            case exp.Paren():
                return self._holds(condition.this)
            case exp.And():
                return f"({self._holds(condition.left)} AND {self._holds(condition.right)})"
            case exp.Or():
                return f"({self._holds(condition.left)} OR {self._holds(condition.right)})"
        return f"coalesce({self._tried(condition, 'IS TRUE')}, false)"

    def _computes(self, condition: exp.Expr) -> str:
        """True if no part of a condition fails."""
        match condition:
            case exp.Paren():
                return self._computes(condition.this)
            case exp.And() | exp.Or():
                return f"({self._computes(condition.left)} AND {self._computes(condition.right)})"
        return "true" if condition.find(exp.Query) else f"NOT ({self._fails(condition)})"

    def _rejects(self, condition: exp.Expr) -> str:
        """True if a condition is not true, whatever becomes of the parts that fail."""
        match condition:
            case exp.Paren():
                return self._rejects(condition.this)
            case exp.And():
                return f"({self._rejects(condition.left)} OR {self._rejects(condition.right)})"
            case exp.Or():
                return f"({self._rejects(condition.left)} AND {self._rejects(condition.right)})"
        return f"coalesce({self._tried(condition, 'IS NOT TRUE')}, false)"

    def _tried(self, condition: exp.Expr, is_: str) -> str:
        """Whether a condition is true, or is not; NULL if it fails."""
        if condition.find(exp.Query):
            return f"({self._exact(condition)}) {is_}"
        return f"TRY(({self._exact(_triable(condition))}) {is_})"

    def _reason(self, expression: exp.Expr, given: Names) -> str:
        # The parameter of a lambda looks like a column, too; those of a subquery are its own.
        columns = (c for c in expression.find_all(exp.Column) if not c.find_ancestor(exp.Query))
        used = (c for c in columns if c.name in given)
        # Of what a translation refuses its own words are shorter than the expression.
        own = " or ".join(dict.fromkeys(_refusals(expression)))
        text = reason(self._sql(expression), dict.fromkeys(map(self._sql, used)), own)
        for call in expression.find_all(exp.Anonymous):
            if fold(call.name) not in self.told or call.find_ancestor(exp.Lambda, exp.Query):
                continue
            said = call.copy()
            said.set("this", f"{SAYS}{fold(call.name)}")
            text += f" || coalesce(': ' || TRY({self._exact(said)}), '')"
        return text

    def _from(self) -> str:
        joins = self.level.args.get("joins") or []
        clause = self.level.args["from_"].this
        return " ".join(map(self._exact, (clause, *joins)))

    def _with(self) -> str:
        return f"WITH {', '.join(map(self._exact, self.ctes))} " if self.ctes else ""

    def _exact(self, node: exp.Expr) -> str:
        return exact_casts(self._sql(node))

    def _sql(self, node: exp.Expr) -> str:
        return str(node.sql(dialect=self.dialect, comments=False, normalize_functions=False))


def _triable(expression: exp.Expr) -> exp.Expr:
    """An expression that fails where another does, for TRY.

    Queries of Spark's dialect call `error(…)` where Spark would fail. DuckDB takes that for
    volatile, and TRY takes nothing volatile. To cast a text that is no BOOLEAN fails as well, and
    the CASE around it has the same type: NULL.
    """

    def failing(node: exp.Expr) -> exp.Expr:
        if not _is_refusal(node):
            return node
        return exp.case().when(exp.cast(exp.Literal.string("fails"), "boolean"), exp.null())

    return expression.copy().transform(failing)


def _is_refusal(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and fold(node.name) == "error"


def _refusals(expression: exp.Expr) -> Iterator[str]:
    """The texts of the calls of `error(…)` in an expression."""
    for call in expression.find_all(exp.Anonymous):
        (*_, said) = call.expressions or (None,)
        if _is_refusal(call) and isinstance(said, exp.Literal):
            yield said.name


def reason(expression: str, columns: Collection[str], says: str = "") -> str:
    """SQL of the text that says what fails, and for which values.

    Args:
        columns: SQL of the columns that the expression is computed from.
        says: why it fails, if it tells.
    """
    text = literal(masked(says or f"{expression} fails"))
    values = [
        f"{literal(masked(f'{c} = '))} || "
        f"coalesce('''' || left(CAST({c} AS VARCHAR), {_LONGEST}) || '''', 'NULL')"
        for c in columns
    ]
    return f"{text} || ' for ' || concat_ws(', ', {', '.join(values)})" if values else text


def row_wise(
    path: Path, dialect: str, needed: Names | None, told: frozenset[str] = frozenset()
) -> list[RowWise]:
    """The levels of a path, from the input up.

    Args:
        path: in a query that passes the positions of its inputs' rows on.
        needed: which columns of the result matter; None: all.
        told: functions of a project, which tell what they raise.
    """
    made: list[RowWise] = []
    for at, level in reversed(tuple(enumerate(path))):
        needed = None if level.renamed else needed
        made.append(
            RowWise(
                source=path[0].relation,
                alias=level.alias,
                joined=any(each.joined for each in path[: at + 1]),
                level=level.select,
                rows=level.source,
                ctes=tuple(ctes_of(level.select)),
                dialect=dialect,
                needed=needed,
                below=bool(made),
                told=told,
            )
        )
        needed = None if _renames_source(level) else needed_of(level.select, needed)
    return made[::-1]


def _renames_source(level: Level) -> bool:
    """True if a SELECT knows the columns of what it reads by other names."""
    return bool(names_given(level.source))
