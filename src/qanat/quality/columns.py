"""Whether the columns that expectations use are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.errors import ColumnNotFoundError, QanatError, nearest
from qanat.model.dataset import Dataset
from qanat.model.expectation import Expectation, Predicate, References, Unique
from qanat.model.schema import Schema

_FEW = 20
"""Columns that a message can name."""


def check_expectations(
    dataset: Dataset, schema: Schema, references: Mapping[str, Schema]
) -> list[QanatError]:
    """Every column that the expectations of a dataset use and that is not there.

    Args:
        schema: the dataset's columns.
        references: the columns of other datasets, by case-folded name, for REFERENCES; rules
            that refer to others are checked on this side only.
    """
    found: list[QanatError] = []
    for expectation in dataset.expectations:
        rule = expectation.rule
        match rule:
            case Predicate():
                for name, quoted in columns_of(rule):
                    if schema.get(name) is None:
                        found.append(_missing(expectation, dataset.name, name, schema, quoted))
            case Unique(columns) | References(columns):
                found += _all(expectation, dataset.name, columns, schema)
        if isinstance(rule, References):
            other = references.get(rule.dataset.casefold())
            if other is not None:
                found += _all(expectation, rule.dataset, rule.target_columns, other)
    return found


def columns_of(rule: Predicate) -> tuple[tuple[str, bool], ...]:
    """The columns that a predicate uses, and whether each is written in quotes.

    Parameters of lambdas and comprehensions are no columns, and of `a.b` only `a` is one (the
    rows that a rule sees have no other name in front). Nothing if sqlglot cannot read it: then
    the engine has the last word.

    >>> columns_of(Predicate("len(list_filter(xs, lambda x: x > y)) > 0 AND s.f = 1", "duckdb"))
    (('xs', False), ('y', False), ('s', False))
    """
    try:
        tree = parse_one(rule.sql, dialect=rule.dialect, into=exp.Condition)
    except (SqlglotError, RecursionError):
        return ()
    found: dict[str, tuple[str, bool]] = {}
    for column in tree.find_all(exp.Column, bfs=False):
        first = column.parts[0]
        # `*` and `COLUMNS(…)` stand for whatever is there.
        if isinstance(first, exp.Identifier) and first.name not in _variables(column):
            found.setdefault(first.name.casefold(), (first.name, bool(first.quoted)))
    return tuple(found.values())


def _variables(column: exp.Column) -> set[str]:
    """Names that comprehensions around a column bind: `[x FOR x IN …]`."""
    names: set[str] = set()
    node: exp.Expr | None = column.parent
    while node is not None:
        if isinstance(node, exp.Comprehension):
            names |= {each.name for each in node.expression.find_all(exp.Identifier)}
        node = node.parent
    return names


def _all(
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
