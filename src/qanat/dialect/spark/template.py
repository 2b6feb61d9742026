"""Templates of DuckDB's SQL, with names that stand for arguments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from sqlglot import exp, parse_one

from qanat.dialect.spark.grammar import DuckCalls
from qanat.dialect.spark.refused import Refused

_LARGE = 5_000
"""Nodes of the arguments, at most: a template may repeat an argument."""
_SIMPLE = (exp.Column, exp.Literal, exp.Anonymous, exp.Paren, exp.Cast, exp.Identifier, exp.Case)


def fill(template: str, arguments: Mapping[str, exp.Expr]) -> exp.Expr:
    """The template's tree with a copy of an argument in place of each of its names.

    Args:
        template: an expression of DuckDB's SQL.
        arguments: already translated, by their names in the template.

    Raises:
        Refused: the arguments are too large to be copied.

    >>> fill("x + 1", {"x": exp.column("a")}).sql("duckdb")
    'a + 1'
    """
    if sum(1 for a in arguments.values() for _ in a.walk()) > _LARGE:
        # Nested calls multiply the copies: each template may repeat its arguments.
        raise Refused("an expression this large", "compute a part of it in a view of its own")
    tree = exp.Paren(this=_parse(template).copy())
    for bracket in tree.find_all(exp.Bracket):
        # sqlglot would shift an index from base 0; DuckDB's already counts from 1.
        bracket.set("offset", 1)
    for node in list(tree.find_all(exp.Column)):
        argument = None if node.table else arguments.get(node.name)
        if argument is not None:
            node.replace(parenthesized(argument.copy()))
    inner: exp.Expr = tree.this
    inner.pop()
    return inner


def parenthesized(node: exp.Expr) -> exp.Expr:
    """The node, in parentheses if an operator beside it could bind to a part of it."""
    free = isinstance(node, (*_SIMPLE, exp.Lambda, exp.Star, exp.Distinct, exp.DataType, exp.Null))
    return node if free or isinstance(node, exp.Boolean | exp.Var) else exp.Paren(this=node)


def text(value: str) -> exp.Literal:
    """A string literal."""
    return exp.Literal.string(value)


@cache
def _parse(template: str) -> exp.Expr:
    tree: exp.Expr = parse_one(template, dialect=DuckCalls)
    return tree
