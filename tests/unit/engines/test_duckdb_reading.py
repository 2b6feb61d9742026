"""What a query that is asked once gives, as Python values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import Location
from qanat.model.query import SqlQuery
from qanat.model.schema import Schema


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(scratch=tmp_path_factory.mktemp("scratch"))
    yield made
    made.close()


def _read(engine: DuckDBEngine, columns: str) -> tuple[Schema, tuple[object, ...]]:
    sql = f"SELECT {columns}"
    with engine.read(SqlQuery(sql, sql, "duckdb", (), Location("query", 1)), {}) as reading:
        (chunk,) = reading.chunks()
    return reading.schema, chunk[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("TIMESTAMP '2020-01-02' - TIMESTAMP '2020-01-01'", "1 day"),
        ("[INTERVAL 1 day]", "[1 day]"),
        ("union_value(k := 1)", "1"),
        ("123::BIGNUM", "123"),
        ("row(1, 2)", "(1, 2)"),
        ("'a'::VARIANT", "a"),
    ],
)
def test_values_of_types_that_no_table_stores_are_text(
    engine: DuckDBEngine, value: str, text: str
) -> None:
    schema, row = _read(engine, f'1 AS a, {value} AS "b ""c"""')
    assert row == (1, text)
    assert [str(f.type) for f in schema.fields] == ["int", "string"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("DATE 'infinity'", "infinity"),
        ("DATE '-infinity'", "-infinity"),
        ("TIMESTAMP 'infinity'", "infinity"),
        ("TIMESTAMP_S 'infinity'", "infinity"),
        ("TIMESTAMP_MS 'infinity'", "infinity"),
        ("TIMESTAMPTZ 'infinity'", "infinity"),
        ("TIMESTAMP_NS 'infinity'", "infinity"),
        ("TIMESTAMP_NS '2020-01-01 00:00:00.123456789'", "2020-01-01 00:00:00.123456789"),
        ("TIMESTAMPTZ_NS 'infinity'", "infinity"),
        ("TIMESTAMPTZ_NS '2020-01-01 00:00:00.123456789'", "2020-01-01 00:00:00.123456789+00"),
        (
            "TIMESTAMP_NS '2020-01-01 00:00:00.123456'",
            datetime.fromisoformat("2020-01-01T00:00:00.123456"),
        ),
        ("DATE '9999-12-31'", date(9999, 12, 31)),
        ("DATE '0044-03-15 (BC)'", "0044-03-15 (BC)"),
        ("NULL::DATE", None),
        ("[[NULL, DATE 'infinity']]", "[[NULL, infinity]]"),
        ("array_value(DATE 'infinity')", "[infinity]"),
        ("MAP {1: DATE 'infinity'}", "{1=infinity}"),
        ("{'n': NULL::DATE, 'd': DATE 'infinity'}", "{'n': NULL, 'd': infinity}"),
        ("{'d': [DATE '2020-01-01']}", {"d": [date(2020, 1, 1)]}),
    ],
)
def test_values_that_python_cannot_hold_are_text(
    engine: DuckDBEngine, value: str, expected: object
) -> None:
    assert _read(engine, f"{value} AS v, 7 AS w")[1] == (expected, 7)
