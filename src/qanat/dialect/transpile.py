"""Queries and rules, translated from the project's dialect to the engine's."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from qanat.dialect.original import original_location
from qanat.errors import Location, Problems, QanatError, UnsupportedError
from qanat.model.changes import Expression
from qanat.model.expectation import Expectation
from qanat.model.query import SqlQuery
from qanat.model.rule import Aggregate, Predicate, Rule

if TYPE_CHECKING:
    from qanat.dialect.spark.refused import Problem
    from qanat.dialect.spark.translation import Translation


def to_engine(query: SqlQuery, dialect: str, own: frozenset[str] = frozenset()) -> SqlQuery:
    """A query in the engine's dialect; the same object if it is already in that dialect.

    Args:
        query: the query to translate.
        dialect: the engine's dialect.
        own: names of the project's own functions, in lower case.

    Raises:
        UnsupportedError: a construct has another meaning in the engine's dialect, or none.
        FunctionNotFoundError: the query calls a function that its own dialect does not have.
        ProblemsError: the query has several of these problems.
    """
    if query.dialect == dialect:
        return query
    Problems(unsupported(query, dialect, own)).require()
    return replace(query, sql=_translated(query.sql, own).sql, dialect=dialect)


def predicate(
    rule: Predicate | Expression,
    dialect: str,
    location: Location,
    own: frozenset[str] = frozenset(),
) -> str:
    """The SQL of a condition, or another value that is computed from one row, for the engine.

    Args:
        rule: the condition.
        dialect: the engine's dialect.
        location: the condition's place in the author's file, for errors.
        own: names of the project's own functions, in lower case.

    Raises:
        UnsupportedError, FunctionNotFoundError, ProblemsError: as `to_engine`.
    """
    if rule.dialect == dialect:
        return rule.sql
    query = SqlQuery(rule.sql, rule.sql, rule.dialect, (), location)
    return to_engine(query, dialect, own).sql


def check_to_engine(
    expectation: Expectation, dialect: str, own: frozenset[str] = frozenset()
) -> Expectation:
    """A check with its conditions in the engine's dialect; the same object if they are already.

    Reports and quarantine show them as their author wrote them.

    Raises:
        UnsupportedError, FunctionNotFoundError, ProblemsError: as `to_engine`.
    """
    at, where = expectation.location, expectation.where
    rule = _rule(expectation.rule, dialect, at, own)
    filters = where if where is None else _predicate(where, dialect, at, own)
    if rule is expectation.rule and filters is where:
        return expectation
    return replace(expectation, rule=rule, where=filters)


def _rule(rule: Rule, dialect: str, at: Location, own: frozenset[str]) -> Rule:
    if isinstance(rule, Predicate):
        return _predicate(rule, dialect, at, own)
    if not isinstance(rule, Aggregate) or rule.dialect == dialect:
        return rule
    measures = tuple(
        replace(m, sql=_predicate(Predicate(m.sql, rule.dialect), dialect, at, own).sql)
        for m in rule.measures
    )
    sql = _predicate(Predicate(rule.sql, rule.dialect), dialect, at, own).sql
    written = rule.sql if rule.written is None else rule.written
    return replace(rule, sql=sql, dialect=dialect, measures=measures, written=written)


def _predicate(rule: Predicate, dialect: str, at: Location, own: frozenset[str]) -> Predicate:
    if rule.dialect == dialect:
        return rule
    return Predicate(predicate(rule, dialect, at, own), dialect, written=str(rule))


def unsupported(
    query: SqlQuery, dialect: str, own: frozenset[str] = frozenset()
) -> list[QanatError]:
    """An error for every construct of a query that the engine cannot run with its meaning.

    Args:
        query: the query to check.
        dialect: the engine's dialect.
        own: names of the project's own functions, in lower case.
    """
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
    problems = _translated(query.sql, own).problems
    return [_error(query, problem) for problem in problems]


def has_function(name: str, dialect: str) -> bool:
    """True if a dialect that is translated has a function of that name itself.

    Of the engine's own dialect only the engine knows.
    """
    if dialect != "spark":
        return False
    return name.lower() in import_module("qanat.dialect.spark.names").KNOWN


def _error(query: SqlQuery, problem: Problem) -> QanatError:
    known = problem.family is not UnsupportedError
    return problem.family(
        problem.message if known else f"{problem.message} is not carried over to DuckDB",
        location=original_location(query, problem.offset, problem.word),
        nearest=problem.nearest,
        hint=problem.hint,
    )


@lru_cache(maxsize=4096)
def _translated(sql: str, own: frozenset[str]) -> Translation:
    # Imported on first use: a project in the engine's own dialect need not load the tables of
    # another dialect.
    found: Translation = import_module("qanat.dialect.spark.translation").translate(sql, own)
    return found
