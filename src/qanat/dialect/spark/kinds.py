"""What can be seen of a value's type without knowing its columns."""

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
    """`int bigint double decimal string bool date timestamp`; None where only a table could tell.

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
            written = node.name.casefold()
            if "e" in written:
                return "double"
            if "." in written:
                return "decimal"
            return "int" if int(written) < 1 << 31 else "bigint"
        case exp.Boolean():
            return "bool"
        case exp.Cast():
            return _TYPES.get(node.to.this)
        case exp.Predicate() | exp.Connector() | exp.Not():
            return "bool"
        case exp.Add() | exp.Sub() | exp.Mul():
            sides = {kind(node.this), kind(node.expression)}
            if "double" in sides and sides <= NUMBERS:
                return "double"
            return sides.pop() if len(sides) == 1 else None
    return None


def marked(node: exp.Expr, known: str | None) -> exp.Expr:
    """The node, with its kind noted."""
    if known is not None:
        node.meta[_KIND] = known
    return node
