"""Queries as sqlglot trees, each parsed once per process."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp, parse_one

from qanat.model.query import SqlQuery


def tree_of(query: SqlQuery) -> exp.Expr:
    """The tree of a query's executable SQL. It is shared and cached: copy it to change it."""
    return _parse(query.sql, query.dialect)


def own_tree(query: SqlQuery) -> exp.Expr:
    """A new tree that the caller may change; parsing costs hardly more than copying."""
    tree: exp.Expr = parse_one(query.sql, dialect=query.dialect)
    return tree


@lru_cache(maxsize=4096)
def _parse(sql: str, dialect: str) -> exp.Expr:
    tree: exp.Expr = parse_one(sql, dialect=dialect)
    return tree
