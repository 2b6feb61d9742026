"""Where a quarantined row came from, and columns that stay hidden."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qanat.model.quarantine import QUARANTINE_FIELDS
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.staged import Counts
from qanat.model.work import Batch
from tests.conformance.engine.bench import NUMBERS, Bench
from tests.conformance.engine.capabilities import Words, needs, words

QUARANTINE = Schema((Field("id", Primitive("long")), *QUARANTINE_FIELDS))


@needs("positions")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t",
        "SELECT id, v FROM t",
        "SELECT x.* FROM t AS x",
        "SELECT id, v + 0 AS v FROM t WHERE id > 1",
        "SELECT v, x.id FROM t AS x LEFT JOIN u ON u.id = x.id",
        words("FROM t"),
        words("SELECT * EXCLUDE (id), id FROM t", postgres="SELECT * EXCEPT (id), id FROM t"),
        words("SELECT * REPLACE (v + 0 AS v) FROM t"),
    ],
    ids=str,
)
def test_quarantined_rows_of_tables_say_where_they_came_from(
    bench: Bench, sql: str | Words
) -> None:
    batch = bench.table(NUMBERS, parts=3)
    inputs: dict[str, Batch] = {"t": batch, "u": bench.table({"id": [3, 5]})}
    staged = bench.stage(sql, inputs, [bench.expect("small", "v < 100")])
    first, second, _ = batch.files
    assert {r["id"]: r["_quarantine_source"] for r in bench.quarantined(staged)} == {
        3: {"file": first, "row": 3},
        5: {"file": second, "row": 2},
    }
    assert set(staged.table.schema.names) == {"id", "v"}


@pytest.mark.parametrize(
    "sql", ["SELECT v, count(*) AS n FROM t GROUP BY v", "SELECT DISTINCT v FROM t"]
)
def test_rows_that_are_made_of_several_come_from_nowhere(bench: Bench, sql: str) -> None:
    staged = bench.stage(sql, {"t": bench.table(NUMBERS)}, [bench.expect("small", "v < 100")])
    assert [r["_quarantine_source"] for r in bench.quarantined(staged)] == [None, None]


TWO_FILES = ("id,v\n1,5\n2,-5\n3,6\n", "id,v\n4,-7\n5,8\n")


@needs("files", "file metadata", "positions")
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
    staged = bench.stage(sql, inputs, [bench.expect("positive", "v > 0")])
    first, second = (f.path for f in batch.files)
    assert {r["id"]: r["_quarantine_source"] for r in bench.quarantined(staged)} == {
        2: {"file": first, "row": 3},
        4: {"file": second, "row": 2},
    }
    assert not [n for n in staged.table.schema.names if n.startswith(("_metadata", "__"))]


@needs("files", "file metadata")
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
    staged = bench.stage(sql, {"f": bench.csv(*TWO_FILES)}, [bench.expect("positive", "v > 0")])
    assert staged.counts == Counts(out=5, written=3, quarantined=2)
    assert [n for n in staged.table.schema.names if n != "p"] == ["id", "v"]


@needs("files")
def test_malformed_rows_are_quarantined_with_their_text(bench: Bench) -> None:
    batch = replace(
        bench.csv("id,v\n1,5\n2,six\n3,7\n"),
        declared=Schema((Field("id", Primitive("long")), Field("v", Primitive("long")))),
    )
    staged = bench.stage("SELECT * FROM f", {"f": batch}, [bench.expect("few", "id < 3")])
    assert staged.counts == Counts(out=2, written=1, quarantined=1, malformed=1)
    rows = bench.quarantined(staged)
    assert len({r["_quarantine_id"] for r in rows}) == 2
    (bad,) = (r for r in rows if r["_quarantine_raw"] is not None)
    assert (bad["_quarantine_raw"], bad["_quarantine_source"]["row"]) == ("2,six", 3)
    assert list(dict(bad["_quarantine_rules"])) == ["_malformed"]


@needs("files", "file metadata")
@pytest.mark.parametrize(
    ("line", "known", "raw"),
    [
        ("4,8", False, None),
        ("4,eight", False, "4,eight"),
        ("4,8,0", False, "4,8,0"),
        ('4,"8', False, '4,"8'),
        ("4,8", True, None),
    ],
)
def test_a_copy_of_files_has_every_row(
    bench: Bench, line: str, known: bool, raw: str | None
) -> None:
    batch = replace(
        bench.csv("id,v\n1,5\n2,6\n", f"id,v\n3,7\n{line}\n5,9\n"),
        declared=Schema((Field("id", Primitive("long")), Field("v", Primitive("long")))),
    )
    changes = {}
    if known:  # malformed rows came before
        work = bench.work("SELECT * FROM f", {"f": batch})
        changes["quarantine"] = replace(work.quarantine, schema=QUARANTINE)
    sql = "SELECT *, _metadata.file_path AS p FROM f"
    staged = bench.stage(sql, {"f": batch}, **changes)
    good = 5 if raw is None else 4
    assert staged.counts == Counts(out=good, written=good, malformed=5 - good)
    assert (staged.read, staged.source_schemas["f"].names) == (good, ("id", "v"))
    first, second = (f.path for f in batch.files)
    wanted = [(1, 5, first), (2, 6, first), (3, 7, second), (4, 8, second), (5, 9, second)]
    rows = [(r["id"], r["v"], r["p"]) for r in bench.rows(staged.table)]
    assert rows == [w for w in wanted if raw is None or w[0] != 4]
    bad = [(r["_quarantine_raw"], r["_quarantine_source"]) for r in bench.quarantined(staged)]
    assert bad == ([] if raw is None else [(raw, {"file": second, "row": 3})])
