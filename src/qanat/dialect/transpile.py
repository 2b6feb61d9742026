"""Queries and rules of one dialect in the words of another."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from qanat.dialect.place import place
from qanat.errors import ProblemsError, QanatError, UnsupportedError
from qanat.model.expectation import Predicate
from qanat.model.location import Location
from qanat.model.query import SqlQuery

if TYPE_CHECKING:
    from qanat.dialect.spark.refused import Problem
    from qanat.dialect.spark.translation import Translation


def to_engine(query: SqlQuery, dialect: str) -> SqlQuery:
    """The query in the engine's dialect; the same object when it is in it already.

    Args:
        dialect: of the engine.

    Raises:
        UnsupportedError: a construct would have another meaning there, or none.
        FunctionNotFoundError: a function that the query's own dialect does not have.
        ProblemsError: several of these.
    """
    if query.dialect == dialect:
        return query
    found = unsupported(query, dialect)
    if found:
        raise found[0] if len(found) == 1 else ProblemsError(found)
    return replace(query, sql=_translated(query.sql).sql, dialect=dialect)


def predicate(rule: Predicate, dialect: str, location: Location) -> str:
    """An expectation's condition in the engine's dialect.

    Args:
        dialect: of the engine.
        location: of the condition, for errors.

    Raises:
        As `to_engine`.
    """
    if rule.dialect == dialect:
        return rule.sql
    query = SqlQuery(rule.sql, rule.sql, rule.dialect, (), location)
    return to_engine(query, dialect).sql


def unsupported(query: SqlQuery, dialect: str) -> list[QanatError]:
    """Every construct that the engine would run with another meaning, or not at all."""
    if query.dialect == dialect:
        return []
    if (query.dialect, dialect) != ("spark", "duckdb"):
        return [
            UnsupportedError(
                f"queries in the {query.dialect} dialect cannot run on a {dialect} engine",
                location=query.location,
                hint=f"set `dialect: {dialect}` in the spec and write the queries in it",
            )
        ]
    problems = _translated(query.sql).problems
    return [_error(query, problem) for problem in problems]


def _error(query: SqlQuery, problem: Problem) -> QanatError:
    known = problem.family is not UnsupportedError
    return problem.family(
        problem.message if known else f"{problem.message} is not carried over to DuckDB",
        location=place(query, problem.offset, problem.word),
        nearest=problem.nearest,
        hint=problem.hint,
    )


@lru_cache(maxsize=4096)
def _translated(sql: str) -> Translation:
    # Imported when there is something to translate: a project in the engine's own dialect
    # need not wait for the tables of another one.
    found: Translation = import_module("qanat.dialect.spark.translation").translate(sql)
    return found
