"""Flows whose rows change their target, in the dialect of the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from qanat.declare.registry import quoted
from qanat.dialect import predicate
from qanat.errors import Location, Problems, QanatError
from qanat.model.changes import Changes, Expression
from qanat.model.expectation import Action, Expectation
from qanat.model.name import Names
from qanat.model.pipeline import Flow
from qanat.model.rule import Predicate

_WORD = re.compile(r"(?!(?:true|false|null)$)[A-Za-z_]\w*", re.ASCII | re.IGNORECASE)
"""An expression that can only be a column."""


def compile_changes(flow: Flow, dialect: str, own: frozenset[str]) -> Changes | None:
    """How a flow's rows change its target, with expressions in the engine's dialect.

    Raises:
        UnsupportedError, FunctionNotFoundError, ProblemsError: an expression does not mean the
            same there.
    """
    if flow.changes is None:
        return None
    return flow.changes.translated(lambda value: _translated(value, dialect, flow.location, own))


def problems_of_expressions(flow: Flow, dialect: str, own: frozenset[str]) -> Iterator[QanatError]:
    """What the engine's dialect cannot carry in the expressions of a flow's changes."""

    def tried(value: Expression) -> Expression:
        with problems.collecting():
            _translated(value, dialect, flow.location, own)
        return value

    problems = Problems()
    if flow.changes is not None:
        flow.changes.translated(tried)
    yield from problems


def rules_of_changes(
    flow: Flow, partitions: Sequence[str], dialect: str, own: frozenset[str]
) -> tuple[Expectation, ...]:
    """The rules that a flow's changes must keep, or go to quarantine.

    Args:
        flow: the flow; there are none if its rows are no changes.
        partitions: the columns by which its target is partitioned.
        dialect: the engine's.
        own: names of the project's own functions, in lower case.
    """
    changes = compile_changes(flow, dialect, own)
    if changes is None:
        return ()
    parted = Names(partitions)

    def value(name: str) -> str:
        column = quoted(name, dialect)
        # An empty text is NULL there, and so no key.
        return f"nullif(CAST({column} AS VARCHAR), '')" if name in parted else column

    return tuple(
        Expectation(name, Predicate(sql, dialect, written), Action.QUARANTINE, flow.location)
        for name, sql, written in changes.rules(value)
    )


def _translated(
    value: Expression, dialect: str, default: Location, own: frozenset[str]
) -> Expression:
    sql = value.sql
    if value.dialect != dialect:
        sql = predicate(value, dialect, value.location or default, own)
    if _WORD.fullmatch(sql):
        # A column may have a name that the engine keeps for itself, such as `at`.
        sql = quoted(sql, dialect)
    if sql == value.sql and dialect == value.dialect:
        return value
    # Messages and reports show what the author wrote, not its translation.
    return Expression(sql, dialect, str(value), value.location)
