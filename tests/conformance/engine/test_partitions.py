"""Partitioned tables, written and read."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from qanat.model.schema import Field, Primitive, Schema
from qanat.model.work import Output, TableBatch
from tests.conformance.engine.bench import NUMBERS, Bench, violations
from tests.conformance.engine.capabilities import needs

pytestmark = needs("partitions")


ODD_KEYS = ["a", "ü ö", "a/b", "x=y", "50%", None, "NULL", "__HIVE_DEFAULT_PARTITION__", "'", "#?",
            "2024-01-01 00:00:00", "a\nb", ":*<>|\\", ".", "..", " "]  # fmt: skip


def test_partition_values_of_every_kind(bench: Bench) -> None:
    inputs = {"t": bench.table({"k": ODD_KEYS, "n": list(range(len(ODD_KEYS)))})}
    output = Output(bench.folder / "target", "p", partition_by=("k",))
    staged = bench.stage("SELECT * FROM t", inputs, [bench.expect("r", "n >= 0")], output=output)
    rows = bench.rows(staged.table, "k")
    assert sorted((r["n"], r["k"]) for r in rows) == list(enumerate(ODD_KEYS))
    # As the engine reads it back, too.
    read = bench.engine.fetch(bench.published()).values
    assert sorted((n, k) for k, n in read) == list(enumerate(ODD_KEYS))


def test_partitions_by_number_date_and_truth(bench: Bench) -> None:
    sql = """SELECT id, id % 2 = 0 AS b, ('2024-01-0' || id)::DATE AS d, v::DOUBLE / 2 AS f,
             id::DECIMAL(9,2) AS c FROM t"""
    keys = ("b", "d", "f", "c")
    output = Output(bench.folder / "target", "p", partition_by=keys)
    staged = bench.stage(sql, {"t": bench.table(NUMBERS)}, output=output)
    rows = bench.rows(staged.table, *keys)
    assert sorted((r["id"], r["f"]) for r in rows)[:2] == [(1, 2.5), (2, -0.5)]
    assert {r["id"]: r["d"].day for r in rows} == {n: n for n in range(1, 9)}
    read = bench.engine.fetch(bench.published())
    assert read.schema == staged.table.schema
    assert sorted(read.values, key=str) == sorted((tuple(r.values()) for r in rows), key=str)


def test_an_empty_text_as_partition_is_null_as_in_delta(bench: Bench) -> None:
    inputs = {"t": bench.table({"k": ["", "a"], "n": [1, 2]})}
    output = Output(bench.folder / "target", "p", partition_by=("k",))
    rules = [bench.expect("r", "k IS NOT NULL", "warn")]
    staged = bench.stage("SELECT * FROM t", inputs, rules, output=output)
    assert violations(staged) == {"r": 1}
    assert {r["n"]: r["k"] for r in bench.rows(staged.table, "k")} == {1: None, 2: "a"}


def test_a_folder_above_a_table_is_no_partition(bench: Bench) -> None:
    folder = bench.folder / "env=dev" / "id=9"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"id": [1, 2], "env": ["x", "y"]}), folder / "f.parquet")
    schema = Schema((Field("id", Primitive("long")), Field("env", Primitive("string"))))
    batch = TableBatch((str(folder / "f.parquet"),), schema)
    assert bench.engine.fetch(batch).values == [(1, "x"), (2, "y")]


def test_a_folder_above_a_partitioned_table_is_none_either(bench: Bench) -> None:
    folder = bench.folder / "env=dev" / "t"
    (folder / "k=1").mkdir(parents=True)
    pq.write_table(pa.table({"env": ["x", "y"]}), folder / "k=1" / "f.parquet")
    schema = Schema((Field("env", Primitive("string")), Field("k", Primitive("long"))))
    batch = TableBatch((str(folder / "k=1" / "f.parquet"),), schema, ("k",))
    assert bench.engine.fetch(batch).values == [("x", 1), ("y", 1)]
