"""The aggregates of a query over a stream, each over columns of its input."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from sqlglot import exp

from qanat.model.stateful import Aggregate
from qanat.planning.stateful import aggregates

NUMBER = "__qanat_number"
"""The column that numbers the rows of the input: `count(*)` counts its values."""
_PARAMETER = "__qanat_p"
_WRAPPERS = (exp.Distinct, exp.Order, exp.Ordered, exp.Filter, exp.Where, exp.WithinGroup,
             exp.IgnoreNulls, exp.RespectNulls)  # fmt: skip
_DISTINCT_ORDER = (exp.Distinct, exp.Order, exp.WithinGroup)


class Calls:
    """Calls of aggregates, and the columns that they and keys need of the input.

    Attributes:
        columns: each with its name.
        aggregates: in the order in which they were asked for.
    """

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self.columns: list[exp.Expr] = []
        self.aggregates: list[Aggregate] = []

    def number(self, node: exp.Expr) -> int:
        """The number of the aggregate that a call is."""
        text = node.sql(dialect=self._dialect, normalize=True)
        for number, known in enumerate(self.aggregates):
            if known.text == text:
                return number
        call = node.copy()
        columns: list[str] = []
        inner = call if isinstance(call, exp.Func) and aggregates(call) else call.find(exp.Func)
        plain = not call.find(*_DISTINCT_ORDER)
        count_of_rows = inner is not None and (
            isinstance(inner.this, exp.Star) or not _arguments(inner)
        )
        if inner is not None and count_of_rows:
            inner.set("this", exp.column(exp.to_identifier(NUMBER, quoted=True)))
            columns.append(NUMBER)
            inner.set("expressions", None)
        whole = isinstance(call, exp.WithinGroup) or call.find(exp.WithinGroup) or count_of_rows
        first = [] if inner is None or whole else _arguments(inner)[:1]
        self._parameters(call, first[0] if first else None, columns)
        arguments = [] if inner is None else _arguments(inner)
        all_columns = all(isinstance(a, exp.Column) for a in arguments)
        distinct = call.find(exp.Distinct) is not None and not call.find(exp.Order)
        self.aggregates.append(
            Aggregate(
                call.sql(dialect=self._dialect),
                text,
                tuple(columns),
                len(arguments) if plain and all_columns else None,
                distinct,
            )
        )
        return len(self.aggregates) - 1

    def _parameters(self, node: exp.Expr, first: exp.Expr | None, columns: list[str]) -> None:
        """Have a call read columns of the input instead of the expressions in it.

        Args:
            first: the first argument, which is one even if it is a constant.
        """

        def replaced(child: exp.Expr) -> exp.Expr:
            own = isinstance(child, exp.Column) and child.name == NUMBER
            if own or isinstance(child, exp.DataType):
                return child
            if isinstance(child, _WRAPPERS) or (isinstance(child, exp.Func) and aggregates(child)):
                each_part(child, replaced)
                return child
            if child is not first and not child.find(exp.Column):
                return child
            name = self.column(child)
            if name not in columns:
                columns.append(name)
            return exp.column(exp.to_identifier(name, quoted=True))

        each_part(node, replaced)

    def column(self, value: exp.Expr) -> str:
        """The column of the input that has a value."""
        for column in self.columns:
            if column.this == value:
                return str(column.alias)
        # States have it: the name must not depend on what else the query computes.
        text = value.sql(dialect=self._dialect, normalize=True)
        name = f"{_PARAMETER}{blake2b(text.encode(), digest_size=8).hexdigest()}"
        self.columns.append(aliased(value.copy(), name))
        return name


def each_part(node: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> None:
    """Change all parts of a node."""
    for key, value in list(node.args.items()):
        if isinstance(value, exp.Expr):
            node.set(key, change(value))
        elif isinstance(value, list):
            node.set(key, [change(v) if isinstance(v, exp.Expr) else v for v in value])


def has_aggregate(node: exp.Expr) -> bool:
    """True if an expression calls an aggregate."""
    return any(aggregates(f) for f in node.find_all(exp.Func))


def aliased(value: exp.Expr, name: str) -> exp.Expr:
    """An expression with a name."""
    return exp.alias_(value, name, quoted=True)


def _arguments(call: exp.Expr) -> list[exp.Expr]:
    """The arguments of a call, without DISTINCT and ORDER BY around them."""
    found: list[exp.Expr] = []
    for key in call.arg_types if not isinstance(call, exp.Anonymous) else ("expressions",):
        value = call.args.get(key)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, exp.Order):
                each = each.this
            if isinstance(each, exp.Distinct):
                found += each.expressions
            elif isinstance(each, exp.Expr):
                found.append(each)
    return found
