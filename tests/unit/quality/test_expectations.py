"""Columns that expectations use and that do not exist."""

from __future__ import annotations

import pytest

from qanat.errors import ColumnNotFoundError, Location, QanatError
from qanat.model.expectation import Action, Expectation
from qanat.model.name import Named
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.rule import Predicate, References, Rule, Unique
from qanat.model.schema import Field, Primitive, Schema
from qanat.quality.expectations import check_expectations

HERE = Location("t.sql", 3, 5)
STRING = Primitive("string")
COLUMNS = Schema(tuple(Field(n, STRING) for n in ("Carrier", "delay", "xs", "point", "größe")))
OTHER = Schema((Field("code", STRING),))


def problems(rule: Rule) -> list[QanatError]:
    expectation = Expectation("rule", rule, Action.WARN, HERE)
    dataset = Dataset("flights", DatasetKind.STREAMING_TABLE, HERE, expectations=(expectation,))
    return check_expectations(dataset, COLUMNS, Named({"airlines": OTHER}))


@pytest.mark.parametrize(
    ("sql", "dialect"),
    [
        ("carrier IS NOT NULL AND DELAY BETWEEN 1 AND 2", "duckdb"),
        ("len(list_filter(xs, lambda x: x > delay)) > 0", "duckdb"),
        ("len([x FOR x IN xs IF x > 1]) > 0", "duckdb"),
        ("point.x.y > 0 AND point['z'] = 1", "duckdb"),
        ('"größe" > 1', "duckdb"),
        ("delay > current_date", "duckdb"),
        ('exists(xs, x -> x.f > delay) AND carrier = "AA"', "spark"),
        ("`größe` > 1", "spark"),
        ("1 = 1", "duckdb"),
        ("((", "duckdb"),
    ],
)
def test_existing_columns_are_no_problem(sql: str, dialect: str) -> None:
    assert problems(Predicate(sql, dialect)) == []


@pytest.mark.parametrize(
    ("rule", "column", "close"),
    [
        (Predicate("carier IS NOT NULL", "duckdb"), "carier", "Carrier"),
        (Predicate("abs(nothing_like_it) > 0", "duckdb"), "nothing_like_it", None),
        (Predicate("pont.x > 0", "duckdb"), "pont", "point"),
        (Predicate("len(list_filter(xs, lambda x: x > dely)) > 0", "duckdb"), "dely", "delay"),
        (Unique(("carrier", "dlay")), "dlay", "delay"),
        (References(("carier",), "airlines", ("code",)), "carier", "Carrier"),
        (References(("carrier",), "Airlines", ("cod",)), "cod", "code"),
    ],
)
def test_missing_columns_are_named_with_the_nearest(
    rule: Rule, column: str, close: str | None
) -> None:
    (error,) = problems(rule)
    assert isinstance(error, ColumnNotFoundError)
    assert f"expectation rule uses column {column!r}" in error.message
    assert error.nearest == close
    assert error.location == HERE


def test_each_missing_column_is_reported_once() -> None:
    found = problems(Predicate("a > 1 OR A < 0 OR b = 1", "duckdb"))
    assert [e.message.split("'")[1] for e in found] == ["a", "b"]


def test_text_in_double_quotes() -> None:
    (error,) = problems(Predicate('carrier = "AA"', "duckdb"))
    assert error.hint == "text goes in single quotes: 'AA'"


def test_columns_of_a_dataset_that_is_not_known() -> None:
    assert problems(References(("carrier",), "elsewhere", ("anything",))) == []
