"""Refusals: which constructs are refused, with which location and which hint."""

from __future__ import annotations

import pytest

from qanat.dialect import predicate, to_engine, unsupported
from qanat.errors import (
    FunctionNotFoundError,
    Location,
    ProblemsError,
    SqlSyntaxError,
    UnsupportedError,
)
from qanat.model.query import Read, SqlQuery, dataset_ref
from qanat.model.rule import Predicate

HERE = Location("silver.sql", 10, 4)


def spark(sql: str, text: str | None = None, *reads: Read) -> SqlQuery:
    return SqlQuery(text or sql, sql, "spark", reads, HERE)


def test_a_query_in_the_engines_dialect_is_unchanged() -> None:
    query = SqlQuery("SELECT foo(1)", "SELECT foo(1)", "duckdb", (), HERE)
    assert to_engine(query, "duckdb") is query
    assert unsupported(query, "duckdb") == []
    rule = Predicate("foo(x) > 1", "duckdb")
    assert predicate(rule, "duckdb", HERE) == "foo(x) > 1"


def test_the_authors_text_and_the_inputs_are_kept() -> None:
    read = Read("__silver_1", dataset_ref("bronze"), True, Location("silver.sql", 10, 27))
    query = spark(
        "SELECT size(a) AS n FROM `__silver_1` AS bronze",
        "SELECT size(a) AS n FROM STREAM bronze",
        read,
    )
    done = to_engine(query, "duckdb")
    assert done.dialect == "duckdb"
    assert (done.text, done.reads, done.location) == (query.text, query.reads, query.location)
    assert '"__silver_1"' in done.sql


def test_an_unknown_function_names_the_nearest() -> None:
    with pytest.raises(FunctionNotFoundError) as caught:
        to_engine(spark("SELECT a,\n  uper(b) FROM t"), "duckdb")
    assert caught.value.nearest == "upper"
    assert caught.value.location == Location("silver.sql", 11, 3)


def test_a_known_function_without_a_translation_has_a_hint() -> None:
    (error,) = unsupported(spark("SELECT approx_count_distinct(b) AS n FROM t"), "duckdb")
    assert isinstance(error, UnsupportedError)
    assert "approx_count_distinct" in error.message
    assert error.hint is not None
    assert "count(DISTINCT" in error.hint
    assert error.location == Location("silver.sql", 10, 11)


def test_all_problems_are_reported_together() -> None:
    query = spark("SELECT hash(a), rand(),\n nope(c) FROM t")
    found = unsupported(query, "duckdb")
    assert [str(e.location) for e in found] == [
        "silver.sql:10:11",
        "silver.sql:10:20",
        "silver.sql:11:2",
    ]
    with pytest.raises(ProblemsError) as caught:
        to_engine(query, "duckdb")
    assert len(caught.value.problems) == 3


def test_offsets_behind_an_input_are_mapped_to_the_authors_text() -> None:
    text = "SELECT upper(hash) FROM STREAM read_files('x',\n  format => 'csv') WHERE hash(a) = 1"
    sql = "SELECT upper(hash) FROM `__silver_1` WHERE hash(a) = 1"
    read = Read("__silver_1", dataset_ref("x"), True, Location("silver.sql", 10, 28))
    (error,) = unsupported(spark(sql, text, read), "duckdb")
    assert str(error.location) == "silver.sql:11:26"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t TABLESAMPLE (10 PERCENT)",
        "SELECT * FROM t PIVOT (sum(i) FOR b IN (1, 2))",
        "SELECT x FROM t LATERAL VIEW json_tuple(j, 'a') v AS x",
        "SELECT a FROM t LIMIT ALL",
        "SELECT",
        "SELECT 1; SELECT 2",
        "SELECT i = 'x' || 1.5, j = 3 AND '3' = 3 FROM t",
        "SELECT date_format(d, p) FROM t",
        "SELECT date_format(d, 'G') FROM t",
        "SELECT to_date(d, 'MMM') FROM t",
        "SELECT regexp_replace(s, '(?<=a)b', 'c') FROM t",
        "SELECT s RLIKE '(a)\\\\1' FROM t",
        "SELECT s RLIKE p FROM t",
        "SELECT d + INTERVAL '1-2' YEAR TO MONTH FROM t",
        "SELECT CAST(x AS ARRAY<INT>) FROM t",
        "SELECT s LIKE ANY ('a', 'b') FROM t",
        "SELECT x[y] FROM t",
        "SELECT round(x, y) FROM t",
        "SELECT from_json(x, 'a INT') FROM t",
        "SELECT upper(x, y, z) FROM t",
        "SELECT DATE '2024-01-01' - DATE '2023-01-01'",
        "SELECT '1' + 1",
        "SELECT regexp_extract(s, 'abc') FROM t",
        "SELECT trunc(d, 'hour') FROM t",
        "SELECT struct(*) FROM t",
        "SELECT sha2(x, 512) FROM t",
        "SELECT explode(a, b) FROM t",
        "SELECT 1.0 / 3",
        "SELECT upper(DISTINCT s) FROM t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t",
        "SELECT TRANSFORM(a) USING 'cat' AS (b) FROM t",
    ],
)
def test_constructs_are_refused(sql: str) -> None:
    found = unsupported(spark(sql), "duckdb")
    assert found, to_engine(spark(sql), "duckdb").sql
    for error in found:
        assert isinstance(error, UnsupportedError | SqlSyntaxError)
        assert error.location is not None
        assert error.location.file == "silver.sql"


@pytest.mark.parametrize("sql", ["", "SELECT (1", "SELECT 'a", "SELECT FROM WHERE"])
def test_a_query_that_does_not_parse_is_a_syntax_error(sql: str) -> None:
    (error,) = unsupported(spark(sql), "duckdb")
    assert isinstance(error, SqlSyntaxError)


def test_a_query_nested_too_deeply_is_a_syntax_error() -> None:
    (error, *_) = unsupported(spark("SELECT " + "(" * 5000 + "1" + ")" * 5000), "duckdb")
    assert isinstance(error, SqlSyntaxError)


def test_an_expression_whose_translation_would_be_huge_is_refused() -> None:
    (error, *_) = unsupported(
        spark("SELECT " + " / ".join("abcdefghijklmnopqrstuvwxyz")), "duckdb"
    )
    assert isinstance(error, UnsupportedError)
    assert "large" in error.message


def test_a_long_sum_is_translated() -> None:
    assert unsupported(spark("SELECT " + " + ".join(["a"] * 300) + " FROM t"), "duckdb") == []


def test_a_sum_nested_too_deeply_is_a_syntax_error() -> None:
    (error, *_) = unsupported(spark("SELECT " + " + ".join(["a"] * 20000) + " FROM t"), "duckdb")
    assert isinstance(error, SqlSyntaxError)


def test_another_engine_is_refused() -> None:
    query = SqlQuery("SELECT 1", "SELECT 1", "duckdb", (), HERE)
    (error,) = unsupported(query, "spark")
    assert isinstance(error, UnsupportedError)


def test_a_refused_rule_has_its_location() -> None:
    with pytest.raises(UnsupportedError) as caught:
        predicate(Predicate("hash(x) = 1", "spark"), "duckdb", HERE)
    assert caught.value.location == HERE


def test_unicode_before_the_location() -> None:
    (error,) = unsupported(spark("SELECT 'äöü€𝄞', hash(x) FROM t"), "duckdb")
    assert str(error.location) == "silver.sql:10:20"
