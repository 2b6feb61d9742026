"""Check that the columns that expectations use exist."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.errors import ColumnNotFoundError, QanatError, nearest
from qanat.model.expectation import Expectation
from qanat.model.name import Named
from qanat.model.pipeline import Dataset
from qanat.model.rule import (
    Aggregate,
    Distribution,
    Fresh,
    Monotonic,
    Predicate,
    References,
    Rule,
    SameRows,
    Unique,
)
from qanat.model.schema import Schema

_FEW = 20
"""A message lists the known columns up to this many."""


def check_expectations(
    dataset: Dataset, schema: Schema, references: Named[Schema]
) -> list[QanatError]:
    """An error for every column that an expectation of a dataset uses and that does not exist.

    Args:
        dataset: the dataset whose expectations are checked.
        schema: the dataset's columns.
        references: the columns of the datasets that rules read, by case-folded name;
            where a dataset is missing here, only the rule's own columns are checked.
    """
    problems: list[QanatError] = []
    for expectation in dataset.expectations:
        rule = expectation.rule
        own, theirs = _named(rule)
        for condition in (rule, expectation.where):
            if isinstance(condition, Predicate) or (
                # In a subquery, columns are those of another table.
                isinstance(condition, Aggregate) and not condition.reads
            ):
                for name, quoted in columns_of(condition):
                    if schema.get(name) is None:
                        problems.append(_missing(expectation, dataset.name, name, schema, quoted))
        problems += _all_missing(expectation, dataset.name, own, schema)
        for name in rule.datasets if theirs else ():
            other = references.get(name)
            if other is not None:
                problems += _all_missing(expectation, name, theirs, other)
    return problems


def _named(rule: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that a rule names by themselves: of its dataset, and of the one it reads."""
    match rule:
        case Unique(columns):
            return columns, ()
        case References(columns, _, targets):
            return columns, targets
        case Monotonic(column) | Fresh(column):
            return (column,), ()
        case Distribution(column, _, target):
            return (column,), (target,)
        case SameRows(_, keys, columns):
            return (*keys, *columns), (*keys, *columns)
        case _:
            return (), ()


def columns_of(rule: Predicate | Aggregate) -> tuple[tuple[str, bool], ...]:
    """The columns that a predicate uses, each with True if it is written in quotes.

    Parameters of lambdas and comprehensions are no columns. Of `a.b` only `a` is one: a rule sees
    columns without a table name, so `b` is a field of a struct. The result is empty if sqlglot
    cannot parse the predicate; the engine then reports what is wrong.

    >>> columns_of(Predicate("len(list_filter(xs, lambda x: x > y)) > 0 AND s.f = 1", "duckdb"))
    (('xs', False), ('y', False), ('s', False))
    """
    try:
        tree = parse_one(rule.sql, dialect=rule.dialect, into=exp.Condition)
    except (SqlglotError, RecursionError):
        return ()
    found: Named[tuple[str, bool]] = Named()
    for column in tree.find_all(exp.Column, bfs=False):
        first = column.parts[0]
        # `*` and `COLUMNS(…)` name no column, so none can be missing.
        if isinstance(first, exp.Identifier) and first.name not in _variables(column):
            found.setdefault(first.name, (first.name, bool(first.quoted)))
    return tuple(found.values())


def _variables(column: exp.Column) -> set[str]:
    """The names that list comprehensions around a column bind: `x` in `[x FOR x IN …]`."""
    names: set[str] = set()
    node: exp.Expr | None = column.parent
    while node is not None:
        if isinstance(node, exp.Comprehension):
            names |= {each.name for each in node.expression.find_all(exp.Identifier)}
        node = node.parent
    return names


def _all_missing(
    expectation: Expectation, dataset: str, columns: tuple[str, ...], schema: Schema
) -> Iterator[QanatError]:
    for name in columns:
        if schema.get(name) is None:
            yield _missing(expectation, dataset, name, schema)


def _missing(
    expectation: Expectation, dataset: str, name: str, schema: Schema, quoted: bool = False
) -> ColumnNotFoundError:
    close = nearest(name, schema.names)
    hint = None
    if quoted and close is None:
        hint = f"text goes in single quotes: '{name}'"
    return ColumnNotFoundError(
        f"expectation {expectation.name} uses column {name!r}, which {dataset} does not have",
        location=expectation.location,
        wanted=", ".join(schema.names) if len(schema.names) <= _FEW else None,
        nearest=close,
        hint=hint,
    )
