"""Casts of doubles: what a cast of the number's text gives, and nothing else is changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb
import pytest

from qanat.engines.duckdb.casts import compiled, exact_casts

NUMBERS = """CREATE TABLE t AS SELECT * FROM (VALUES
    (1.005::DOUBLE, 2.5::DOUBLE, 2.675::FLOAT, 7, 'x', [1.005::DOUBLE], {'a': 1.005::DOUBLE})
) AS v(a, b, f, i, s, l, st)"""
CENTS = Decimal("1.01")


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute(NUMBERS)
        yield opened


def run(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], tuple[Any, ...]]:
    """The names and the one row of a query with exact casts."""

    select, relation = compiled(con, sql, lambda query: f"FROM (\n{query}\n)")
    [row] = con.execute(select).fetchall()
    return relation.columns, row


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("CAST(a AS DECIMAL(10, 2))", CENTS),
        ("TRY_CAST(a AS NUMERIC(10,2))", CENTS),
        ("a::decimal(10,2)", CENTS),
        ('"t"."a"::DECIMAL(10,2)', CENTS),
        ("(a + 0)::DECIMAL(10,2)", CENTS),
        ("sum(a) OVER (ORDER BY b)::DECIMAL(10,2)", CENTS),
        ("abs(a)::DECIMAL(10,2)", CENTS),
        ("CASE WHEN typeof(a) = 'DOUBLE' THEN a::DECIMAL(10,2) END", CENTS),
        ("l[1]::DECIMAL(10,2)", CENTS),
        ("st.a::DECIMAL(10,2)", CENTS),
        ("CASE WHEN a > 1 THEN a END::DECIMAL(10,2)", CENTS),
        ("a::DOUBLE::DECIMAL(10,2)", CENTS),
        ("(SELECT max(a) FROM t)::DECIMAL(10,2)", CENTS),
        ("list_transform(l, lambda x: x::DECIMAL(10,2))", [CENTS]),
        ("CAST(CAST(a AS DECIMAL(10, 2)) AS DECIMAL(10, 1))", Decimal("1.0")),
        ("f::DECIMAL(10,2)", Decimal("2.68")),
        ("a /* a::INT */ ::DECIMAL(10,2) -- a::INT", CENTS),
        ("l::DECIMAL(10,2)[]", [CENTS]),
        ("CAST([l] AS DECIMAL(10, 2)[][])", [[CENTS]]),
        ("[b]::INT[]", [3]),
        ("[i]::BIGINT[]", [7]),
        ("sum(a) OVER w::DECIMAL(10,2)", CENTS),
        ("1e23::DOUBLE::HUGEINT", 10**23),
        ("1e23::DOUBLE::INT128", 10**23),
        ("(9007199254740993 * 1.0::DOUBLE)::BIGINT", 9007199254740992),
        ("b::OID", 3),
        ("b::UINT64", 3),
        ("b::INT", 3),
        ("-b::BIGINT", -3),
        ("CAST(b AS INTEGER) IN (3)", True),
        ("i::INT", 7),
        ("'2.5'::INT", 3),
        ("s || 'a::INT'", "xa::INT"),
        ("i::DECIMAL(10,2)::VARCHAR", "7.00"),
    ],
)
def test_a_cast_gives_what_a_cast_of_the_text_gives(
    connection: duckdb.DuckDBPyConnection, expression: str, value: object
) -> None:
    sql = f"SELECT {expression}\nFROM t\nWINDOW w AS (ORDER BY b)"
    names, row = run(connection, sql)
    assert row == (value,)
    assert names == connection.sql(sql).columns, "columns keep their names"


def test_groups_and_columns(connection: duckdb.DuckDBPyConnection) -> None:
    grouped = "SELECT a::DECIMAL(10,2), count(*) FROM t GROUP BY a::DECIMAL(10,2)"
    assert run(connection, grouped)[1] == (CENTS, 1)
    several = "SELECT COLUMNS(['a', 'b'])::DECIMAL(10,2) FROM t"
    assert run(connection, several) == (["a", "b"], (CENTS, Decimal("2.50")))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT s, CAST(100 * count(*) / (SELECT count(*) FROM g) AS INTEGER) FROM g GROUP BY s",
        "SELECT CAST(row_number() OVER (ORDER BY i) + (SELECT 0) AS INT) FROM g",
        "SELECT (sum(i) OVER (PARTITION BY s = 'select' ORDER BY i))::INT FROM g",
        "SELECT (count(*) /* select */ + 1)::INT FROM g",
        "SELECT (sum(i) FILTER (WHERE s = 'select'))::INT FROM g",
    ],
)
def test_aggregates_and_windows_see_all_rows(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> None:
    connection.execute(
        "CREATE OR REPLACE TABLE g AS"
        " FROM (VALUES ('select', 1), ('b', 2), ('select', 3)) AS v(s, i)"
    )
    select, relation = compiled(connection, sql, lambda query: f"FROM (\n{query}\n)")
    wanted = connection.sql(sql)
    assert relation.columns == wanted.columns
    assert sorted(connection.execute(select).fetchall()) == sorted(wanted.fetchall())


def test_a_form_that_allows_no_other_spoils_none_beside_it(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    middle = "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)::DECIMAL(10,2)"
    _, row = run(connection, f"SELECT {middle}, max(a)::DECIMAL(10,2), min(b)::INT FROM t")
    assert row[1:] == (CENTS, 3)


def test_other_types_cost_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    def plan(sql: str) -> object:
        return connection.execute(f"EXPLAIN {sql}").fetchall()

    sql = "SELECT CAST(i AS DECIMAL(10, 2)) AS v FROM t WHERE CAST(i AS INTEGER) > 5"
    assert exact_casts(sql) != sql
    assert plan(exact_casts(sql)) == plan(sql)


def test_casts_within_casts_stay_short(connection: duckdb.DuckDBPyConnection) -> None:
    text = "b"
    for _ in range(12):
        text = f"CAST({text} + 0.5::DOUBLE AS BIGINT)"
    assert len(exact_casts(text)) < 20_000
    assert run(connection, f"SELECT {text} AS v FROM t") == (["v"], (14,))


def test_errors_show_the_text_of_the_author(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.BinderException) as raised:
        run(connection, "SELECT CAST(missing AS DECIMAL(10, 2)) FROM t")
    assert "typeof" not in str(raised.value)


def test_random_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    draw = random.Random(7)  # noqa: S311 - a seed makes it repeatable
    numbers = [
        f"{Decimal(draw.randrange(-(10**15) + 1, 10**15)).scaleb(-draw.randint(0, 12)):f}"
        for _ in range(2000)
    ]
    casts = [f"CAST(v AS {type_})" for type_ in ("DECIMAL(38,2)", "DECIMAL(20,0)", "BIGINT")]
    doubles = "(SELECT unnest(?::DOUBLE[]) AS v)"
    found = connection.execute(
        f"SELECT {exact_casts(', '.join(casts))} FROM {doubles}", [[float(n) for n in numbers]]
    ).fetchall()
    for number, row in zip(numbers, found, strict=True):
        whole = Decimal(number).quantize(Decimal(1), ROUND_HALF_UP)
        cents = Decimal(number).quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert row == (cents, whole, int(whole)), number
