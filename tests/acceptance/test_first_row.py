"""`EXPECT UNIQUE` keeps the same rows, however tables lie on disk and what is computed anew."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

import qanat
from qanat.project import Project
from tests.acceptance.projects import Shop

KEYS, PARTS = 25, 5
SCHEMA = "id BIGINT, k BIGINT, p BIGINT, j BIGINT, v STRING"


JOINS = {
    "": "SELECT *, 0 AS w FROM STREAM bronze",
    "first": "SELECT b.*, w FROM STREAM bronze AS b JOIN dim AS d ON d.q = b.p",
    "second": "SELECT b.*, w FROM dim AS d JOIN STREAM bronze AS b ON d.q = b.p",
    "below": "SELECT b.*, w FROM dim AS d JOIN (SELECT * FROM STREAM bronze) AS b ON d.q = b.p",
    "left": "SELECT b.*, w FROM STREAM bronze AS b LEFT JOIN dim AS d ON d.q = b.p",
    "asof": "SELECT b.*, w FROM STREAM bronze AS b ASOF JOIN dim AS d ON b.p >= d.q",
}
DIM = {1: [7, 3], 2: [5], 3: [9, 1, 4]}
"""By `q`, the values of `w`: those with one `q` are given to all rows that join it."""


class Row(NamedTuple):
    """A line of a file, and what is joined to it."""

    id: int
    k: int
    p: int
    j: int
    v: str
    w: int | None = 0


def laid_out(draw: random.Random) -> str:
    """How a table lies on disk."""
    return draw.choice(
        ["", "PARTITIONED BY (p)", "PARTITIONED BY (p, j)", "CLUSTER BY (v)",
         "CLUSTER BY (k, id)", "PARTITIONED BY (p) CLUSTER BY (v, id)"]
    )  # fmt: skip


def joined(rows: Sequence[Row], join: str) -> list[Row]:
    """The rows in their order, and those of one by their values."""
    found: list[Row] = []
    for row in rows:
        values: Sequence[int | None] = {"": [0], "left": [None]}.get(join, [])
        if join == "asof" and row.p:
            values = [min(DIM[min(row.p, 3)])]
        elif join and join != "asof":
            values = sorted(DIM.get(row.p, [])) or values
        found += [row._replace(w=value) for value in values]
    return found


def declared(draw: random.Random, join: str) -> str:
    """Four tables, one below the other."""
    action = draw.choice(["DROP", "QUARANTINE"])
    return f"""
    CREATE MATERIALIZED VIEW dim AS SELECT * FROM read_files('dim/*.csv');
    CREATE STREAMING TABLE bronze {laid_out(draw)}
      AS SELECT * FROM STREAM read_files('data/*.csv', schema => '{SCHEMA}');
    CREATE STREAMING TABLE middle
      (CONSTRAINT odd EXPECT (id % 10 <> 3) ON VIOLATION {draw.choice(["DROP", "QUARANTINE"])} ROW)
      {laid_out(draw)} AS {JOINS[join]};
    CREATE STREAMING TABLE silver (CONSTRAINT one EXPECT UNIQUE (k) ON VIOLATION {action} ROW)
      {laid_out(draw)} AS SELECT * FROM STREAM middle;
    CREATE STREAMING TABLE gold (CONSTRAINT one EXPECT UNIQUE (j) ON VIOLATION QUARANTINE ROW)
      AS SELECT id, j FROM STREAM silver;
    """


def grown(draw: random.Random, shop: Shop, rows: list[Row], number: int) -> None:
    """One more file."""
    new = [
        Row(len(rows) + n, draw.randrange(KEYS), draw.randrange(PARTS), draw.randrange(4),
            draw.choice("abcdef"))
        for n in range(draw.randint(1, 60))
    ]  # fmt: skip
    rows += new
    lines = "".join(",".join(map(str, row[:5])) + "\n" for row in new)
    shop.file(f"data/{number:04}.csv", f"id,k,p,j,v\n{lines}")


def firsts(rows: Sequence[Row], column: str) -> list[Row]:
    """The first row of each key, in their order."""
    found: dict[Any, Row] = {}
    for row in rows:
        found.setdefault(getattr(row, column), row)
    return list(found.values())


def in_text(rows: Iterable[Any]) -> list[str]:
    """Rows that can be compared, whatever their order."""
    return sorted(repr(tuple(row)) for row in rows)


def rows_of(project: Project, table: str, columns: str = "id, j") -> list[str]:
    return in_text(project.query(f"SELECT {columns} FROM {table}").rows())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("seed", range(8))
def test_the_first_row_is_the_same_whatever_is_computed_anew(
    shop: Shop, seed: int, threads: int
) -> None:
    draw = random.Random(seed * 10 + threads)  # noqa: S311 - a seed makes it repeatable
    join = draw.choice(["", *JOINS])
    text = declared(draw, join)
    pairs = [(q, w) for q, ws in DIM.items() for w in (ws if join != "asof" else [min(ws)])]
    shop.file("dim/1.csv", "q,w\n" + "".join(f"{q},{w}\n" for q, w in pairs))
    shop.file("qanat.yml", f"name: shop\nthreads: {threads}\n")
    shop.sql(text)
    rows: list[Row] = []
    names = ["bronze", "middle", "silver", "gold"]
    with qanat.open(shop.folder) as project:
        for number in range(12):
            grown(draw, shop, rows, number)
            act = draw.random()
            if act < 0.5:
                first = draw.randint(1, 4)
                assert project.run(select=["dim", *names[:first]]).status == "succeeded"
            elif act < 0.7:
                assert project.run(full_refresh=names[draw.randrange(4) :]).status == "succeeded"
            if draw.random() < 0.3:
                project.maintain(draw.choice(names))
        assert project.run().status == "succeeded"
        good = [r for r in joined(rows, join) if r.id % 10 != 3]
        silver = firsts(good, "k")
        gold = [(r.id, r.j) for r in firsts(silver, "j")]
        beaten = [(r.id, r.j) for r in silver if (r.id, r.j) not in gold]
        for refreshed in ([], ["gold"], ["silver", "gold"], names[1:], names):
            if refreshed:
                assert project.run(full_refresh=refreshed).status == "succeeded"
            found = (
                rows_of(project, "silver", "*"),
                rows_of(project, "gold"),
                rows_of(project, "gold__quarantine"),
            )
            assert found == (in_text(silver), in_text(gold), in_text(beaten)), (refreshed, text)
            project.maintain()


@pytest.mark.parametrize("layout", ["PARTITIONED BY (p)", "CLUSTER BY (v)"])
def test_many_rows_in_several_threads(shop: Shop, layout: str) -> None:
    """DuckDB writes partitions, and sorts, with all of its threads."""
    shop.file("qanat.yml", "name: shop\nthreads: 4\n")
    (shop.folder / "data").mkdir()
    for number in range(2):
        first = number * 400_000
        duckdb.execute(
            f"COPY (SELECT i AS id, hash(i) % 1000 AS k, hash(i + 7) % {PARTS} AS p,"
            f" hash(i * 3) % 1000 AS v FROM range({first}, {first + 400_000}) t(i))"
            f" TO '{shop.folder}/data/{number}.parquet'"
        )
    shop.sql(
        f"""
        CREATE STREAMING TABLE bronze {layout}
          AS SELECT * FROM STREAM read_files('data/*.parquet');
        CREATE STREAMING TABLE middle {layout} AS SELECT * FROM STREAM bronze;
        CREATE STREAMING TABLE silver (CONSTRAINT one EXPECT UNIQUE (k) ON VIOLATION DROP ROW)
          AS SELECT id, k FROM STREAM middle;
        """
    )
    wanted = duckdb.execute(
        f"SELECT min(id), k FROM '{shop.folder}/data/*.parquet' GROUP BY k ORDER BY ALL"
    ).fetchall()
    with qanat.open(shop.folder) as project:
        for refreshed in (["bronze", "middle", "silver"], ["silver"], ["middle", "silver"]):
            assert project.run(full_refresh=refreshed).status == "succeeded"
            found = project.query("SELECT id, k FROM silver ORDER BY ALL").rows()
            assert found == wanted, refreshed
            project.maintain()


LAYOUT = "PARTITIONED BY (p)"
UNIQUE = "(CONSTRAINT one EXPECT UNIQUE (k) ON VIOLATION QUARANTINE ROW)"


def refreshes_alike(project: Project, *tables: str) -> None:
    """Compute tables anew, also after maintenance: they have the same rows."""
    before = [rows_of(project, table, "*") for table in tables]
    for _ in range(2):
        assert project.run(full_refresh=list(tables)).status == "succeeded"
        assert [rows_of(project, table, "*") for table in tables] == before
        project.maintain()


def test_rows_keep_their_places_where_columns_get_wider_types(shop: Shop) -> None:
    shop.sql(
        f"""
        CREATE STREAMING TABLE bronze {LAYOUT} AS SELECT * FROM STREAM read_files('data/*.csv');
        CREATE STREAMING TABLE silver {UNIQUE} AS SELECT id, k FROM STREAM bronze;
        """
    )
    texts = ["1,1,9\n2,2,1\n3,1,1\n", "4,2,1\n5,3,9\n6,3,1\n", "7,3,1\n8.5,4,8\n9,4,1\n"]
    with qanat.open(shop.folder) as project:
        for number, text in enumerate(texts):
            shop.file(f"data/{number}.csv", f"id,k,p\n{text}")
            assert project.run().status == "succeeded"
        assert "id bigint" not in shop.columns("bronze")
        assert [(float(id_), k) for id_, k in shop.rows("silver")] == [
            (1, 1),
            (2, 2),
            (5, 3),
            (8.5, 4),
        ]
        refreshes_alike(project, "silver")


@pytest.mark.parametrize("layout", [LAYOUT, "CLUSTER BY (p)"])
def test_the_streams_of_a_union_come_one_after_the_other(shop: Shop, layout: str) -> None:
    tables = "".join(
        f"CREATE STREAMING TABLE {name} {layout}"
        f" AS SELECT * FROM STREAM read_files('{name}/*.csv');"
        for name in ("a", "b")
    )
    shop.sql(
        f"{tables}CREATE STREAMING TABLE silver {UNIQUE} AS"
        " SELECT id, k FROM STREAM b UNION ALL SELECT id, k FROM STREAM a;"
    )
    shop.file("a/1.csv", "id,k,p\n1,1,9\n2,2,1\n3,1,1\n4,4,8\n")
    shop.file("b/1.csv", "id,k,p\n5,2,9\n6,3,1\n7,2,1\n8,3,0\n")
    with qanat.open(shop.folder) as project:
        assert project.run().status == "succeeded"
        assert rows_of(project, "silver", "*") == ["(1, 1)", "(4, 4)", "(5, 2)", "(6, 3)"]
        project.maintain()
        refreshes_alike(project, "silver")


def test_a_function_gets_rows_in_their_order(shop: Shop) -> None:
    shop.sql(
        f"CREATE STREAMING TABLE bronze {LAYOUT} AS SELECT * FROM STREAM read_files('data/*.csv');"
    )
    shop.python(
        """
import pyarrow as pa

@dp.materialized_view
@dp.expect_or_drop('one', 'UNIQUE (k)')
def silver(bronze: pa.Table) -> pa.Table:
    return bronze.select(['id', 'k'])
"""
    )
    with qanat.open(shop.folder) as project:
        for number, text in enumerate(["1,1,9\n2,2,1\n3,1,1\n", "4,2,0\n5,3,9\n6,3,1\n"]):
            shop.file(f"data/{number}.csv", f"id,k,p\n{text}")
            assert project.run().status == "succeeded"
        assert rows_of(project, "silver", "*") == ["(1, 1)", "(2, 2)", "(5, 3)"]
        refreshes_alike(project, "silver")


PLAIN = """
CREATE STREAMING TABLE bronze {layout}AS
SELECT * FROM STREAM read_files('data/*.csv', on_overwrite => 'replace');
CREATE MATERIALIZED VIEW first (CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION DROP ROW)
AS SELECT * FROM bronze;
"""


def test_a_file_whose_rows_are_replaced_twice_keeps_its_place(tmp_path: Path) -> None:
    """What stays of it is written again each time, and is older than rows that came later."""
    shop = Shop(tmp_path)
    shop.sql(PLAIN.format(layout=""))
    for number in (1, 2, 3):
        shop.file(f"data/{number}.csv", f"id,v\n{number},first\n")
    shop.run()
    shop.file("data/4.csv", "id,v\n1,later\n")
    shop.run()
    for number in (2, 3):
        shop.file(f"data/{number}.csv", f"id,v\n{number},corrected\n")
        shop.run()
        assert shop.rows("first")[0] == (1, "first")


@pytest.mark.parametrize("layout", ["", "PARTITIONED BY (part) "])
def test_a_clock_that_was_set_back_changes_no_order(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a later epoch come later, whatever the time was when they were written."""
    shop = Shop(tmp_path)
    shop.sql(PLAIN.format(layout=layout))
    hour = 3_600_000
    shop.file("data/1.csv", "id,v,part\n1,a,0\n")
    with monkeypatch.context() as ahead:
        now = time.time_ns
        ahead.setattr("qanat.run.succession.time.time_ns", lambda: now() + hour * 1_000_000)
        shop.run()
    log = Path(shop.table("bronze")) / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "add" in action:
            action["add"]["modificationTime"] += hour
    log.write_text("\n".join(map(json.dumps, actions)) + "\n")
    shop.file("data/2.csv", "id,v,part\n9,b,0\n2,b,1\n3,b,1\n1,b,1\n")
    shop.run()
    shop.file("data/3.csv", "id,v,part\n3,c,0\n2,c,0\n1,c,0\n")
    shop.run()
    wanted = [(1, "a", 0), (2, "b", 1), (3, "b", 1), (9, "b", 0)]
    assert shop.rows("first") == wanted
    with qanat.open(shop.folder) as project:
        project.maintain()
    shop.file("data/4.csv", "id,v,part\n3,d,0\n9,d,1\n")
    shop.run()
    assert shop.rows("first") == wanted
