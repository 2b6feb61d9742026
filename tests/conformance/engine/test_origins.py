"""Where rows come from that an epoch has written, told by computing it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from qanat.model.work import Batch, Output, TableBatch, ViewBatch, ViewWork
from qanat.ports.engine import RowOrigin
from tests.conformance.engine.bench import Bench
from tests.conformance.engine.capabilities import needs

pytestmark = needs("origins", "files")

TEXTS = ("id,v\n1,a\n2,b\n3,a\n", "id,v\n4,c\n5,b\n")


def traced(
    bench: Bench,
    sql: str,
    inputs: Mapping[str, Batch],
    *partition_by: str,
    rules: tuple[Any, ...] = (),
    **changes: Any,
) -> dict[Any, Any] | None:
    """By the first column of each row that an epoch writes: file, line, number of alike rows."""
    query = bench.query(sql, inputs)
    work = bench.work(query, inputs, rules, **changes)
    output = replace(work.output, partition_by=partition_by)
    staged = bench.stage(query, inputs, rules, output=output, **changes)
    bench.publish(staged.table, *partition_by)
    files = tuple(f"{bench.folder}/target/{f.path}" for f in staged.table.files)
    written = TableBatch(files, staged.table.schema, partition_by)
    keys = {
        (file, number): key
        for file in files
        for number, (key, *_) in enumerate(duckdb.read_parquet(file).fetchall(), 1)
    }
    again = replace(
        bench.work(query, inputs, **changes),
        output=Output(bench.folder / "nothing", "x", schema=staged.table.schema),
    )
    found = bench.engine.origins(again, written, list(keys))
    assert not (bench.folder / "nothing").exists()
    assert not list((bench.folder / "work").glob("*"))
    if found is None:
        return None
    return {
        key_of(keys, place): (Path(o.file).name[0], o.row, o.alike) for place, o in found.items()
    }


def key_of(keys: Mapping[Any, Any], place: Any) -> tuple[Any, ...]:
    """A row by its first column, and its number where several rows have that."""
    same = [p for p, key in keys.items() if key == keys[place]]
    return (keys[place],) if len(same) == 1 else (keys[place], same.index(place))


def test_rows_of_files(bench: Bench) -> None:
    found = traced(
        bench, "SELECT id, v || '!' AS v FROM f WHERE id <> 2", {"f": bench.csv(*TEXTS)}
    )
    assert found == {
        (1,): ("0", 2, 1),
        (3,): ("0", 4, 1),
        (4,): ("1", 2, 1),
        (5,): ("1", 3, 1),
    }


def test_rows_through_ctes_and_views(bench: Bench) -> None:
    batch = bench.csv(*TEXTS)
    view = bench.query("WITH c AS (SELECT * FROM f) SELECT * FROM c", {"f": batch})
    views = (ViewWork("w", view, (), Output(bench.folder / "w__quarantine", "x")),)
    inputs = {"f": batch, "w": ViewBatch("w")}
    found = traced(bench, "WITH d AS (FROM w) SELECT d.id FROM d", inputs, views=views)
    assert found is not None
    assert found[(5,)] == ("1", 3, 1)


def test_partitions_shuffle_rows(bench: Bench) -> None:
    found = traced(bench, "SELECT id, v FROM f", {"f": bench.csv(*TEXTS)}, "v")
    assert found is not None
    assert sorted(found.values()) == [
        (n, r, 1) for n, r in zip("00011", (2, 3, 4, 2, 3), strict=True)
    ]


def test_rows_that_are_alike_are_told_apart_by_their_numbers(bench: Bench) -> None:
    found = traced(bench, "SELECT v FROM f", {"f": bench.csv(*TEXTS)})
    assert found == {
        ("a", 0): ("0", 2, 1),
        ("a", 1): ("0", 4, 1),
        ("b", 0): ("0", 3, 1),
        ("b", 1): ("1", 3, 1),
        ("c",): ("1", 2, 1),
    }


def test_rows_that_are_alike_where_rules_have_removed_others(bench: Bench) -> None:
    rules = (bench.expect("r", "v <> 'c'", "drop"),)
    found = traced(bench, "SELECT v FROM f", {"f": bench.csv(*TEXTS)}, rules=rules)
    assert found == {
        ("a", 0): ("0", 2, 2),
        ("a", 1): ("0", 2, 2),
        ("b", 0): ("0", 3, 2),
        ("b", 1): ("0", 3, 2),
    }


def test_rows_that_are_not_given_any_more(bench: Bench) -> None:
    inputs = {"f": bench.csv("id,v\n1,a\n2,\n")}
    later = {"f": bench.csv("id,v\n1,b\n2,\n")}
    names = {f.path for f in later["f"].files}
    query = bench.query("SELECT id, v FROM f", inputs)
    staged = bench.stage(query, inputs)
    bench.publish(staged.table)
    (file,) = (f"{bench.folder}/target/{f.path}" for f in staged.table.files)
    found = bench.engine.origins(
        bench.work(query, later), bench.published(), [(file, 1), (file, 2)]
    )
    assert found is not None
    assert list(found) == [(file, 2)]
    assert found[file, 2] == RowOrigin(names.pop(), 3)


@pytest.mark.parametrize(
    "sql", ["SELECT max(id) AS id FROM f", "SELECT DISTINCT v FROM f", "FROM f UNION FROM f"]
)
def test_queries_that_do_not_compute_row_by_row(bench: Bench, sql: str) -> None:
    assert traced(bench, sql, {"f": bench.csv(*TEXTS)}) is None


@needs("row errors")
def test_rows_that_failed_stand_in_nobodys_way(bench: Bench) -> None:
    inputs = {"f": bench.csv("id,v\n1,5\n2,x\n3,7\n")}
    found = traced(bench, "SELECT id, CAST(v AS INT) AS v FROM f", inputs, sets_aside=True)
    assert found == {(1,): ("0", 2, 1), (3,): ("0", 4, 1)}


def test_values_of_all_kinds_are_compared(bench: Bench) -> None:
    sql = (
        "SELECT id, 'NaN'::DOUBLE AS n, NULL::BIGINT AS e, {'a': [id, NULL]} AS s, 1.10 AS d,"
        " MAP {v: id} AS m, v::BLOB AS b, TIMESTAMPTZ '2024-01-01 10:00:00.123456+02' AS t FROM f"
    )
    found = traced(bench, sql, {"f": bench.csv(*TEXTS)})
    assert found is not None
    assert len(found) == 5
