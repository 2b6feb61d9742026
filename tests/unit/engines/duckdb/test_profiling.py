"""Profiles of rows: exact where they are few, close where they are many, and of whatever comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.engines.duckdb.types import from_duckdb
from qanat.errors import ColumnNotFoundError
from qanat.model.profile import Method, Profiled, ValueCount
from qanat.model.rule import Predicate
from qanat.model.schema import Field, Schema
from qanat.model.work import TableBatch


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(scratch=tmp_path / "scratch", threads=1)
    yield made
    made.close()


def table(folder: Path, sql: str) -> TableBatch:
    """A table of one file with the rows of a query."""
    path = folder / "some-rows-that-are-to-be-described-by-the-engine.parquet"
    duckdb.sql(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    made = duckdb.sql(f"FROM '{path}' LIMIT 0")
    fields = (Field(n, from_duckdb(t)) for n, t in zip(made.columns, made.types, strict=True))
    return TableBatch((str(path),), Schema(tuple(fields)))


MANY = """
SELECT i AS id, i // 5 AS grp, i % 5 AS line, i * 2.5 AS twice,
  (hash(i) % 1000000)::BIGINT AS noise,
  CASE WHEN i % 10 = 0 THEN NULL ELSE 'AB-' || lpad((i % 7000)::VARCHAR, 4, '0') END AS code,
  ['a', 'b', 'c', 'd'][1 + i % 4] AS kind, ['A', 'B', 'C', 'D'][1 + i % 4] AS upper,
  CASE WHEN i % 500 = 0 THEN 'nan'::DOUBLE WHEN i % 501 = 0 THEN 'inf'::DOUBLE
    ELSE i / 1000 END AS odd
FROM range(200_000) t (i)
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Profiled:
    """The profile of more rows than a sample has."""
    folder = tmp_path_factory.mktemp("many")
    engine = DuckDBEngine(scratch=folder / "scratch", threads=1)
    try:
        return engine.profile(table(folder, MANY))
    finally:
        engine.close()


def test_counts_and_bounds_of_many_rows_are_exact(many: Profiled) -> None:
    assert many.rows == 200_000
    assert 40_000 < many.sampled < 60_000
    assert (many["id"].nulls, many["id"].low, many["id"].high) == (0, 0, 199_999)
    code = many["code"]
    assert (code.nulls, code.low, code.high) == (20_000, "AB-0001", "AB-6999")
    numbers = many["twice"].numbers
    assert numbers is not None
    assert (numbers.mean, numbers.zeros, numbers.negatives) == (pytest.approx(249_998.75), 1, 0)


def test_few_values_are_exact_and_many_are_estimated(many: Profiled) -> None:
    assert many["kind"].top == tuple(ValueCount(k, 50_000) for k in "abcd")
    assert (many["kind"].distinct, many["kind"].distinct_by) == (4, Method.EXACT)
    noise = many["noise"]
    assert noise.distinct_by is Method.HASHED
    assert noise.distinct == pytest.approx(181_000, rel=0.1)  # 10^6 (1 - e^-0.2)
    assert noise.values_by is Method.SAMPLE
    assert sum(b.rows for b in noise.histogram) == pytest.approx(200_000, rel=0.01)
    median = noise.quantile(0.5)
    assert median is not None
    assert int(median) == pytest.approx(500_000, rel=0.05)


def test_values_that_repeat_are_not_all_distinct(many: Profiled) -> None:
    # NaN and infinity repeat; all other values of the column do not.
    odd = many["odd"]
    assert odd.numbers is not None
    assert odd.numbers.not_finite == 799
    assert "all distinct" not in odd.hints
    assert all("odd" not in key.columns for key in many.keys)


def test_hints_patterns_and_pairs_of_many_rows(many: Profiled) -> None:
    assert many["id"].hints == ("all distinct", "increasing")
    texts = many["code"].texts
    assert texts is not None
    assert (texts.shortest, texts.longest, texts.patterns[0].value) == (7, 7, "AA-9999")
    pairs = {(a.one, a.other): a.value for a in many.associations}
    assert pairs["id", "twice"] == 1.0
    assert pairs["kind", "upper"] == pytest.approx(1.0)
    assert ("id", "noise") not in pairs


def test_keys_of_one_column_and_of_several(
    many: Profiled, engine: DuckDBEngine, tmp_path: Path
) -> None:
    assert ("id",) in [key.columns for key in many.keys]
    found = engine.profile(table(tmp_path, MANY), ["grp", "line", "kind"])
    (key,) = found.keys
    assert key.columns == ("grp", "line")
    assert key.examined > 10_000


def test_the_same_rows_give_the_same_profile(many: Profiled, tmp_path: Path) -> None:
    again = DuckDBEngine(scratch=tmp_path / "scratch", threads=2)
    try:
        assert again.profile(table(tmp_path, MANY))["noise"].quantiles == many["noise"].quantiles
    finally:
        again.close()


def test_all_is_exact_of_a_table_that_is_its_own_sample(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    sql = "SELECT i AS id, i // 2 AS half, i::VARCHAR AS t FROM range(60_000) t (i)"
    found = engine.profile(table(tmp_path, sql))
    assert [(c.distinct, c.distinct_by) for c in found.columns] == [
        (60_000, Method.EXACT),
        (30_000, Method.EXACT),
        (60_000, Method.EXACT),
    ]
    assert [(k.columns, k.by) for k in found.keys] == [
        (("id",), Method.EXACT),
        (("t",), Method.EXACT),
    ]
    assert all(c.values_by is Method.EXACT for c in found.columns)


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ("(i % 50)::DECIMAL(15, 2)", [60] * 16 + [40]),
        ("(i % 11)::DECIMAL(15, 2) / 100::DECIMAL(5, 0)", [91] * 10 + [90]),
        ("((i % 11) * 0.01)::DECIMAL(15, 2)", [91] * 10 + [90]),
        ("DATE '2026-01-01' + (i % 40)::INTEGER", [50] * 20),
        ("i % 4", [250] * 4),
        ("[0, 10, 1000][1 + i % 3]", [667, *[0] * 15, 333]),
    ],
)
def test_even_values_have_even_bins(
    engine: DuckDBEngine, tmp_path: Path, value: str, rows: list[int]
) -> None:
    found = engine.profile(table(tmp_path, f"SELECT {value} AS v FROM range(1000) t (i)"))
    assert [b.rows for b in found["v"].histogram] == rows


def test_no_rows(engine: DuckDBEngine, tmp_path: Path) -> None:
    sql = "SELECT 1 AS n, 'a' AS t, [1] AS l, DATE '2026-01-01' AS d, true AS b WHERE false"
    found = engine.profile(table(tmp_path, sql))
    assert (found.rows, found.keys, found.associations) == (0, (), ())
    for column in found.columns:
        assert (column.nulls, column.distinct, column.low, column.high) == (0, 0, None, None)
        assert (column.histogram, column.quantiles, column.top) == ((), (), ())
        assert column.nulls_share == 0.0


@pytest.mark.parametrize(
    "type_", ["INTEGER", "DOUBLE", "DECIMAL(38, 10)", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN",
              "BLOB", "INTEGER[]", "MAP(VARCHAR, INTEGER)", "STRUCT(a INTEGER)"]
)  # fmt: skip
def test_nothing_but_null(engine: DuckDBEngine, tmp_path: Path, type_: str) -> None:
    found = engine.profile(table(tmp_path, f"SELECT NULL::{type_} AS v FROM range(10)"))
    column = found["v"]
    assert (found.rows, column.nulls, column.nulls_share, column.distinct) == (10, 10, 1.0, 0)
    assert (column.low, column.top, column.hints, found.keys) == (None, (), (), ())


def test_nested_values(engine: DuckDBEngine, tmp_path: Path) -> None:
    sql = """SELECT [i, i][1:1 + i % 2] AS l, {'a': i % 2} AS s, MAP {'k': i} AS m
      FROM range(6) t (i)"""
    found = engine.profile(table(tmp_path, sql))
    lists = found["l"].entries
    assert lists is not None
    assert (lists.fewest, lists.most, lists.mean) == (1, 2, 1.5)
    assert (found["s"].distinct, found["s"].top[0]) == (2, ValueCount("{'a': 0}", 3))
    assert (found["m"].distinct, found["m"].low) == (6, None)


def test_numbers_that_are_none_and_enormous_ones(engine: DuckDBEngine, tmp_path: Path) -> None:
    sql = "SELECT unnest(['nan', 'inf', '-inf', '1e300', '-1e300', '0', '1']::DOUBLE[]) AS v"
    column = engine.profile(table(tmp_path, sql))["v"]
    assert column.numbers is not None
    assert (column.numbers.not_finite, column.numbers.mean) == (3, 0.5)
    assert sum(b.rows for b in column.histogram) == 2


def test_texts_of_all_kinds(engine: DuckDBEngine, tmp_path: Path) -> None:
    long = "'x' || repeat('é', 3_000_000)"
    sql = f"SELECT unnest(['', ' a', '数据', 'Straße 7', '👍🏽', chr(0) || 'z', {long}]) AS t"
    column = engine.profile(table(tmp_path, sql))["t"]
    texts = column.texts
    assert texts is not None
    assert (texts.shortest, texts.longest, texts.empty, texts.padded) == (0, 3_000_001, 1, 1)
    assert "Aaaaaa 9" in [p.value for p in texts.patterns] or len(texts.patterns) == 5
    assert all(len(v.value) <= 200 for v in column.top)
    assert len(str(column.high)) <= 200


def test_long_texts_are_told_apart_by_their_ends(engine: DuckDBEngine, tmp_path: Path) -> None:
    sql = "SELECT repeat('x', 5000) || i AS t, i AS id FROM range(20) t (i)"
    found = engine.profile(table(tmp_path, sql))
    assert (found["t"].distinct, found["t"].hints[0]) == (20, "all distinct")
    assert [key.columns for key in found.keys] == [("t",), ("id",)]


def test_two_thousand_columns(engine: DuckDBEngine, tmp_path: Path) -> None:
    columns = ", ".join(f'i + {n} AS "c {n}"' for n in range(2000))
    found = engine.profile(table(tmp_path, f"SELECT {columns} FROM range(20) t (i)"))
    assert len(found.columns) == 2000
    assert found["c 1999"].high == 2018


def test_names_and_conditions(engine: DuckDBEngine, tmp_path: Path) -> None:
    batch = table(tmp_path, """SELECT i AS "a "" b", i % 3 AS "SELECT" FROM range(9) t (i)""")
    found = engine.profile(batch, ['a " b'], Predicate('"SELECT" = 1 -- some', "duckdb"))
    assert [(c.name, c.rows, c.high) for c in found.columns] == [('a " b', 3, 7)]
    with pytest.raises(ColumnNotFoundError) as raised:
        engine.profile(batch, ["selct"])
    assert raised.value.nearest == "SELECT"
