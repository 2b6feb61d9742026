"""What every engine promises: rows split by rules, staged whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from qanat.errors import (
    ColumnNotFoundError,
    ContractError,
    DatasetNotFoundError,
    QanatError,
    QueryError,
    SchemaMismatchError,
    TypeNameError,
)
from qanat.model.batch import ArrowBatch, Batch, FilesBatch, LocalFile, TableBatch, ViewBatch
from qanat.model.dataset import Drift
from qanat.model.expectation import Action, Expectation, Predicate, References, Rule, Unique
from qanat.model.location import Location
from qanat.model.query import DatasetRead, FilesRead, Read, SqlQuery
from qanat.model.schema import (
    NO_COLUMNS,
    DataType,
    Decimal as DecimalType,
    Field,
    Primitive,
    Schema,
)
from qanat.model.work import Counts, Output, Staged, StagedTable, ViewWork, Work
from qanat.plugins import load
from qanat.ports.engine import Engine
from qanat.ports.store import Commit
from qanat.storage.delta import DeltaStore

HERE = Location("tables.sql", 3, 1)
_TYPES: dict[pa.DataType, DataType] = {
    pa.int64(): Primitive("long"),
    pa.int32(): Primitive("integer"),
    pa.string(): Primitive("string"),
    pa.float64(): Primitive("double"),
    pa.bool_(): Primitive("boolean"),
    pa.date32(): Primitive("date"),
}


class Bench:
    """An engine with a folder to work in."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.store = DeltaStore()

    # -- inputs ---------------------------------------------------------------------------

    def table(self, rows: pa.Table | Mapping[str, Sequence[Any]], parts: int = 1) -> TableBatch:
        """A Delta table's files."""
        table = rows if isinstance(rows, pa.Table) else pa.table(dict(rows))
        folder = self.folder / "inputs"
        folder.mkdir(exist_ok=True)
        files = []
        size = -(-table.num_rows // parts) or 1
        for start in range(0, table.num_rows, size):
            path = folder / f"{uuid4().hex}.parquet"
            pq.write_table(table.slice(start, size), path)
            files.append(str(path))
        fields = [Field(f.name, _TYPES[f.type]) for f in table.schema]
        return TableBatch(tuple(files), Schema(tuple(fields)))

    def csv(self, *texts: str) -> FilesBatch:
        """CSV files with a header."""
        files = []
        for number, text in enumerate(texts):
            path = self.folder / f"{number}-{uuid4().hex[:4]}.csv"
            path.write_text(text, encoding="utf-8")
            files.append(LocalFile(str(path), str(path), len(text.encode()), 0))
        options = (("header", True),)
        return FilesBatch(
            tuple(files), "csv", options, NO_COLUMNS, NO_COLUMNS, Drift.EVOLVE, "in/*.csv"
        )

    # -- work -----------------------------------------------------------------------------

    def work(
        self,
        sql: str,
        inputs: Mapping[str, Batch],
        expectations: Sequence[Expectation] = (),
        **changes: Any,
    ) -> Work:
        token = uuid4().hex
        plain = Work(
            flow="flow",
            epoch=7,
            update="update-1",
            dataset="target",
            query=query(sql, inputs),
            inputs=inputs,
            output=Output(self.folder / "target", f"epoch-7-{token}"),
            quarantine=Output(self.folder / "target__quarantine", f"epoch-7-{token}"),
            scratch=self.folder / "work" / token,
            at_ns=1_700_000_000_123_456_000,
            expectations=tuple(expectations),
        )
        return replace(plain, **changes)

    def stage(
        self,
        sql: str,
        inputs: Mapping[str, Batch],
        expectations: Sequence[Expectation] = (),
        **changes: Any,
    ) -> Staged:
        staged = self.engine.stage(self.work(sql, inputs, expectations, **changes), _silent)
        assert staged.counts.balanced or staged.failed
        assert not list((self.folder / "work").glob("*"))
        return staged

    # -- results --------------------------------------------------------------------------

    def rows(
        self, staged: StagedTable, *partition_by: str, folder: str = "target"
    ) -> list[dict[str, Any]]:
        """Staged rows as another Delta reader sees them once they are published."""
        return self.publish(staged, *partition_by, folder=folder).to_pyarrow_table().to_pylist()

    def publish(
        self, staged: StagedTable, *partition_by: str, folder: str = "target"
    ) -> deltalake.DeltaTable:
        path = self.folder / folder
        number = self.store.transaction(str(path), "t") + 1
        commit = Commit(path, staged.schema, staged.files, False, "t", number, partition_by)
        self.store.publish(commit)
        return deltalake.DeltaTable(path)

    def quarantined(self, staged: Staged, name: str = "target") -> list[dict[str, Any]]:
        found = staged.quarantines.get(name)
        return [] if found is None else self.rows(found, folder=f"{name}__quarantine")

    def files(self) -> list[Path]:
        """Everything that lies in the folders of tables."""
        folders = [p for p in self.folder.glob("target*") if p.is_dir()]
        return [p for f in folders for p in f.rglob("*") if p.is_file() and "_delta" not in str(p)]


def query(sql: str, inputs: Mapping[str, Batch]) -> SqlQuery:
    def read(name: str, batch: Batch) -> Read:
        files = isinstance(batch, FilesBatch)
        source = FilesRead(batch.path, batch.format) if files else DatasetRead(name)
        return Read(name, source, streaming=True, location=HERE)

    reads = tuple(read(n, b) for n, b in inputs.items())
    return SqlQuery(sql, sql, "duckdb", reads, HERE)


def expect(name: str, rule: str | Rule, action: str = "quarantine") -> Expectation:
    made = Predicate(rule, "duckdb") if isinstance(rule, str) else rule
    return Expectation(name, made, Action(action), Location("tables.sql", 1, 1))


def _silent(fraction: float | None) -> None:
    assert fraction is None or 0 <= fraction <= 1


@pytest.fixture(params=["duckdb"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    engine = load("engines", request.param)(tmp_path / "scratch", 500 * 2**20, 2)
    yield Bench(engine, tmp_path)
    engine.close()
    assert not (tmp_path / "scratch").exists()


def violations(staged: Staged) -> dict[str, int]:
    return {r.rule: r.violations for r in staged.rules}


NUMBERS = {"id": list(range(1, 9)), "v": [5, -1, None, 7, 700, -2, 8, 9]}


# -- actions ------------------------------------------------------------------------------------


def test_without_rules_everything_is_written(bench: Bench) -> None:
    staged = bench.stage("SELECT id FROM t", {"t": bench.table(NUMBERS)})
    assert staged.counts == Counts(out=8, written=8)
    assert [r["id"] for r in bench.rows(staged.table)] == list(range(1, 9))
    assert staged.quarantines == {}


def test_what_each_action_does(bench: Bench) -> None:
    rules = [
        expect("seen", "v <> 9", "warn"),
        expect("positive", "v > 0", "drop"),
        expect("small", "v < 100", "quarantine"),
        expect("sane", "id < 100", "fail"),
    ]
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
    # NULL violates both: of two removing actions, keeping the row wins.
    assert staged.counts == Counts(out=8, written=4, dropped=2, quarantined=2)
    assert violations(staged) == {"seen": 2, "positive": 3, "small": 2, "sane": 0}
    assert [r["id"] for r in bench.rows(staged.table)] == [1, 4, 7, 8]
    assert {r["id"]: sorted(dict(r["_quarantine_rules"])) for r in bench.quarantined(staged)} == {
        3: ["positive", "seen", "small"],
        5: ["small"],
    }


def test_a_failing_rule_stages_nothing(bench: Bench) -> None:
    rules = [expect("no", "v > 0", "fail"), expect("aside", "v < 100"), expect("d", "v>0", "drop")]
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
    assert [(r.rule, r.violations) for r in staged.failed] == [("no", 3)]
    assert violations(staged) == {"no": 3, "aside": 2, "d": 3}
    assert (staged.table.files, staged.quarantines, bench.files()) == ((), {}, [])


def test_a_quarantined_row_says_what_when_and_where(bench: Bench) -> None:
    batch = bench.table(NUMBERS)
    rules = [expect("it's small", "v < 100"), expect("known", "v IS NOT NULL")]
    staged = bench.stage("SELECT * FROM t", {"t": batch}, rules)
    rows = {r["id"]: r for r in bench.quarantined(staged)}
    assert dict(rows[3]["_quarantine_rules"]) == {
        "it's small": "v < 100",
        "known": "v IS NOT NULL",
    }
    assert rows[5]["_quarantine_source"] == {"file": batch.files[0], "row": 5}
    assert (rows[5]["_quarantine_flow"], rows[5]["_quarantine_epoch"]) == ("flow", 7)
    assert rows[5]["_quarantine_update"] == "update-1"
    assert rows[5]["_quarantine_at"] == dt.datetime.fromtimestamp(
        1_700_000_000, dt.UTC
    ) + dt.timedelta(microseconds=123_456)
    assert len({r["_quarantine_id"] for r in rows.values()}) == 2


@pytest.mark.parametrize("count", [62, 63, 130])
def test_more_rules_than_bits_in_a_mask(bench: Bench, count: int) -> None:
    rules = [expect(f"not_{i}", f"id <> {i}") for i in range(count - 1)]
    rules.append(expect("last", Unique(("v",)), "drop"))
    table = bench.table({"id": list(range(count + 10)), "v": [1] * 2 + list(range(2, count + 10))})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules)
    assert staged.counts == Counts(out=count + 10, written=11, quarantined=count - 1)
    assert set(violations(staged).values()) == {0, 1} if count == 0 else {1}
    assert {r["id"]: list(dict(r["_quarantine_rules"])) for r in bench.quarantined(staged)} == {
        i: [f"not_{i}"] for i in range(count - 1)
    }


def test_a_rule_that_does_not_compile_names_its_own_place(bench: Bench) -> None:
    with pytest.raises(ColumnNotFoundError) as raised:
        bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, [expect("r", "vv > 0")])
    assert (raised.value.location, raised.value.nearest) == (Location("tables.sql", 1, 1), "v")
    assert bench.files() == []


def test_a_rule_that_cannot_be_evaluated_stages_nothing(bench: Bench) -> None:
    table = bench.table({"v": ["1", "x"]})
    with pytest.raises(ContractError, match="does not fit"):
        bench.stage("SELECT * FROM t", {"t": table}, [expect("r", "v::INT > 0")])
    assert bench.files() == []


# -- UNIQUE and REFERENCES ----------------------------------------------------------------------


def test_the_first_of_a_key_is_kept(bench: Bench) -> None:
    table = bench.table({"k": [3, 1, 3, None, 2, 1, None, 3], "n": list(range(8))}, parts=3)
    staged = bench.stage("SELECT * FROM t", {"t": table}, [expect("one", Unique(("k",)))])
    assert sorted(r["n"] for r in bench.rows(staged.table)) == [0, 1, 3, 4, 6]
    assert sorted(r["n"] for r in bench.quarantined(staged)) == [2, 5, 7]


def test_what_the_table_holds_comes_first(bench: Bench) -> None:
    rules = [expect("one", Unique(("a", "b")))]
    known = bench.table({"a": [1, 2, None], "b": ["x", None, "x"]})
    new = bench.table(
        {"a": [1, 1, 2, 2, None, 1], "b": ["x", "y", None, "z", "x", "y"], "n": list(range(6))}
    )
    work = bench.work("SELECT * FROM t", {"t": new}, rules)
    output = replace(work.output, existing=known)
    staged = bench.stage("SELECT * FROM t", {"t": new}, rules, output=output)
    assert sorted(r["n"] for r in bench.rows(staged.table)) == [1, 2, 3, 4]
    assert sorted(r["n"] for r in bench.quarantined(staged)) == [0, 5]


def test_a_removed_row_takes_no_key(bench: Bench) -> None:
    rules = [expect("good", "ok", "drop"), expect("one", Unique(("k",)))]
    table = bench.table({"k": [1, 1, 1, 2, 2], "ok": [False, True, True, False, False]})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules)
    assert staged.counts == Counts(out=5, written=1, dropped=3, quarantined=1)
    assert violations(staged) == {"good": 3, "one": 1}


def test_several_unique_rules_in_their_order(bench: Bench) -> None:
    rules = [expect("by_a", Unique(("a",))), expect("by_b", Unique(("b",)), "drop")]
    table = bench.table({"a": [1, 1, 2, 3], "b": [7, 8, 8, 7]})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules)
    # The second row is gone when b is looked at: the third may have its 8.
    assert [(r["a"], r["b"]) for r in bench.rows(staged.table)] == [(1, 7), (2, 8)]
    assert violations(staged) == {"by_a": 1, "by_b": 1}


def test_a_doubled_key_that_is_only_warned_about_stays(bench: Bench) -> None:
    table = bench.table({"k": [1, 1, 1]})
    staged = bench.stage("SELECT * FROM t", {"t": table}, [expect("one", Unique(("k",)), "warn")])
    assert (staged.counts.written, violations(staged)) == (3, {"one": 2})


def test_references_let_nulls_through(bench: Bench) -> None:
    rules = [expect("known", References(("a", "b"), "Other", ("x", "y")))]
    other = bench.table({"x": [1, 2, None], "y": ["p", None, "p"]})
    table = bench.table({"a": [1, 1, 2, None, 3], "b": ["p", "q", None, "p", "p"]})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules, references={"other": other})
    assert [(r["a"], r["b"]) for r in bench.quarantined(staged)] == [(1, "q"), (3, "p")]


def test_references_to_a_table_without_rows(bench: Bench) -> None:
    rules = [expect("known", References(("id",), "other", ("x",)), "drop")]
    empty = TableBatch((), Schema((Field("x", Primitive("long")),)))
    staged = bench.stage(
        "SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules, references={"other": empty}
    )
    assert staged.counts.dropped == 8


def test_references_to_what_is_not_there(bench: Bench) -> None:
    rules = [expect("known", References(("id",), "other", ("x",)))]
    with pytest.raises(DatasetNotFoundError, match="'other'"):
        bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)


# -- queries of every shape ---------------------------------------------------------------------


def _shapes() -> Iterator[tuple[str, str]]:
    for sql in (
        "SELECT t.id, u.v FROM t JOIN u ON t.id >= u.id",
        "SELECT id, v FROM t LEFT JOIN (SELECT id AS i FROM u) ON id = i",
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
        "SELECT id, v FROM t TABLESAMPLE 50%",
        "SELECT id, v FROM t, generate_series(1, 3)",
        "WITH c AS (SELECT * FROM t) SELECT * FROM c",
        "SELECT id, v FROM (SELECT * FROM t WHERE id > 2)",
        "SELECT id, (SELECT max(v) FROM u WHERE u.id <= t.id) AS v FROM t",
        "FROM t",
        "PIVOT (SELECT id % 2 AS p, v, id FROM t) ON p USING max(v) GROUP BY id",
    ):
        yield sql, sql


@pytest.mark.parametrize("sql", [s for s, _ in _shapes()])
def test_rows_add_up_whatever_the_query(bench: Bench, sql: str) -> None:
    rules = [expect("odd", "id % 2 = 1"), expect("few", "id < 6", "drop")]
    inputs = {"t": bench.table(NUMBERS, parts=3), "u": bench.table(NUMBERS)}
    staged = bench.stage(sql, inputs, rules)
    written, aside = bench.rows(staged.table), bench.quarantined(staged)
    assert len(written) == staged.counts.written
    assert len(aside) == staged.counts.quarantined
    assert all(r["id"] % 2 == 1 and r["id"] < 6 for r in written)
    assert all(r["id"] % 2 == 0 for r in aside)
    assert staged.counts.out == staged.counts.dropped + len(written) + len(aside)


def test_an_empty_result_leaves_no_file(bench: Bench) -> None:
    rules = [expect("r", "id > 0")]
    staged = bench.stage("SELECT * FROM t WHERE id > 100", {"t": bench.table(NUMBERS)}, rules)
    assert staged.counts == Counts()
    assert (staged.table.files, staged.table.schema.names) == ((), ("id", "v"))
    assert bench.files() == []


def test_an_input_without_files_keeps_its_columns(bench: Bench) -> None:
    empty = TableBatch(
        (), Schema((Field("a b", Primitive("long")), Field("ü", Primitive("date"))))
    )
    staged = bench.stage("SELECT * FROM t", {"t": empty}, [expect("r", '"a b" > 0')])
    assert staged.table.schema == empty.schema


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT nope FROM t", ColumnNotFoundError),
        ("SELECT id::VARCHAR::DATE AS d FROM t", ContractError),
        ("SELECT error('no') FROM t", QueryError),
        ("SELECT id, id AS ID FROM t", SchemaMismatchError),
        ("SELECT INTERVAL 1 DAY AS i FROM t", TypeNameError),
    ],
)
def test_an_error_leaves_no_file(bench: Bench, sql: str, error: type[QanatError]) -> None:
    with pytest.raises(error):
        bench.stage(sql, {"t": bench.table(NUMBERS)})
    with pytest.raises(error):
        bench.stage(sql, {"t": bench.table(NUMBERS)}, [expect("r", "1 = 1")])
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
        [expect("r", "id <> 2")],
    )  # fmt: skip
    assert (staged.counts.written, staged.counts.quarantined, opened) == (2, 1, [1])


# -- temporary views ----------------------------------------------------------------------------


def test_views_have_rules_and_a_quarantine_of_their_own(bench: Bench) -> None:
    inputs: dict[str, Batch] = {"t": bench.table(NUMBERS)}
    view = ViewWork(
        "checked",
        query("SELECT * FROM t", inputs),
        (expect("positive", "v > 0"), expect("small", "v < 100", "drop")),
        Output(bench.folder / "checked__quarantine", "x"),
    )
    reading = query("SELECT id FROM c", {"c": ViewBatch("checked")})
    staged = bench.stage(
        "", inputs | {"c": ViewBatch("checked")}, [expect("late", "id < 8")],
        query=reading, views=(view,),
    )  # fmt: skip
    assert staged.view_counts["checked"] == Counts(out=8, written=4, dropped=1, quarantined=3)
    assert staged.counts == Counts(out=4, written=3, quarantined=1)
    assert [r["id"] for r in bench.rows(staged.table)] == [1, 4, 7]
    assert [r["id"] for r in bench.quarantined(staged, "checked")] == [2, 3, 6]
    assert {(r.dataset, r.rule): r.violations for r in staged.rules} == {
        ("checked", "positive"): 3,
        ("checked", "small"): 2,
        ("target", "late"): 1,
    }


def test_a_view_that_fails_stages_nothing(bench: Bench) -> None:
    inputs: dict[str, Batch] = {"t": bench.table(NUMBERS)}
    output = Output(bench.folder / "target_view__quarantine", "x")
    rules = (expect("never", "v > 0", "fail"), expect("aside", "v < 100"))
    view = ViewWork("checked", query("SELECT * FROM t", inputs), rules, output)
    reading = query("SELECT id FROM c", {"c": ViewBatch("checked")})
    both = inputs | {"c": ViewBatch("checked")}
    staged = bench.stage("", both, query=reading, views=(view,))
    assert [(r.dataset, r.rule, r.violations) for r in staged.failed] == [("checked", "never", 3)]
    assert bench.files() == []


# -- positions and _metadata --------------------------------------------------------------------

TWO_FILES = ("id,v\n1,5\n2,-5\n3,6\n", "id,v\n4,-7\n5,8\n")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM f",
        "FROM f",
        "SELECT id, v FROM f",
        "SELECT x.* FROM f AS x",
        "SELECT F.* FROM f",
        "SELECT * EXCLUDE (id), id FROM f",
        "SELECT * REPLACE (v + 0 AS v) FROM f",
        "SELECT * RENAME (id AS id) FROM f",
        "SELECT id, v FROM f WHERE id > 0",
        "SELECT f.*, _metadata.file_path AS p FROM f",
        "SELECT *, _metadata.file_name FROM f",
        "SELECT v, x.id FROM f AS x LEFT JOIN g ON g.id = x.id",
    ],
)
def test_quarantined_rows_of_files_say_where_they_came_from(bench: Bench, sql: str) -> None:
    batch = bench.csv(*TWO_FILES)
    inputs: dict[str, Batch] = {"f": batch}
    if " g " in sql:
        inputs["g"] = bench.table({"id": [1, 2]})
    staged = bench.stage(sql, inputs, [expect("positive", "v > 0")])
    first, second = (f.path for f in batch.files)
    assert {r["id"]: r["_quarantine_source"] for r in bench.quarantined(staged)} == {
        2: {"file": first, "row": 3},
        4: {"file": second, "row": 2},
    }
    assert not [n for n in staged.table.schema.names if n.startswith(("_metadata", "__"))]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM (SELECT * FROM f)",
        "WITH c AS (SELECT * FROM f) SELECT * FROM c",
        "WITH c AS (SELECT *, _metadata.file_path AS p FROM f) SELECT * FROM c",
        "SELECT * FROM f UNION ALL SELECT * FROM f WHERE false",
    ],
)
def test_hidden_columns_stay_hidden_below_other_queries(bench: Bench, sql: str) -> None:
    staged = bench.stage(sql, {"f": bench.csv(*TWO_FILES)}, [expect("positive", "v > 0")])
    assert staged.counts == Counts(out=5, written=3, quarantined=2)
    assert [n for n in staged.table.schema.names if n != "p"] == ["id", "v"]


def test_malformed_rows_are_quarantined_with_their_text(bench: Bench) -> None:
    batch = replace(
        bench.csv("id,v\n1,5\n2,six\n3,7\n"),
        declared=Schema((Field("id", Primitive("long")), Field("v", Primitive("long")))),
    )
    staged = bench.stage("SELECT * FROM f", {"f": batch}, [expect("few", "id < 3")])
    assert staged.counts == Counts(out=2, written=1, quarantined=1, malformed=1)
    rows = bench.quarantined(staged)
    assert len({r["_quarantine_id"] for r in rows}) == 2
    (bad,) = (r for r in rows if r["_quarantine_raw"] is not None)
    assert (bad["_quarantine_raw"], bad["_quarantine_source"]["row"]) == ("2,six", 3)
    assert list(dict(bad["_quarantine_rules"])) == ["_malformed"]


def test_a_quarantine_takes_rows_whose_columns_got_another_type(bench: Bench) -> None:
    inputs = {"t": bench.table({"id": [1, 2]})}
    rules = [expect("never", "id > 9")]
    known = bench.stage("SELECT id, id AS x FROM t", inputs, rules)
    bench.quarantined(known)
    output = Output(
        bench.folder / "target__quarantine", "y", schema=known.quarantines["target"].schema
    )
    staged = bench.stage("SELECT id, 'a' || id AS x FROM t", inputs, rules, quarantine=output)
    rows = sorted(bench.quarantined(staged), key=lambda r: (r["x"] is None, r["id"]))
    assert [(r["id"], r["x"]) for r in rows[:2]] == [(1, 1), (2, 2)]
    assert [(r["id"], r["x"], json.loads(r["_quarantine_raw"])) for r in rows[2:]] == [
        (1, None, {"id": 1, "x": "a1"}),
        (2, None, {"id": 2, "x": "a2"}),
    ]


# -- columns ------------------------------------------------------------------------------------


def _into(bench: Bench, sql: str, table: Schema, **changes: Any) -> Staged:
    work = bench.work(sql, {"t": bench.table(NUMBERS)})
    output = replace(work.output, schema=table, **changes)
    return bench.stage(sql, {"t": bench.table(NUMBERS)}, output=output)


def test_columns_join_go_missing_and_widen(bench: Bench) -> None:
    table = Schema(
        (
            Field("ID", Primitive("long"), comment="who"),
            Field("gone", Primitive("date")),
            Field("v", Primitive("double")),
            Field("d", DecimalType(12, 2)),
        )
    )
    staged = _into(
        bench, "SELECT 1.5::DECIMAL(4,1) AS d, v::INT AS v, id, 'x' AS new FROM t", table
    )
    assert staged.table.schema.names == ("ID", "gone", "v", "d", "new")
    assert staged.table.schema.fields[:4] == table.fields
    (first, *_) = bench.rows(staged.table)
    assert first == {"ID": 1, "gone": None, "v": 5.0, "d": Decimal("1.50"), "new": "x"}


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ("id::DOUBLE", "long"),
        ("id", "integer"),
        ("id::VARCHAR", "long"),
        ("id", "string"),
        ("id", "double"),
        ("now()::TIMESTAMP", "date"),
    ],
)
def test_narrowing_is_refused(bench: Bench, column: str, type_: str) -> None:
    table = Schema((Field("c", Primitive(type_)),))
    with pytest.raises(SchemaMismatchError, match="does not fit its table"):
        _into(bench, f"SELECT {column} AS c FROM t", table)
    assert bench.files() == []


def test_declared_columns_are_cast_and_complete(bench: Bench) -> None:
    declared = Schema((Field("id", Primitive("integer")), Field("v", Primitive("string"))))
    staged = _into(bench, "SELECT v, id FROM t", NO_COLUMNS, declared=declared)
    assert staged.table.schema == declared
    with pytest.raises(SchemaMismatchError, match="'v' that its query does not give"):
        _into(bench, "SELECT id FROM t", NO_COLUMNS, declared=declared)
    with pytest.raises(SchemaMismatchError, match="'w' that is not declared"):
        _into(bench, "SELECT id, v, 1 AS w FROM t", NO_COLUMNS, declared=declared)


def local(*parts: int) -> dt.datetime:
    """A time without a zone, as TIMESTAMP is."""
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


TYPES = [
    ("true", True),
    ("(-128)::TINYINT", -128),
    ("255::UTINYINT", 255),
    ("65535::USMALLINT", 65535),
    ("4294967295::UINTEGER", 4294967295),
    ("18446744073709551615::UBIGINT", Decimal("18446744073709551615")),
    ("9223372036854775807::BIGINT", 2**63 - 1),
    ("(-99999999999999999999999999999999999999)::HUGEINT", Decimal("-9" + "9" * 37)),
    ("1::UHUGEINT", Decimal(1)),
    ("1.5::FLOAT", 1.5),
    ("0.1::DOUBLE", 0.1),
    ("12345678901234567890.12::DECIMAL(38,2)", Decimal("12345678901234567890.12")),
    ("'grüße 🐪'", "grüße 🐪"),
    ("'\\x00\\xFF'::BLOB", b"\x00\xff"),
    ("'9999-12-31'::DATE", dt.date(9999, 12, 31)),
    ("'1969-12-31 23:59:59.999999'::TIMESTAMP", local(1969, 12, 31, 23, 59, 59, 999999)),
    ("'2020-01-02 03:04:05'::TIMESTAMP_S", local(2020, 1, 2, 3, 4, 5)),
    ("'2020-01-02 03:04:05.678'::TIMESTAMP_MS", local(2020, 1, 2, 3, 4, 5, 678000)),
    ("'2020-01-02 03:04:05.678901'::TIMESTAMP_NS", local(2020, 1, 2, 3, 4, 5, 678901)),
    ("'2020-01-02 03:04:05+02'::TIMESTAMPTZ", dt.datetime(2020, 1, 2, 1, 4, 5, tzinfo=dt.UTC)),
    ("'12:34:56.789'::TIME", "12:34:56.789"),
    (
        "'00000000-0000-0000-0000-0000000000ff'::UUID",
        "00000000-0000-0000-0000-0000000000ff",
    ),
    ("'b'::ENUM('a', 'b')", "b"),
    ("""'{"a": [1, null]}'::JSON""", '{"a": [1, null]}'),
    ("'101'::BIT", "101"),
    ("NULL", None),
    ("[1, NULL, 3]", [1, None, 3]),
    ("[1, 2]::INT[2]", [1, 2]),
    ("{'a': 1, 'b c': {'d': ['x']}}", {"a": 1, "b c": {"d": ["x"]}}),
    ("MAP {'k': {'v': 1.5::DOUBLE}}", [("k", {"v": 1.5})]),
    ("{'u': 7::UTINYINT, 't': ['01:02:03'::TIME]}", {"u": 7, "t": ["01:02:03"]}),
]


@pytest.mark.parametrize(("sql", "value"), TYPES)
def test_values_of_every_type(bench: Bench, sql: str, value: Any) -> None:
    inputs = {"t": bench.table({"id": [1, 2]})}
    rules = [expect("first", "id = 1")]
    staged = bench.stage(f"SELECT id, {sql} AS c FROM t", inputs, rules)
    (row,) = bench.rows(staged.table)
    assert row["c"] == value
    assert type(row["c"]) is type(value)
    (aside,) = bench.quarantined(staged)
    assert aside["c"] == value
    # What was written once can be appended to.
    output = Output(bench.folder / "target", uuid4().hex, schema=staged.table.schema)
    more = bench.stage(f"SELECT id, {sql} AS c FROM t", inputs, output=output)
    assert more.table.schema == staged.table.schema
    assert len(bench.rows(more.table)) == 3


@pytest.mark.parametrize("sql", ["INTERVAL 1 DAY", "[INTERVAL 1 DAY]", "union_value(a := 1)"])
def test_types_that_tables_cannot_store(bench: Bench, sql: str) -> None:
    with pytest.raises(TypeNameError, match="'c' of target has a type that tables cannot store"):
        bench.stage(f"SELECT {sql} AS c", {})


# -- partitions ---------------------------------------------------------------------------------

ODD_KEYS = ["a", "ü ö", "a/b", "x=y", "50%", None, "NULL", "__HIVE_DEFAULT_PARTITION__", "'", "#?",
            "2024-01-01 00:00:00", "a\nb", ":*<>|\\", ".", "..", " "]  # fmt: skip


def test_partition_values_of_every_kind(bench: Bench) -> None:
    inputs = {"t": bench.table({"k": ODD_KEYS, "n": list(range(len(ODD_KEYS)))})}
    output = Output(bench.folder / "target", "p", partition_by=("k",))
    staged = bench.stage("SELECT * FROM t", inputs, [expect("r", "n >= 0")], output=output)
    rows = bench.rows(staged.table, "k")
    assert sorted((r["n"], r["k"]) for r in rows) == list(enumerate(ODD_KEYS))
    # As the engine reads it back, too.
    batch = bench.store.snapshot(str(bench.folder / "target")).batch
    _, read = bench.engine.fetch(batch)
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
    batch = bench.store.snapshot(str(bench.folder / "target")).batch
    schema, read = bench.engine.fetch(batch)
    assert schema == staged.table.schema
    assert sorted(read, key=str) == sorted((tuple(r.values()) for r in rows), key=str)


def test_an_empty_text_as_partition_is_null_as_in_delta(bench: Bench) -> None:
    inputs = {"t": bench.table({"k": ["", "a"], "n": [1, 2]})}
    output = Output(bench.folder / "target", "p", partition_by=("k",))
    rules = [expect("r", "k IS NOT NULL", "warn")]
    staged = bench.stage("SELECT * FROM t", inputs, rules, output=output)
    assert violations(staged) == {"r": 1}
    assert {r["n"]: r["k"] for r in bench.rows(staged.table, "k")} == {1: None, 2: "a"}


def test_a_folder_above_a_table_is_no_partition(bench: Bench) -> None:
    folder = bench.folder / "env=dev" / "id=9"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"id": [1, 2], "env": ["x", "y"]}), folder / "f.parquet")
    schema = Schema((Field("id", Primitive("long")), Field("env", Primitive("string"))))
    batch = TableBatch((str(folder / "f.parquet"),), schema)
    assert bench.engine.fetch(batch)[1] == [(1, "x"), (2, "y")]


def test_a_folder_above_a_partitioned_table_is_none_either(bench: Bench) -> None:
    folder = bench.folder / "env=dev" / "t"
    (folder / "k=1").mkdir(parents=True)
    pq.write_table(pa.table({"env": ["x", "y"]}), folder / "k=1" / "f.parquet")
    schema = Schema((Field("env", Primitive("string")), Field("k", Primitive("long"))))
    batch = TableBatch((str(folder / "k=1" / "f.parquet"),), schema, ("k",))
    assert bench.engine.fetch(batch)[1] == [("x", 1), ("y", 1)]


# -- statistics ---------------------------------------------------------------------------------


LONG = "ä" * 200
STATISTICS: list[tuple[str, list[Any]]] = [
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
    ("v::HUGEINT", [Decimal(10**37), Decimal(1 - 10**37)]),
    ("v::TIMESTAMP", [dt.datetime.min, dt.datetime(2020, 1, 1, 0, 0, 0, 999_999)]),  # noqa: DTZ001, DTZ901
    ("v::TIMESTAMP", [dt.datetime(2020, 1, 1, 0, 0, 0, 1)]),  # noqa: DTZ001
    ("v::TIMESTAMPTZ", [dt.datetime(1969, 12, 31, 23, 59, 59, 999_001, dt.UTC), None]),
    ("v::BLOB", [b"a", b"\xff"]),
]


@pytest.mark.parametrize(("column", "values"), STATISTICS)
def test_no_reader_skips_a_row_by_its_statistics(
    bench: Bench, column: str, values: list[Any]
) -> None:
    type_ = column.partition("::")[2]
    arrow = ArrowBatch(lambda: pa.table({"v": values, "n": range(len(values))}).to_reader())
    staged = bench.stage(f"SELECT {column} AS v, n, 'x' AS other FROM t", {"t": arrow})
    table = bench.publish(staged.table)
    (stats,) = (json.loads(f.stats) for f in staged.table.files)
    assert stats["numRecords"] == len(values)
    assert type_ == "BLOB" or stats["nullCount"]["v"] == values.count(None)
    dataset = table.to_pyarrow_dataset()
    for value in dict.fromkeys(values):
        if value is not None and value == value:
            equal = pc.field("v") == pa.scalar(value, dataset.schema.field("v").type)
            assert dataset.count_rows(equal) == values.count(value), type_
    if any(v is None for v in values):
        assert dataset.count_rows(pc.field("v").is_null()) == values.count(None)


def test_no_column_of_a_wide_table_hides_rows(bench: Bench) -> None:
    lists = ", ".join(f"[id] AS l{i}" for i in range(5))
    numbers = ", ".join(f"id + {i} AS n{i}" for i in range(45))
    sql = f"SELECT 'p' AS p, {lists}, {{'a': id, 'b': 'x'}} AS s, 'x'::BLOB AS b, {numbers} FROM t"
    output = Output(bench.folder / "target", "w", partition_by=("p",))
    staged = bench.stage(sql, {"t": bench.table(NUMBERS)}, output=output)
    dataset = bench.publish(staged.table, "p").to_pyarrow_dataset()
    for i in range(45):
        assert dataset.count_rows(pc.field(f"n{i}") == 1 + i) == 1, i
    assert dataset.count_rows(pc.field("b") == b"x") == 8


def test_statistics_as_another_reader_sees_them(bench: Bench) -> None:
    sql = """SELECT id, v, NULL::BIGINT AS none, {'x': id} AS st, [id] AS li,
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


# -- against a model ----------------------------------------------------------------------------

Row = dict[str, Any]


def _model(
    rows: list[Row], rules: list[Expectation], existing: list[Row], other: set[int]
) -> tuple[list[int], list[int], list[int], dict[str, int]]:
    """Written, dropped and quarantined row numbers, and violations, by the plainest code."""
    broken: list[set[str]] = [set() for _ in rows]

    def removed(i: int) -> bool:
        return any(e.name in broken[i] and e.action in ("drop", "quarantine") for e in rules)

    for e in rules:
        for i, row in enumerate(rows):
            if isinstance(e.rule, Predicate):
                column, op, bound = e.rule.sql.split()
                value = row[column]
                ok = value is not None and (
                    value < int(bound) if op == "<" else value != int(bound)
                )
                if not ok:
                    broken[i].add(e.name)
            elif isinstance(e.rule, References):
                value = row[e.rule.columns[0]]
                if value is not None and value not in other:
                    broken[i].add(e.name)
    for e in rules:
        if not isinstance(e.rule, Unique):
            continue
        taken = {tuple(r[c] for c in e.rule.columns) for r in existing}
        mine = set()
        for i, row in enumerate(rows):
            key = tuple(row[c] for c in e.rule.columns)
            if None in key:
                continue
            if key in taken:
                mine.add(i)
            elif not removed(i):
                taken.add(key)
        # A row that another rule removes breaks this one too if a kept row has its key.
        first: dict[tuple[Any, ...], int] = {}
        held = {tuple(r[c] for c in e.rule.columns) for r in existing}
        for i, row in enumerate(rows):
            key = tuple(row[c] for c in e.rule.columns)
            if None not in key and key not in held and not removed(i):
                first.setdefault(key, i)
        for i, row in enumerate(rows):
            key = tuple(row[c] for c in e.rule.columns)
            if None not in key and (key in held or i > first.get(key, i)):
                mine.add(i)
        for i in mine:
            broken[i].add(e.name)
    counts = {e.name: sum(e.name in b for b in broken) for e in rules}
    quarantine = {e.name for e in rules if e.action is Action.QUARANTINE}
    drop = {e.name for e in rules if e.action is Action.DROP}
    aside = [i for i, b in enumerate(broken) if b & quarantine]
    dropped = [i for i, b in enumerate(broken) if b & drop and not b & quarantine]
    written = [i for i in range(len(rows)) if i not in {*aside, *dropped}]
    return written, dropped, aside, counts


@pytest.mark.parametrize("seed", range(25))
def test_rows_are_split_as_by_a_plain_model(bench: Bench, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311

    def some(count: int) -> list[Row]:
        return [
            {c: draw.choice([None, *range(draw.choice([3, 12]))]) for c in "abc"}
            for _ in range(count)
        ]

    def rule() -> Rule:
        match draw.randrange(4):
            case 0:
                return Unique(tuple(draw.sample("abc", draw.choice([1, 2]))))
            case 1:
                return References((draw.choice("abc"),), "other", ("x",))
            case _:
                text = f"{draw.choice('abc')} {draw.choice(['<', '<>'])} {draw.randrange(10)}"
                return Predicate(text, "duckdb")

    actions = ["warn", "drop", "quarantine"]
    rules = [expect(f"r{i}", rule(), draw.choice(actions)) for i in range(draw.randint(1, 6))]
    rows, existing = some(draw.choice([0, 1, 40, 300])), some(draw.choice([0, 20]))
    other = set(range(0, 12, draw.choice([1, 2, 3])))
    columns = {c: pa.array([r[c] for r in rows], pa.int64()) for c in "abc"}
    columns["n"] = pa.array(range(len(rows)), pa.int64())
    held = pa.table({c: pa.array([r[c] for r in existing], pa.int64()) for c in "abc"})
    sql = draw.choice(["SELECT * FROM t", "SELECT * FROM (SELECT * FROM t ORDER BY n)"])
    inputs = {"t": bench.table(pa.table(columns), parts=draw.choice([1, 3]))}
    output = Output(bench.folder / "target", "m", existing=bench.table(held))
    staged = bench.stage(
        sql, inputs, rules, output=output,
        references={"other": bench.table({"x": sorted(other)})},
    )  # fmt: skip
    written, dropped, aside, counts = _model(rows, rules, existing, other)
    assert sorted(r["n"] for r in bench.rows(staged.table)) == written
    assert sorted(r["n"] for r in bench.quarantined(staged)) == aside
    assert staged.counts == Counts(len(rows), len(written), len(dropped), len(aside))
    assert violations(staged) == counts
    reasons = Counter(k for r in bench.quarantined(staged) for k, _ in r["_quarantine_rules"])
    assert set(reasons) <= {e.name for e in rules}
