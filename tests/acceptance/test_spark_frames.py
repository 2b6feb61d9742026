"""Data frames of Spark in project files: the same rows as by the same pipeline in SQL."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from venv import EnvBuilder

import pytest

from tests.acceptance.projects import Shop

CHECKOUT = Path(__file__).resolve().parents[2]
COLUMNS = "id INT, kind STRING, at TIMESTAMP, x INT"
EPOCHS = (
    """
    1,a,2026-01-01 08:00:05,3
    2,b,2026-01-01 08:03:00,4
    2,b,2026-01-01 08:03:01,5
    3,a,2026-01-01 08:09:59,-1
    """,
    """
    4,c,2026-01-01 08:08:00,9
    3,a,2026-01-01 08:14:00,2
    5,a,2026-01-01 08:31:00,7
    """,
    """
    6,a,2026-01-01 08:01:00,7
    7,b,2026-01-01 09:31:00,
    """,
)
NAMED = """
@dp.table
def events():
    return spark.readStream.csv("events/*.csv", schema="id INT, kind STRING, at TIMESTAMP, x INT")

@dp.table
def large():
    return events_of("id", "x").where("x > 2 OR x IS NULL")

def events_of(*columns):
    return spark.readStream.table("events").select(*columns)

@dp.table
def totals():
    return spark.readStream.table("events").groupBy("kind").sum("x")

@dp.table
def once():
    late = spark.readStream.table("events").withWatermark("at", "5 minutes")
    return late.dropDuplicatesWithinWatermark(["id"])

@dp.materialized_view
def kinds():
    return spark.table("events").select("kind").distinct()

@dp.table
def known():
    events = spark.readStream.table("events")
    return events.join(spark.read.table("kinds"), "kind").select("kind", "id")

@dp.materialized_view
def top():
    return spark.sql("SELECT id, x FROM events").orderBy("x").limit(2)
"""
NAMED_SQL = f"""
CREATE STREAMING TABLE events AS
SELECT * FROM STREAM read_files('events/*.csv', header => false, schema => '{COLUMNS}');
CREATE STREAMING TABLE large AS SELECT id, x FROM STREAM events WHERE x > 2 OR x IS NULL;
CREATE STREAMING TABLE totals AS
SELECT kind, sum(x) AS `sum(x)` FROM STREAM events GROUP BY kind;
CREATE STREAMING TABLE once AS
SELECT DISTINCT ON (id) * FROM STREAM events WATERMARK at DELAY OF INTERVAL 5 MINUTES;
CREATE MATERIALIZED VIEW kinds AS SELECT DISTINCT kind FROM events;
CREATE STREAMING TABLE known AS SELECT kind, id FROM STREAM events JOIN kinds USING (kind);
CREATE MATERIALIZED VIEW top AS SELECT id, x FROM events ORDER BY x LIMIT 2;
"""
COMPUTED = """
from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StringType, StructField, StructType, TimestampType

spark = SparkSession.active()
SCHEMA = StructType([
    StructField("id", IntegerType()), StructField("kind", StringType()),
    StructField("at", TimestampType()), StructField("x", IntegerType()),
])

def late(name, delay="5 minutes") -> DataFrame:
    return spark.readStream.table(name).withWatermark("at", delay)

@dp.table
@dp.expect_or_drop("a kind", "kind IS NOT NULL")
def events():
    return spark.readStream.format("csv").schema(SCHEMA).load("events/*.csv")

@dp.table
def minutes():
    return late("events").groupBy(F.window("at", "10 minutes"), "kind").count()

@dp.table
def sliding():
    counted = late("events").groupBy(F.window(F.col("at"), "10 minutes", "5 minutes"))
    means = counted.agg(F.avg("x").alias("meanX"), F.count("*").alias("n"))
    return means.select("window.start", "meanX", (F.col("n") * 2).alias("twice"))

@dp.table
def sessions():
    return late("events").groupBy("kind", F.session_window("at", "5 minutes")).agg(F.sum("x"))

@dp.table
def labelled():
    size = F.when(F.col("x") > 4, "large").when(F.col("x").isNull(), F.lit("none"))
    more = spark.readStream.table("events").withColumn("x", F.coalesce("x", F.lit(0)))
    return more.withColumn("size", size.otherwise("small")).where(F.col("size") != "none")

@dp.table
def pairs():
    a, b = late("events").alias("a"), late("events", "1 minute").alias("b")
    near = b.at.between(a.at, a.at + F.expr("INTERVAL 10 MINUTES"))
    return a.join(b, (a.kind == b.kind) & near, "left").select(a.id, b["id"].alias("other"))

@dp.materialized_view
def newest():
    order = Window.partitionBy("kind").orderBy(F.desc("at"))
    events = spark.table("events").select("id", "kind", F.row_number().over(order).alias("n"))
    return events.where(F.col("n") == 1).drop("n")
"""
COMPUTED_SQL = f"""
CREATE STREAMING TABLE events (CONSTRAINT kind EXPECT (kind IS NOT NULL) ON VIOLATION DROP ROW) AS
SELECT * FROM STREAM read_files('events/*.csv', header => false, schema => '{COLUMNS}');
CREATE STREAMING TABLE minutes AS
SELECT window, kind, count(*) AS count
FROM STREAM events WATERMARK at DELAY OF INTERVAL 5 MINUTES
GROUP BY window(at, '10 minutes'), kind;
CREATE STREAMING TABLE sliding AS
SELECT window.start AS start, avg(x) AS meanX, count(*) * 2 AS twice
FROM STREAM events WATERMARK at DELAY OF INTERVAL 5 MINUTES
GROUP BY window(at, '10 minutes', '5 minutes');
CREATE STREAMING TABLE sessions AS
SELECT kind, session_window, sum(x) AS `sum(x)`
FROM STREAM events WATERMARK at DELAY OF INTERVAL 5 MINUTES
GROUP BY kind, session_window(at, '5 minutes');
CREATE STREAMING TABLE labelled AS
SELECT id, kind, at, coalesce(x, 0) AS x,
  CASE WHEN coalesce(x, 0) > 4 THEN 'large' ELSE 'small' END AS size
FROM STREAM events;
CREATE STREAMING TABLE pairs AS
SELECT a.id, b.id AS other
FROM STREAM events AS a WATERMARK at DELAY OF INTERVAL 5 MINUTES
LEFT JOIN STREAM events AS b WATERMARK at DELAY OF INTERVAL 1 MINUTE
ON a.kind = b.kind AND b.at BETWEEN a.at AND a.at + INTERVAL 10 MINUTES;
CREATE MATERIALIZED VIEW newest AS
SELECT id, kind
FROM (SELECT *, row_number() OVER (PARTITION BY kind ORDER BY at DESC) AS n FROM events)
WHERE n = 1;
"""


def shop_of(folder: Path) -> Shop:
    folder.mkdir()
    shop = Shop(folder)
    shop.file("qanat.yml", "name: shop\ndialect: spark\nthreads: 1\n")
    return shop


def add(shop: Shop, number: int) -> None:
    lines = [line.strip() for line in EPOCHS[number].strip().splitlines()]
    shop.file(f"events/{number}.csv", "\n".join(lines) + "\n")


def test_names_and_texts_need_no_extra(tmp_path: Path) -> None:
    frames, sql = shop_of(tmp_path / "frames"), shop_of(tmp_path / "sql")
    frames.python(NAMED)
    sql.sql(NAMED_SQL)
    for number in range(len(EPOCHS)):
        for shop in (frames, sql):
            add(shop, number)
            shop.run()
        for name in ("events", "large", "totals", "once", "kinds", "known", "top"):
            rows = frames.rows(name)
            assert rows == sql.rows(name), name
            assert rows, name


def test_errors_name_the_line_in_the_function(tmp_path: Path) -> None:
    shop = shop_of(tmp_path / "shop")
    shop.python(
        "@dp.materialized_view\n"
        "def rows():\n"
        "    events = spark.table('events')\n"
        "    return events.toPandas()\n"
        "@dp.table\n"
        "def missing():\n"
        "    return spark.readStream.table('not_there')\n"
    )
    assert [str(p).splitlines()[0] for p in shop.validation().problems] == [
        "transformations/all.py:5: a frame of a project has no toPandas: it becomes SQL",
        "transformations/all.py:7:1: no dataset 'not_there'",
    ]


@pytest.fixture(scope="session")
def framed() -> Callable[..., str]:
    """Run `qanat` of an environment with the extra, which holds sqlglot back.

    It is made when it is first needed, in `$XDG_CACHE_HOME/qanat-tests` (`~/.cache/qanat-tests`).
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qanat-tests"
    base.mkdir(parents=True, exist_ok=True)
    asked = f"{CHECKOUT} {sys.version} {(CHECKOUT / 'pyproject.toml').read_text('utf-8')}"
    home = base / f"spark-frames-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
    with (base / "spark-frames.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".made").exists():
            EnvBuilder(clear=True, with_pip=True).create(home)
            install = [home / "bin" / "pip", "install", "--quiet", "--editable"]
            subprocess.run([*install, f"{CHECKOUT}[spark-frames]"], check=True, timeout=600)
            (home / ".made").touch()

    def run(folder: Path, *arguments: str, code: int = 0) -> str:
        command = [home / "bin" / "qanat", *arguments]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.services
def test_columns_of_sqlframe(tmp_path: Path, framed: Callable[..., str]) -> None:
    frames, sql = shop_of(tmp_path / "frames"), shop_of(tmp_path / "sql")
    frames.file("transformations/all.py", COMPUTED)
    sql.sql(COMPUTED_SQL)

    def rows(shop: Shop, name: str) -> Any:
        query = f"SELECT * FROM {name} ORDER BY ALL"
        return json.loads(framed(shop.folder, "query", query, "--output", "json"))

    for number in range(len(EPOCHS)):
        for shop in (frames, sql):
            add(shop, number)
            framed(shop.folder, "run")
    for name in ("events", "minutes", "sliding", "sessions", "labelled", "pairs", "newest"):
        found = rows(frames, name)
        assert found == rows(sql, name), name
        assert found["rows"], name


@pytest.mark.services
def test_pyspark_that_is_installed_is_not_replaced(
    tmp_path: Path, framed: Callable[..., str]
) -> None:
    shop = shop_of(tmp_path / "shop")
    shop.file("pyspark/__init__.py", "ITSELF = True\n")
    shop.file(
        "transformations/all.py",
        "from pyspark import ITSELF\n"
        "from qanat import pipelines as dp\n"
        "@dp.materialized_view\n"
        "def rows(): return f'SELECT {ITSELF} AS itself'\n",
    )
    assert "1 materialized view" in framed(shop.folder, "validate")


@pytest.mark.services
def test_what_pyspark_does_not_have_here_is_told(
    tmp_path: Path, framed: Callable[..., str]
) -> None:
    shop = shop_of(tmp_path / "shop")
    shop.file("transformations/all.py", "from pyspark.ml import feature\n")
    said = framed(shop.folder, "validate", "--output", "json", code=2)
    (problem,) = json.loads(said)["problems"]
    assert "functions, types and Window of pyspark.sql" in problem["hint"]
