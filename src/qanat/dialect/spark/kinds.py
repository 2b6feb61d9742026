"""The kind of a value's type, as far as the text shows it: the columns' types are unknown."""

from __future__ import annotations

from sqlglot import exp

_TYPES = {
    exp.DType.TINYINT: "int",
    exp.DType.SMALLINT: "int",
    exp.DType.INT: "int",
    exp.DType.BIGINT: "bigint",
    exp.DType.FLOAT: "double",
    exp.DType.DOUBLE: "double",
    exp.DType.DECIMAL: "decimal",
    exp.DType.TEXT: "string",
    exp.DType.VARCHAR: "string",
    exp.DType.BOOLEAN: "bool",
    exp.DType.DATE: "date",
    exp.DType.TIMESTAMPTZ: "timestamp",
    exp.DType.TIMESTAMPLTZ: "timestamp",
    exp.DType.TIMESTAMPNTZ: "timestamp",
    exp.DType.TIMESTAMP: "timestamp",
}
_KIND = "kind"
NUMBERS = frozenset(["int", "bigint", "double", "decimal"])


def kind(node: exp.Expr) -> str | None:
    """The kind of a value; None if it depends on the type of a column.

    Kinds are `int`, `bigint`, `double`, `decimal`, `string`, `bool`, `date` and `timestamp`.

    >>> kind(exp.Literal.number("1.5"))
    'decimal'
    """
    known = node.meta.get(_KIND)
    if known is not None:
        return str(known)
    match node:
        case exp.Paren() | exp.Neg():
            return kind(node.this)
        case exp.Literal(is_string=True) | exp.RawString():
            return "string"
        case exp.Literal():
            return _kind_of_number(node.name.lower())
        case exp.Boolean():
            return "bool"
        case exp.Cast():
            return _TYPES.get(node.to.this)
        case exp.Predicate() | exp.Connector() | exp.Not():
            return "bool"
        case exp.Add() | exp.Sub() | exp.Mul():
            return _kind_of_arithmetic({kind(node.this), kind(node.expression)})
    return None


def _kind_of_number(written: str) -> str:
    if "e" in written:
        return "double"
    if "." in written:
        return "decimal"
    return "int" if int(written) < 1 << 31 else "bigint"


def _kind_of_arithmetic(operands: set[str | None]) -> str | None:
    if "double" in operands and operands <= NUMBERS:
        return "double"
    return operands.pop() if len(operands) == 1 else None


def with_kind(node: exp.Expr, known: str | None) -> exp.Expr:
    """The node, with its kind attached; None attaches nothing."""
    if known is not None:
        node.meta[_KIND] = known
    return node
