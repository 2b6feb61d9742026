"""What is told about the columns of a file: loose perhaps, never wrong."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from qanat.model.work import ArrowBatch, Output
from tests.conformance.engine.bench import NUMBERS, Bench, local
from tests.conformance.engine.capabilities import Words, needs, words

LONG = "ä" * 200
STATISTICS: list[tuple[str | Words, list[Any]]] = [
    ("v::BIGINT", [3, -7, None]),
    ("v::TINYINT", [1, 2, 3]),
    ("v::DATE", [dt.date(1900, 1, 1), None, dt.date(2100, 12, 31)]),
    ("v::DATE", [dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
    ("v::VARCHAR", ["ü", "a", "Z", ""]),
    ("v::VARCHAR", [LONG, "b" * 200, "c", '"\\']),
    ("v::VARCHAR", ["c" * 31 + "🐪" * 9, "c" * 32]),
    ("v::DOUBLE", [1.5, -0.0, 1e300]),
    ("v::DOUBLE", [1.5, math.nan]),
    ("v::DOUBLE", [math.inf, 2.0]),
    ("v::FLOAT", [0.1, None]),
    ("v::BOOLEAN", [True, True]),
    ("v::DECIMAL(9,2)", [Decimal("-1.75"), Decimal("0.10"), None]),
    ("v::DECIMAL(38,3)", [Decimal("12345678901234567890.123"), Decimal("0.001")]),
    (words("v::HUGEINT"), [Decimal(10**37), Decimal(1 - 10**37)]),
    (
        words("v::TIMESTAMP", postgres="v"),
        [local(1, 1, 1), local(2020, 1, 1, 0, 0, 0, 999_999)],
    ),
    (words("v::TIMESTAMP", postgres="v"), [local(2020, 1, 1, 0, 0, 0, 1)]),
    (
        words("v::TIMESTAMPTZ", postgres="v"),
        [dt.datetime(1969, 12, 31, 23, 59, 59, 999_001, dt.UTC), None],
    ),
    (words("v::BLOB", postgres="v::BYTEA"), [b"a", b"\xff"]),
]


@pytest.mark.parametrize(("column", "values"), STATISTICS, ids=str)
def test_bounds_are_never_wrong(bench: Bench, column: str | Words, values: list[Any]) -> None:
    arrow = ArrowBatch(lambda: pa.table({"v": values, "n": range(len(values))}).to_reader())
    sql = f"SELECT {bench.say(column)} AS v, n, 'x' AS other FROM t"
    staged = bench.stage(sql, {"t": arrow})
    (file,) = staged.table.files
    assert (file.rows, file.partition_values) == (len(values), {})
    assert file.size == (bench.folder / "target" / file.path).stat().st_size
    assert (file.statistics["n"].low, file.statistics["n"].high) == (0, len(values) - 1)
    # A type that has no order has no statistics: they would be of no use.
    if found := file.statistics.get("v"):
        assert found.nulls in (None, values.count(None))
        rows = [r["v"] for r in bench.rows(staged.table) if r["v"] is not None]
        nan = any(v != v for v in rows)
        assert not (found.bounded and nan)
        assert not found.bounded or all(found.low <= v <= found.high for v in rows)
        assert not found.bounded or {type(found.low), type(found.high)} == {type(rows[0])}


@pytest.mark.parametrize(("column", "values"), STATISTICS, ids=str)
def test_no_reader_skips_a_row_by_its_statistics(
    bench: Bench, column: str | Words, values: list[Any]
) -> None:
    arrow = ArrowBatch(lambda: pa.table({"v": values, "n": range(len(values))}).to_reader())
    sql = f"SELECT {bench.say(column)} AS v, n, 'x' AS other FROM t"
    dataset = bench.publish(bench.stage(sql, {"t": arrow}).table).to_pyarrow_dataset()
    for value in dict.fromkeys(values):
        if value is not None and value == value:
            equal = pc.field("v") == pa.scalar(value, dataset.schema.field("v").type)
            assert dataset.count_rows(equal) == values.count(value)
    assert dataset.count_rows(pc.field("v").is_null()) == values.count(None)


@pytest.mark.parametrize("rows", [1, 8])
def test_exact_bounds_of_plain_columns(bench: Bench, rows: int) -> None:
    staged = bench.stage(f"SELECT id, v FROM t WHERE id <= {rows}", {"t": bench.table(NUMBERS)})
    (file,) = staged.table.files
    found = file.statistics["id"]
    assert (found.nulls, found.low, found.high) == (0, 1, rows)


@needs("partitions")
def test_no_column_of_a_wide_table_hides_rows(bench: Bench) -> None:
    lists = ", ".join(f"[id] AS l{i}" for i in range(5))
    numbers = ", ".join(f"id + {i} AS n{i}" for i in range(45))
    binary = bench.say(words("'x'::BLOB", postgres="'x'::BYTEA"))
    sql = f"SELECT 'p' AS p, {lists}, {{'a': id, 'b': 'x'}} AS s, {binary} AS b, {numbers} FROM t"
    output = Output(bench.folder / "target", "w", partition_by=("p",))
    staged = bench.stage(sql, {"t": bench.table(NUMBERS)}, output=output)
    dataset = bench.publish(staged.table, "p").to_pyarrow_dataset()
    for i in range(45):
        assert dataset.count_rows(pc.field(f"n{i}") == 1 + i) == 1, i
    assert dataset.count_rows(pc.field("b") == b"x") == 8


def test_statistics_as_another_reader_sees_them(bench: Bench) -> None:
    sql = """SELECT id, v, CAST(NULL AS BIGINT) AS none, {'x': id} AS st, [id] AS li,
             ('2020-01-0' || id)::DATE AS d FROM t"""
    staged = bench.stage(sql, {"t": bench.table(NUMBERS)})
    table = bench.publish(staged.table)
    (found,) = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    assert (found["min.v"], found["max.v"], found["null_count.v"]) == (-2, 700, 1)
    assert (found["min.d"], found["max.d"]) == (dt.date(2020, 1, 1), dt.date(2020, 1, 8))
    assert found["null_count.none"] == found["num_records"] == 8
    dataset = table.to_pyarrow_dataset()
    assert dataset.count_rows(pc.field("st", "x") == 3) == 1
    assert dataset.count_rows(pc.list_value_length(pc.field("li")) == 1) == 8
