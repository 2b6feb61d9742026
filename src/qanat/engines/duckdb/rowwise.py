"""Ask a query that computes row by row which rows it cannot compute, whatever the reason.

`TRY(hash(e))` is NULL exactly where the expression `e` fails. (`e IS NULL` would not do: DuckDB
knows that of a sum of two columns without NULLs, and does not compute it.) So of a query

    SELECT id, CAST(v AS INT) AS v FROM orders WHERE CAST(day AS DATE) > DATE '2026-01-01'

a second one is made, which gives the identifiers of failing rows, each with what fails and for
which values. A row that the condition rejects anyway has no reason to wait: for `a AND b` it is
enough that one of both is not true. It is left out without a reason, as the engine may compute the
part that fails before the one that rejects. For `a OR b` neither part may fail, as the engine may
compute either first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from sqlglot import exp

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.files.bound import RID
from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.query import SqlQuery
from qanat.planning.fingerprint import row_source
from qanat.planning.stateful import tree_of
from qanat.secret import masked
from qanat.text import literal, quote

_LONGEST = 200
"""Characters of a value that a reason quotes."""

Compiles = Callable[[str], bool]


class RowWise(Frozen):
    """A query whose rows are computed each from one row of an input.

    Args:
        source: the input, by `Read.name`; `alias`, as the query calls it.
        joined: whether one row of the input may give several of the result.
        tree: of the query.
        dialect: of the query.
    """

    source: str
    alias: str
    joined: bool
    tree: exp.Select
    dialect: str

    def failing(self, compiles: Compiles, columns: Collection[str], alone: bool) -> str | None:
        """SELECT text of `rid` and `reason` of the rows that fail; None if none can.

        Args:
            compiles: tells whether SELECT text is valid.
            columns: of the inputs; other names are those of expressions in the same SELECT.
            alone: whether nothing else reads the input. Then rows that the condition rejects
                although a part of it fails are among those found; their reason is NULL.
        """
        given = Names(columns)
        known = _aliases(self.tree, given)
        where = self.tree.args.get("where")
        condition = _inlined(where.this, known) if where else None
        outputs = [e for e in self._outputs(known) if self._can_be_tried(e, compiles)]
        if condition is not None and not self._can_be_tried(condition, compiles):
            # Which rows it keeps can then not be told apart from those that it fails for.
            return None
        if condition is None and not outputs:
            return None
        reasons = ", ".join(
            f"CASE WHEN {self._fails(e)} THEN {self._reason(e, given)} END" for e in outputs
        )
        reason = f"nullif(concat_ws('; ', {reasons}), '')" if outputs else "NULL"
        rows, rejected = self._from(), "false"
        if condition is not None:
            holds, broken = self._holds(condition), self._reason(condition, given)
            rejects = self._rejects(condition)
            reason = f"CASE WHEN {holds} THEN {reason} WHEN NOT {rejects} THEN {broken} END"
            # A row that is joined to several others may be rejected beside some of them only.
            spoils = "false" if self.joined or not alone else f"NOT {self._computes(condition)}"
            rows += f" WHERE CASE WHEN {rejects} THEN {spoils} ELSE true END"
            rejected = f"NOT {holds} AND {rejects}"
        rid = f"{quote(self.alias)}.{RID}"
        every = f"SELECT {rid} AS rid, {reason} AS reason, {rejected} AS rejected FROM {rows}"
        found = f"FROM ({self._with()}{every}) WHERE rejected OR reason IS NOT NULL"
        return f"SELECT rid, min(reason) AS reason {found} GROUP BY rid"

    def _outputs(self, known: Named[exp.Expr]) -> Iterator[exp.Expr]:
        """What the SELECT list computes; columns as they are cannot fail."""
        for item in self.tree.expressions:
            for each in (item, *_replaced(item)):
                computed = each.unalias()
                if not isinstance(computed, exp.Column | exp.Star | exp.Literal):
                    yield _inlined(computed, known)

    def _can_be_tried(self, expression: exp.Expr, compiles: Compiles) -> bool:
        # TRY takes neither subqueries nor what changes from call to call.
        tried = f"SELECT {self._fails(expression)} FROM {self._from()}"
        return compiles(self._with() + tried)

    def _fails(self, expression: exp.Expr) -> str:
        return f"TRY(hash({self._exact(expression)})) IS NULL"

    def _holds(self, condition: exp.Expr) -> str:
        """True if a condition is true and no part of it fails."""
        match condition:
            case exp.Paren():
                return self._holds(condition.this)
            case exp.And():
                return f"({self._holds(condition.left)} AND {self._holds(condition.right)})"
            case exp.Or():
                either = f"({self._holds(condition.left)} OR {self._holds(condition.right)})"
                return f"({either} AND {self._computes(condition)})"
        return f"coalesce(TRY(({self._exact(condition)}) IS TRUE), false)"

    def _computes(self, condition: exp.Expr) -> str:
        """True if no part of a condition fails."""
        match condition:
            case exp.Paren():
                return self._computes(condition.this)
            case exp.And() | exp.Or():
                return f"({self._computes(condition.left)} AND {self._computes(condition.right)})"
        return f"NOT ({self._fails(condition)})"

    def _rejects(self, condition: exp.Expr) -> str:
        """True if a condition is not true, whatever becomes of the parts that fail."""
        match condition:
            case exp.Paren():
                return self._rejects(condition.this)
            case exp.And():
                return f"({self._rejects(condition.left)} OR {self._rejects(condition.right)})"
            case exp.Or():
                return f"({self._rejects(condition.left)} AND {self._rejects(condition.right)})"
        return f"coalesce(TRY(({self._exact(condition)}) IS NOT TRUE), false)"

    def _reason(self, expression: exp.Expr, given: Names) -> str:
        # The parameter of a lambda looks like a column, too.
        used = (c for c in expression.find_all(exp.Column) if c.name in given)
        columns = dict.fromkeys(map(self._sql, used))
        return reason(self._sql(expression), columns)

    def _from(self) -> str:
        joins = self.tree.args.get("joins") or []
        clause = self.tree.args["from_"].this
        return " ".join(map(self._exact, (clause, *joins)))

    def _with(self) -> str:
        clause = self.tree.args.get("with_")
        return f"{self._sql(clause)} " if clause else ""

    def _exact(self, node: exp.Expr) -> str:
        return exact_casts(self._sql(node))

    def _sql(self, node: exp.Expr) -> str:
        return str(node.sql(dialect=self.dialect, comments=False))


def reason(expression: str, columns: Collection[str]) -> str:
    """SQL of the text that says what fails, and for which values.

    Args:
        columns: SQL of the columns that the expression is computed from.
    """
    text = literal(masked(f"{expression} fails"))
    values = [
        f"{literal(masked(f'{c} = '))} || "
        f"coalesce('''' || left(CAST({c} AS VARCHAR), {_LONGEST}) || '''', 'NULL')"
        for c in columns
    ]
    return f"{text} || ' for ' || concat_ws(', ', {', '.join(values)})" if values else text


def row_wise(query: SqlQuery) -> RowWise | None:
    """The query as one that computes row by row; None if it is another one."""
    alias = row_source(query)
    if alias is None:
        return None
    tree = tree_of(query)
    if not isinstance(tree, exp.Select):
        return None
    table = tree.args["from_"].this
    return RowWise(table.name, alias, bool(tree.args.get("joins")), tree, query.dialect)


def _replaced(item: exp.Expr) -> list[exp.Expr]:
    """The expressions of `* REPLACE (…)`."""
    star = item.this if isinstance(item, exp.Column) else item
    if not isinstance(star, exp.Star):
        return []
    return list(star.args.get("replace") or star.args.get("replace_") or [])


def _aliases(tree: exp.Select, given: Names) -> Named[exp.Expr]:
    """The expressions that others in the SELECT may call by their aliases."""
    known = Named[exp.Expr]()
    for item in tree.expressions:
        if isinstance(item, exp.Alias) and item.alias not in given:
            known[item.alias] = _inlined(item.this, known)
    return known


def _inlined(expression: exp.Expr, known: Named[exp.Expr]) -> exp.Expr:
    """An expression with others in the place of their aliases."""

    def inline(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and not node.table and node.name in known:
            return exp.Paren(this=known[node.name].copy())
        return node

    inlined: exp.Expr = expression.copy().transform(inline)
    return inlined
