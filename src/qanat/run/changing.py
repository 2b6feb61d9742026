"""Flows whose rows change their target (AUTO CDC), in the dialect of the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from qanat.declare.registry import quoted
from qanat.dialect import predicate
from qanat.errors import Location, QanatError
from qanat.model.changes import AutoCdc, Expression
from qanat.model.pipeline import Action, Expectation, Flow, Predicate
from qanat.planning.changes import expressions_of

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)

KEY, SEQUENCE = "_key", "_sequence"
"""The rules that every change must keep: it says which row it is about, and when it happened."""


def compile_changes(flow: Flow, dialect: str, own: frozenset[str]) -> AutoCdc | None:
    """How a flow's rows change its target, with expressions in the engine's dialect.

    Raises:
        UnsupportedError, FunctionNotFoundError, ProblemsError: an expression does not mean the
            same there.
    """
    changes = flow.changes
    if changes is None:
        return None

    def translated(value: Expression) -> Expression:
        return _translated(value, dialect, flow.location, own)

    return replace(
        changes,
        sequence=tuple(map(translated, changes.sequence)),
        deletes=changes.deletes and translated(changes.deletes),
        truncates=changes.truncates and translated(changes.truncates),
    )


def problems_of_expressions(flow: Flow, dialect: str, own: frozenset[str]) -> Iterator[QanatError]:
    """What the engine's dialect cannot carry in the expressions of a flow's changes."""
    for _, value in expressions_of(flow.changes):
        try:
            _translated(value, dialect, flow.location, own)
        except QanatError as error:
            yield error


def rules_of_changes(flow: Flow, dialect: str, own: frozenset[str]) -> tuple[Expectation, ...]:
    """The rules that a flow's changes must keep, or go to quarantine.

    Args:
        flow: the flow; there are none if its rows are no changes.
        dialect: the engine's.
        own: names of the project's own functions, in lower case.
    """
    changes = compile_changes(flow, dialect, own)
    if flow.changes is None or changes is None:
        return ()
    key = " AND ".join(f"{quoted(k, dialect)} IS NOT NULL" for k in changes.keys)
    shown = " AND ".join(f"{k} IS NOT NULL" for k in changes.keys)
    if changes.truncates is not None:
        # What empties the table is about no row.
        key = f"coalesce({changes.truncates.sql}, FALSE) OR ({key})"
        shown = f"{changes.truncates} OR ({shown})"
    sequence = " AND ".join(f"({s.sql}) IS NOT NULL" for s in changes.sequence)
    when = " AND ".join(f"{s} IS NOT NULL" for s in changes.sequence)
    rules = ((KEY, key, shown), (SEQUENCE, sequence, when))
    return tuple(
        Expectation(name, Predicate(sql, dialect, written), Action.QUARANTINE, flow.location)
        for name, sql, written in rules
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
