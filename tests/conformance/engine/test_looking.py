"""Looking at stored rows: the first of them, by a condition, in numbers, by their rules."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qanat.errors import ColumnNotFoundError, ContractError, DeclarationError
from qanat.model.profile import ValueCount
from qanat.model.rule import Predicate, References, Unique
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.work import TableBatch
from tests.conformance.engine.bench import NUMBERS, Bench
from tests.conformance.engine.capabilities import needs


def test_the_first_rows(bench: Bench) -> None:
    rows = bench.engine.fetch(bench.table(NUMBERS), limit=2)
    assert (rows.schema.names, list(rows.values)) == (("id", "v"), [(1, 5), (2, -1)])
    assert len(bench.engine.fetch(bench.table(NUMBERS)).values) == 8


@pytest.mark.parametrize("condition", ["v > 8", "v > 8 -- a comment"])
def test_rows_that_meet_a_condition(bench: Bench, condition: str) -> None:
    where = Predicate(condition, bench.engine.dialect)
    rows = bench.engine.fetch(bench.table(NUMBERS), where=where)
    assert sorted(rows.values) == [(5, 700), (8, 9)]


def test_a_condition_that_does_not_compile(bench: Bench) -> None:
    where = Predicate("id > 0 AND vv > 8", bench.engine.dialect)
    with pytest.raises(ColumnNotFoundError) as raised:
        bench.engine.fetch(bench.table(NUMBERS), where=where)
    assert str(raised.value.location) == "--where:1:12"
    assert raised.value.nearest == "v"


def test_values_as_python_has_them(bench: Bench) -> None:
    sql = "SELECT [1, 2] AS l, {'a': 1} AS s, MAP {'k': 'v'} AS m, 'x' AS t, NULL::BIGINT AS n"
    staged = bench.stage(sql, {})
    bench.publish(staged.table)
    rows = bench.engine.fetch(bench.published())
    assert list(rows.values) == [([1, 2], {"a": 1}, {"k": "v"}, "x", None)]
    assert rows.schema == staged.table.schema


def test_a_query_over_batches(bench: Bench, tmp_path: Path) -> None:
    inputs = {"t": bench.table(NUMBERS), "u": bench.table({"id": [1, 5]})}
    query = bench.query("SELECT t.id, v FROM t JOIN u ON t.id = u.id ORDER BY v DESC", inputs)
    with bench.engine.read(query, inputs) as reading:
        assert reading.schema.names == ("id", "v")
        # Each way may be taken, one after the other.
        assert [row for chunk in reading.chunks() for row in chunk] == [(5, 700), (1, 5)]
        with reading.arrow() as stream:
            assert pa.table(stream).to_pydict() == {"id": [5, 1], "v": [700, 5]}
        path = tmp_path / "rows.parquet"
        assert reading.write(path) == 2
        assert pq.read_table(path).to_pydict() == {"id": [5, 1], "v": [700, 5]}
    with bench.engine.read(query, inputs, limit=1) as reading:
        assert [row for chunk in reading.chunks() for row in chunk] == [(5, 700)]


def test_rows_come_in_pieces(bench: Bench) -> None:
    inputs = {"t": bench.table({"id": list(range(20_000))})}
    with bench.engine.read(bench.query("SELECT id FROM t -- all", inputs), inputs) as reading:
        sizes = [len(chunk) for chunk in reading.chunks()]
    assert sum(sizes) == 20_000
    assert len(sizes) > 1


def test_a_query_that_fails_on_a_value_leaves_no_file(bench: Bench, tmp_path: Path) -> None:
    inputs = {"t": bench.table({"s": ["1", "one"]})}
    query = bench.query("SELECT CAST(s AS INTEGER) AS n FROM t", inputs)
    with (
        pytest.raises(ContractError),
        bench.engine.read(query, inputs) as reading,
    ):
        reading.write(tmp_path / "rows.parquet")
    assert not [p for p in tmp_path.glob("*") if p.is_file()]


@pytest.mark.parametrize("sql", ["SELECT nope FROM t", "SELECT FROM WHERE"])
def test_a_query_that_does_not_compile(bench: Bench, sql: str) -> None:
    inputs = {"t": bench.table(NUMBERS)}
    query = bench.query(sql, inputs)
    with pytest.raises(DeclarationError) as raised, bench.engine.read(query, inputs):
        pass
    assert raised.value.location is not None


def test_rules_against_stored_rows(bench: Bench) -> None:
    rules = [
        bench.expect("positive", "v > 0"),
        bench.expect("one", Unique(("v",)), "drop"),
        bench.expect("known", References(("id",), "Other", ("x",)), "warn"),
    ]
    table = bench.table({"id": [1, 2, 3, 4], "v": [5, 5, None, -1]}, parts=2)
    other = bench.table({"x": [1, 2, 3]})
    total, counts = bench.engine.check(table, "target", rules, {"other": other})
    assert (total, [(c.dataset, c.rule, c.action, c.violations) for c in counts]) == (
        4,
        [
            ("target", "positive", "quarantine", 2),
            ("target", "one", "drop", 1),
            ("target", "known", "warn", 1),
        ],
    )
    with pytest.raises(ColumnNotFoundError):
        bench.engine.check(table, "target", [bench.expect("r", "vv > 0")], {})


def _quarantine(bench: Bench) -> TableBatch:
    rules = [bench.expect("it's small", "v < 100"), bench.expect("odd", "id % 2 = 1")]
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
    bench.quarantined(staged)
    return bench.published("target__quarantine")


def test_rules_that_quarantined_rows_broke(bench: Bench) -> None:
    found = bench.engine.broken_rules(_quarantine(bench))
    assert list(found.items()) == [("odd", 4), ("it's small", 2)]


def test_quarantined_rows_by_their_rule(bench: Bench) -> None:
    quarantine = _quarantine(bench)
    rows = bench.engine.quarantined(quarantine, None, 3)
    assert ([r[0] for r in rows.values], rows.total) == ([2, 3, 4], 6)
    rows = bench.engine.quarantined(quarantine, "it's small", 10)
    assert ([r[0] for r in rows.values], rows.total) == ([3, 5], 2)
    where = Predicate("id > 4 -- comment", bench.engine.dialect)
    some = bench.engine.quarantined(quarantine, "it's small", 10, where)
    assert ([r[0] for r in some.values], some.total) == ([5], 1)
    assert rows.schema.names[:3] == ("id", "v", "_quarantine_id")


@needs("profile")
def test_columns_in_numbers(bench: Bench) -> None:
    table = bench.table({"v": [1, 1, 3, None], "s": ["b", "a", "b", "b"]})
    found = bench.engine.profile(table)
    assert (found.rows, [c.name for c in found.columns]) == (4, ["v", "s"])
    v, s = found["v"], found["s"]
    assert (v.type, v.rows, v.nulls, v.nulls_share, v.distinct) == ("bigint", 4, 1, 0.25, 2)
    assert (v.low, v.high, v.top[0]) == (1, 3, ValueCount("1", 2))
    assert v.numbers is not None
    assert (v.numbers.mean, v.numbers.zeros) == (pytest.approx(5 / 3), 0)
    assert v.numbers.deviation == pytest.approx(1.1547, abs=1e-4)
    assert (s.type, s.nulls, s.distinct, s.low, s.high) == ("string", 0, 2, "a", "b")
    assert (s.top[0], s.numbers) == (ValueCount("b", 3), None)


@needs("profile")
def test_some_columns_of_some_rows_in_numbers(bench: Bench) -> None:
    table = bench.table({"v": [1, 1, 3, None], "s": ["b", "a", "b", "b"]})
    where = Predicate("s = 'b' -- only these", bench.engine.dialect)
    found = bench.engine.profile(table, ["v"], where)
    assert (found.rows, [(c.name, c.nulls, c.high) for c in found.columns]) == (3, [("v", 1, 3)])
    with pytest.raises(ColumnNotFoundError):
        bench.engine.profile(table, ["w"])
    with pytest.raises(ColumnNotFoundError) as raised:
        bench.engine.profile(table, where=Predicate("vv > 8", bench.engine.dialect))
    assert str(raised.value.location) == "--where:1:1"


@needs("profile")
def test_a_table_without_rows_in_numbers(bench: Bench) -> None:
    empty = TableBatch((), Schema((Field("a b", Primitive("long")),)))
    found = bench.engine.profile(empty)
    (column,) = found.columns
    assert (found.rows, column.name, column.type) == (0, "a b", "bigint")
    assert (column.nulls, column.distinct, column.low, column.high) == (0, 0, None, None)
