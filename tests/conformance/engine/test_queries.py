"""Queries of every shape: rows add up, errors leave nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qanat.errors import (
    AdapterError,
    ColumnNotFoundError,
    ContractError,
    DeclarationError,
    FunctionNotFoundError,
    QanatError,
    SchemaMismatchError,
    TypeNameError,
)
from qanat.model.query import FunctionQuery, Read, dataset_ref
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.staged import Counts, Staged
from qanat.model.work import ArrowBatch, Output, TableBatch
from tests.conformance.engine.bench import HERE, NUMBERS, Bench
from tests.conformance.engine.capabilities import Words, needs, words

SHAPES: list[str | Words] = [
    "SELECT t.id, u.v FROM t JOIN u ON t.id >= u.id",
    "SELECT id, v FROM t LEFT JOIN (SELECT id AS i FROM u) AS w ON id = i",
    "SELECT v, count(*) AS id FROM t GROUP BY v",
    "SELECT DISTINCT v, id % 3 AS id FROM t",
    "SELECT * FROM (VALUES (1, 5), (2, -1), (3, NULL)) AS x(id, v)",
    "SELECT * FROM t UNION ALL SELECT * FROM u",
    "SELECT id, CASE WHEN random() < 0.5 THEN -1 ELSE 1 END AS v FROM t",
    "SELECT id, v FROM t WHERE random() < 0.5",
    "SELECT uuid() AS u, length(uuid()::VARCHAR) - 36 + id AS id, v FROM t",
    "SELECT row_number() OVER () AS id, v FROM t",
    "SELECT id, v FROM t ORDER BY v DESC LIMIT 5",
    "SELECT id, v FROM t LIMIT 3",
    "SELECT unnest([id, id + 10]) AS id, v FROM t",
    words("SELECT id, v FROM t TABLESAMPLE 50%"),
    "SELECT id, v FROM t, generate_series(1, 3)",
    "WITH c AS (SELECT * FROM t) SELECT * FROM c",
    "SELECT id, v FROM (SELECT * FROM t WHERE id > 2) AS s",
    "SELECT id, (SELECT max(v) FROM u WHERE u.id = t.id) AS v FROM t",
    "SELECT *, (SELECT count(*) FROM (SELECT * FROM u) AS s) AS n FROM t",
    "SELECT *, id IS DISTINCT FROM v AS other FROM t",
    words("SELECT id, (SELECT max(v) FROM u WHERE u.id <= t.id) AS v FROM t"),
    words("FROM t"),
    words("PIVOT (SELECT id % 2 AS p, v, id FROM t) ON p USING max(v) GROUP BY id"),
]


@pytest.mark.parametrize("sql", SHAPES, ids=str)
def test_rows_add_up_whatever_the_query(bench: Bench, sql: str | Words) -> None:
    rules = [bench.expect("odd", "id % 2 = 1"), bench.expect("few", "id < 6", "drop")]
    inputs = {"t": bench.table(NUMBERS, parts=3), "u": bench.table(NUMBERS)}
    staged = bench.stage(sql, inputs, rules)
    written, aside = bench.rows(staged.table), bench.quarantined(staged)
    assert len(written) == staged.counts.written
    assert len(aside) == staged.counts.quarantined
    assert all(r["id"] % 2 == 1 and r["id"] < 6 for r in written)
    assert all(r["id"] % 2 == 0 for r in aside)
    assert staged.counts.out == staged.counts.dropped + len(written) + len(aside)


def test_an_empty_result_leaves_no_file(bench: Bench) -> None:
    rules = [bench.expect("r", "id > 0")]
    staged = bench.stage("SELECT * FROM t WHERE id > 100", {"t": bench.table(NUMBERS)}, rules)
    assert staged.counts == Counts()
    assert (staged.table.files, staged.table.schema.names) == ((), ("id", "v"))
    assert bench.files() == []


def test_an_input_without_files_keeps_its_columns(bench: Bench) -> None:
    empty = TableBatch(
        (), Schema((Field("a b", Primitive("long")), Field("ü", Primitive("date"))))
    )
    staged = bench.stage("SELECT * FROM t", {"t": empty}, [bench.expect("r", '"a b" > 0')])
    assert staged.table.schema == empty.schema


FAILS = words("SELECT error('no') FROM t", postgres="SELECT id / (id - id) AS d FROM t")
A_DAY = words("SELECT INTERVAL 1 DAY AS i FROM t", postgres="SELECT INTERVAL '1 day' AS i FROM t")


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT nope FROM t", ColumnNotFoundError),
        ("SELECT nope(id) FROM t", FunctionNotFoundError),
        ("SELECT id + FROM t", DeclarationError),
        ("SELECT sum(id, v, 3) AS s FROM t", DeclarationError),
        ("SELECT id::VARCHAR::DATE AS d FROM t", ContractError),
        (FAILS, QanatError),
        ("SELECT id, id AS ID FROM t", SchemaMismatchError),
        (A_DAY, TypeNameError),
    ],
    ids=str,
)
def test_an_error_leaves_no_file(bench: Bench, sql: str | Words, error: type[QanatError]) -> None:
    with pytest.raises(error):
        bench.stage(sql, {"t": bench.table(NUMBERS)})
    with pytest.raises(error):
        bench.stage(sql, {"t": bench.table(NUMBERS)}, [bench.expect("r", "1 = 1")])
    assert bench.files() == []
    assert not list((bench.folder / "work").glob("*"))


def test_streams_of_arrow_are_read_once_and_used_twice(bench: Bench) -> None:
    table = pa.table({"id": [1, 2, 3]})
    opened = []

    def open_() -> Any:
        opened.append(1)
        return table.to_reader()

    staged = bench.stage(
        "SELECT a.id FROM t AS a JOIN t AS b USING (id)", {"t": ArrowBatch(open_)},
        [bench.expect("r", "id <> 2")],
    )  # fmt: skip
    assert (staged.counts.written, staged.counts.quarantined, opened) == (2, 1, [1])


def _function(function: Any, *reads: str) -> FunctionQuery:
    made = tuple(Read(n, dataset_ref(n), streaming=False, location=HERE) for n in reads)
    return FunctionQuery(function, "def …", made, ("arrow",) * len(reads), "arrow", HERE)


@needs("functions")
def test_functions_take_and_return_arrow(bench: Bench) -> None:
    def doubled(t: pa.Table, u: pa.Table) -> pa.Table:
        assert u.column_names == ["id", "v"]
        return pa.concat_tables([t, t])

    inputs = {"t": bench.table(NUMBERS), "u": bench.table(NUMBERS)}
    rules = [bench.expect("positive", "v > 0")]
    staged = bench.stage(_function(doubled, "t", "u"), inputs, rules)
    assert staged.counts == Counts(out=16, written=10, quarantined=6)
    assert sorted(r["id"] for r in bench.rows(staged.table)) == [1, 1, 4, 4, 5, 5, 7, 7, 8, 8]


@needs("functions")
def test_a_function_that_returns_no_table_stages_nothing(bench: Bench) -> None:
    with pytest.raises(DeclarationError, match="returned no table"):
        bench.stage(_function(lambda t: t.num_rows, "t"), {"t": bench.table(NUMBERS)})
    assert bench.files() == []


def test_columns_are_known_before_anything_runs(bench: Bench) -> None:
    work = bench.work("SELECT id, v / 2.0 AS half FROM t", {"t": bench.table(NUMBERS)})
    schema = bench.engine.describe(work).schema
    assert schema == bench.stage(work.query, work.inputs).table.schema
    with pytest.raises(ColumnNotFoundError):
        bench.engine.describe(
            bench.work("SELECT id FROM t", work.inputs, [bench.expect("r", "vv > 0")])
        )


def test_a_folder_that_cannot_be_written(bench: Bench) -> None:
    (bench.folder / "target").write_text("in the way")
    with pytest.raises(AdapterError):
        bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, [bench.expect("r", "v > 0")])
    assert bench.files() == []
    assert not list((bench.folder / "work").glob("*"))


def test_an_input_that_is_gone(bench: Bench) -> None:
    batch = bench.table(NUMBERS, parts=3)
    Path(batch.files[1]).unlink()
    with pytest.raises(AdapterError):
        bench.stage("SELECT * FROM t", {"t": batch})
    assert bench.files() == []


def test_several_threads_at_once(bench: Bench) -> None:
    def stage(number: int) -> Staged:
        inputs = {"t": bench.table({"id": list(range(number, number + 1000))}, parts=2)}
        output = Output(bench.folder / f"target-{number}", "x")
        rules = [bench.expect("even", "id % 2 = 0", "drop")]
        work = bench.work("SELECT * FROM t", inputs, rules, output=output)
        return bench.engine.stage(work, lambda fraction: None)

    (bench.folder / "inputs").mkdir()
    with ThreadPoolExecutor(4) as pool:
        for number, staged in enumerate(pool.map(stage, range(8))):
            assert staged.counts == Counts(out=1000, written=500, dropped=500)
            rows = bench.rows(staged.table, folder=f"target-{number}")
            even = range(number + number % 2, number + 1000, 2)
            assert sorted(r["id"] for r in rows) == list(even)
