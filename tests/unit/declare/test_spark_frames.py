"""Frames of Spark: the SQL that they become, and what they say of what they cannot do.

No test here needs sqlframe, so columns are names and SQL text. Those of `pyspark.sql.functions`
are in tests/acceptance/test_spark_frames.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qanat.declare.spark.session import Session, SparkSession
from qanat.errors import DeclarationError

spark = Session()
Build = Callable[[], Any]


def events() -> Any:
    return spark.readStream.table("events")


def late() -> Any:
    return events().withWatermark("at", "2 minutes")


FROM = "FROM STREAM `events` AS `events`"
LATE = f"{FROM} WATERMARK `at` DELAY OF INTERVAL '2 minutes'"
FILES = "FROM STREAM read_files('d/*.csv', `format` => 'csv', `header` => "


@pytest.mark.parametrize(
    ("build", "sql"),
    [
        (events, f"SELECT * {FROM}"),
        (lambda: spark.table("events"), "SELECT * FROM `events` AS `events`"),
        (lambda: spark.read.table("c.events"), "SELECT * FROM `c`.`events` AS `events`"),
        (lambda: spark.sql("SELECT 1 AS a;"), "SELECT 1 AS a"),
        (
            lambda: spark.sql("SELECT 1 AS a").where("a > 0"),
            "SELECT * FROM (SELECT 1 AS a) AS `t` WHERE `a` > 0",
        ),
        (
            lambda: spark.readStream.option("skipChangeCommits", True).table("events"),
            "SELECT * FROM STREAM `events` WITH (`skipChangeCommits` = true) AS `events`",
        ),
        (
            lambda: spark.readStream.format("kafka").options(subscribe="t").load(),
            "SELECT * FROM STREAM read_kafka(`subscribe` => 't') AS `kafka`",
        ),
        (
            lambda: spark.readStream.format("csv").schema("id INT").load("d/*.csv"),
            f"SELECT * {FILES}false, `schema` => 'id INT') AS `files`",
        ),
        (
            lambda: spark.readStream.csv("d/*.csv", header=True, inferSchema=True),
            f"SELECT * {FILES}true) AS `files`",
        ),
        (
            lambda: events().where("a > 1 OR b").filter("c < 2").select("id", "*"),
            f"SELECT `id`, * {FROM} WHERE (`a` > 1 OR `b`) AND (`c` < 2)",
        ),
        # What a step has made is put into the next one.
        (
            lambda: events().selectExpr("a + 1 AS b", "id").where("b > 2"),
            f"SELECT `a` + 1 AS `b`, `id` {FROM} WHERE (`a` + 1) > 2",
        ),
        (
            lambda: events().withColumn("kind", "sort").groupBy("kind").count(),
            f"SELECT `sort` AS `kind`, COUNT(*) AS `count` {FROM} GROUP BY `sort`",
        ),
        (lambda: events().drop("a").drop("b"), f"SELECT * EXCEPT (`a`, `b`) {FROM}"),
        (
            lambda: events().groupBy("kind").agg({"x": "max"}).where("kind = 'a'"),
            (
                f"SELECT * FROM (SELECT `kind`, MAX(`x`) AS `max(x)` {FROM} GROUP BY `kind`)"
                " AS `events` WHERE `kind` = 'a'"
            ),
        ),
        (late, f"SELECT * {LATE}"),
        (lambda: spark.table("e").withWatermark("at", "1 hour"), "SELECT * FROM `e` AS `e`"),
        (lambda: events().distinct(), f"SELECT DISTINCT * {FROM}"),
        (lambda: events().dropDuplicates(["id"]), f"SELECT DISTINCT ON (`id`) * {FROM}"),
        (
            lambda: late().dropDuplicatesWithinWatermark(["id"]),
            f"SELECT DISTINCT ON (`id`) * {LATE}",
        ),
        (
            lambda: late().dropDuplicates(["id", "AT"]),
            f"SELECT DISTINCT ON (`id`, `AT`) * {LATE}",
        ),
        (
            lambda: events().join(spark.table("kinds"), "kind", "left").where("kind > 1"),
            (
                "SELECT `events`.`kind`, `events`.* EXCEPT (`kind`), `kinds`.* EXCEPT (`kind`)"
                f" {FROM} LEFT JOIN `kinds` AS `kinds` ON `events`.`kind` = `kinds`.`kind`"
                " WHERE `events`.`kind` > 1"
            ),
        ),
        (
            lambda: late().union(events().limit(3)),
            f"SELECT * {LATE} UNION ALL (SELECT * {FROM} LIMIT 3)",
        ),
        # ORDER BY and DISTINCT ON would take `x` for the new one.
        (
            lambda: spark.table("e").selectExpr("-x AS x").orderBy("x").limit(2),
            "SELECT * FROM (SELECT -`x` AS `x` FROM `e` AS `e`) AS `e` ORDER BY `x` LIMIT 2",
        ),
    ],
)
def test_sql(build: Build, sql: str) -> None:
    assert build().query() == sql


@pytest.mark.parametrize(
    ("build", "message", "hint"),
    [
        (lambda: spark.range(3), "spark.range is not supported", "SQL text can"),
        (lambda: spark.read.orc("a"), "spark.read.orc is not supported", "spark.sql"),
        (lambda: spark.read.format("rate"), "format('rate') is not supported", "spark.sql"),
        (lambda: spark.read.csv("a.csv"), "CSV without a schema", None),
        (lambda: spark.read.load("a"), "of which format is 'a'?", None),
        (lambda: spark.sql("SELECT :a", {"a": 1}), "spark.sql with arguments", "the text"),
        (lambda: events().toPandas(), "has no toPandas", "a function with parameters"),
        (lambda: events().writeStream, "has no writeStream", "return the frame"),
        (lambda: events().unionByName(late()), "has no unionByName", ".union(…)"),
        (lambda: events().where("a >"), "where: 'a >' is not SQL", None),
        (lambda: events().where("a AS b"), "where: 'a AS b' is no expression", None),
        (lambda: events().select(1), "select takes no int", None),
        (lambda: events().select("a").select("b"), "no column 'b'", None),
        (
            lambda: events().where("a > 1").withWatermark("at", "1 hour"),
            "withWatermark stands behind other steps",
            "@dp.temporary_view",
        ),
        (
            lambda: events().groupBy("at").count().alias("a").withWatermark("at", "1 hour"),
            "withWatermark stands behind other steps",
            "@dp.temporary_view",
        ),
        (
            lambda: late().dropDuplicates(["id"]),
            "keeps all keys for ever",
            "dropDuplicatesWithinWatermark",
        ),
        (
            lambda: events().dropDuplicatesWithinWatermark(["id"]),
            "dropDuplicatesWithinWatermark without a watermark",
            None,
        ),
        (lambda: events().join(events(), "id"), "both sides", 'alias("events2")'),
        (lambda: events().join(late().alias("b"), "id", "inne"), "no join is called", None),
        (lambda: events().join(late().alias("b")), "join without a condition", "spark.sql"),
        (lambda: events().groupBy("a").pivot("b"), "groups of a frame have no pivot", None),
        # If the star had an `x` as well, the subquery would take the wrong one.
        (
            lambda: events().withColumn("x", "y").distinct().where("x > 1"),
            "column 'x' may be there twice",
            ".select(…)",
        ),
        (
            lambda: events().join(spark.table("b"), "id").distinct().where("x > 1"),
            "columns of both sides of a join may have one name",
            ".select(…)",
        ),
    ],
)
def test_errors(build: Build, message: str, hint: str | None) -> None:
    with pytest.raises(DeclarationError) as caught:
        build()
    assert message in caught.value.message
    assert hint is None or hint in str(caught.value.hint)


def test_a_session_is_had_in_sparks_ways() -> None:
    for session in (
        SparkSession.active(),
        SparkSession.getActiveSession(),
        SparkSession.builder.appName("a").config("b", "c").getOrCreate(),
    ):
        assert session.table("t").query() == "SELECT * FROM `t` AS `t`"


def test_what_a_frame_reads_is_not_read_when_it_is_made() -> None:
    """Python asks objects for attributes of its own, which Spark's session does not have."""
    assert not hasattr(spark, "__wrapped__")
    assert not hasattr(events(), "__wrapped__")
