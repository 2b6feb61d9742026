"""Which rows an expectation of Great Expectations is about: `row_condition`, as SQL.

Three forms are known: conditions of version 1 (mappings), the language of its own
(`col("x").notNull()`), and that of `DataFrame.query` in pandas. The last two are Python's by their
syntax, and are read by Python's parser.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any

from qanat.text import literal

_NAME = re.compile(r"[A-Za-z_]\w*")
_COMPARED: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "=",
    ast.NotEq: "<>",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "IN",
    ast.NotIn: "NOT IN",
}
_OPERATORS = {
    **{o: o for o in ("<", "<=", ">", ">=")},
    "==": "=",
    "!=": "<>",
    "IN": "IN",
    "NOT_IN": "NOT IN",
}
_CALLS = {"notnull": "IS NOT NULL", "notna": "IS NOT NULL", "isnull": "IS NULL", "isna": "IS NULL"}


class _UnknownError(ValueError):
    """A condition, or a part of one, that cannot be written as SQL."""


def filter_of(condition: object) -> str | None:
    """The SQL of a condition; None if it cannot be said in SQL.

    >>> filter_of('col("x").notNull() & (col("y") > 5)')
    'x IS NOT NULL AND y > 5'
    >>> filter_of("city == 'Oslo' or price in [1, 2]")
    "city = 'Oslo' OR price IN (1, 2)"
    >>> filter_of({"type": "nullity", "column": {"name": "x"}, "is_null": True})
    'x IS NULL'
    >>> filter_of("x.str.len() > 3") is None
    True
    """
    try:
        if isinstance(condition, Mapping):
            return _of_mapping(condition)
        return _of_node(ast.parse(str(condition).strip(), mode="eval").body)
    except (_UnknownError, SyntaxError, KeyError, TypeError):
        return None


def _of_mapping(given: Mapping[str, Any]) -> str:
    match given.get("type"):
        case "nullity":
            return f"{_name(given['column']['name'])} IS {'' if given['is_null'] else 'NOT '}NULL"
        case "comparison":
            value = given["parameter"]
            told = _list(value) if isinstance(value, list) else _value(value)
            return f"{_name(given['column']['name'])} {_OPERATORS[given['operator']]} {told}"
        case "and" | "or" as word:
            return f" {word.upper()} ".join(f"({_of_mapping(c)})" for c in given["conditions"])
    raise _UnknownError


def _of_node(node: ast.expr) -> str:
    match node:
        case ast.BoolOp(op=op, values=values):
            word = " AND " if isinstance(op, ast.And) else " OR "
            return word.join(_inner(each) for each in values)
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return f"{_inner(left)} AND {_inner(right)}"
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return f"{_inner(left)} OR {_inner(right)}"
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            return f"NOT ({_of_node(inner)})"
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            return f"{_operand(left)} {_COMPARED[type(op)]} {_operand(right)}"
        case ast.Call(func=ast.Attribute(value=of, attr=name), args=[]):
            return f"{_column(of)} {_CALLS[name.lower()]}"
    raise _UnknownError


def _inner(node: ast.expr) -> str:
    text = _of_node(node)
    return text if isinstance(node, ast.Call | ast.Compare) else f"({text})"


def _operand(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=value):
            return _value(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return _value(-number)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return _list([ast.literal_eval(part) for part in parts])
    return _column(node)


def _column(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return _name(name)
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str(name))]):
            return _name(name)
    raise _UnknownError


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise _UnknownError
    return name


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).upper()
        case int() | float():
            return repr(value)
        case str():
            return literal(value)
    raise _UnknownError


def _list(values: Iterable[object]) -> str:
    return f"({', '.join(map(_value, values))})"
