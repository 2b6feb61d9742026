"""`EXPECT UNIQUE` keeps the same rows, however tables lie on disk and whatever is computed anew."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

import qanat
from qanat.project import Project
from tests.acceptance.projects import Shop

KEYS, PARTS = 25, 5
SCHEMA = "id BIGINT, k BIGINT, p BIGINT, j BIGINT, v STRING"


class Row(NamedTuple):
    """A line of a file."""

    id: int
    k: int
    p: int
    j: int
    v: str


def laid_out(draw: random.Random) -> str:
    """How a table lies on disk."""
    return draw.choice(
        ["", "PARTITIONED BY (p)", "PARTITIONED BY (p, j)", "CLUSTER BY (v)",
         "CLUSTER BY (k, id)", "PARTITIONED BY (p) CLUSTER BY (v, id)"]
    )  # fmt: skip


def declared(draw: random.Random) -> str:
    """Four tables, one below the other."""
    action = draw.choice(["DROP", "QUARANTINE"])
    return f"""
    CREATE STREAMING TABLE bronze {laid_out(draw)}
      AS SELECT * FROM STREAM read_files('data/*.csv', schema => '{SCHEMA}');
    CREATE STREAMING TABLE middle
      (CONSTRAINT odd EXPECT (id % 10 <> 3) ON VIOLATION {draw.choice(["DROP", "QUARANTINE"])} ROW)
      {laid_out(draw)} AS SELECT * FROM STREAM bronze;
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
    lines = "".join(",".join(map(str, row)) + "\n" for row in new)
    shop.file(f"data/{number:04}.csv", f"id,k,p,j,v\n{lines}")


def firsts(rows: Sequence[Row], column: str) -> list[Row]:
    """The first row of each key, in their order."""
    found: dict[Any, Row] = {}
    for row in rows:
        found.setdefault(getattr(row, column), row)
    return list(found.values())


def kept(project: Project, table: str) -> list[Any]:
    columns = "*" if table == "silver" else "id, j"
    return sorted(project.query(f"SELECT {columns} FROM {table}").rows())


def quarantined(project: Project, table: str) -> list[Any]:
    return sorted(project.query(f"SELECT id, j FROM {table}__quarantine").rows())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("seed", range(6))
def test_the_first_row_is_the_same_whatever_is_computed_anew(
    shop: Shop, seed: int, threads: int
) -> None:
    draw = random.Random(seed * 10 + threads)  # noqa: S311 - a seed makes it repeatable
    text = declared(draw)
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
                assert project.run(select=names[:first]).status == "succeeded"
            elif act < 0.7:
                assert project.run(full_refresh=names[draw.randrange(4) :]).status == "succeeded"
            if draw.random() < 0.3:
                project.maintain(draw.choice(names))
        assert project.run().status == "succeeded"
        good = [r for r in rows if r.id % 10 != 3]
        silver = firsts(good, "k")
        gold = [(r.id, r.j) for r in firsts(silver, "j")]
        beaten = sorted((r.id, r.j) for r in silver if (r.id, r.j) not in gold)
        for refreshed in ([], ["gold"], ["silver", "gold"], names[1:], names):
            if refreshed:
                assert project.run(full_refresh=refreshed).status == "succeeded"
            assert kept(project, "silver") == sorted(silver), (refreshed, text)
            assert kept(project, "gold") == sorted(gold), (refreshed, text)
            assert quarantined(project, "gold") == beaten, (refreshed, text)
            project.maintain()


@pytest.mark.parametrize("layout", ["PARTITIONED BY (p)", "CLUSTER BY (v)"])
def test_many_rows_in_several_threads(shop: Shop, layout: str) -> None:
    """DuckDB writes partitions, and sorts, with all of its threads."""
    shop.file("qanat.yml", "name: shop\nthreads: 4\n")
    (shop.folder / "data").mkdir()
    for number in range(2):
        duckdb.execute(
            f"COPY (SELECT i AS id, hash(i) % 1000 AS k, hash(i + 7) % {PARTS} AS p, 0 AS j,"
            f" hash(i * 3) % 1000 AS v FROM range({number * 400_000}, {number * 400_000 + 400_000})"
            f" t(i)) TO '{shop.folder}/data/{number}.parquet'"
        )
    shop.sql(
        f"""
        CREATE STREAMING TABLE bronze {layout} AS SELECT * FROM STREAM read_files('data/*.parquet');
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
