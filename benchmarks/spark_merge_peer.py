"""One merge by Spark and Delta Lake: `spark_merge_peer.py SCD TABLE CHANGES CORES JAR…`.

Runs in the environment of `place.delta_spark`. Spark is started, and has made both merges on a
small table twice, before the one that counts: neither its start nor the loading of its classes is
part of the figure. Prints JSON: the seconds of CPU and of wall time that the JVM then took, and
its peak memory in bytes.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

_DATA = ("name", "amount", "region")
_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # The defaults, 200 and 50, are for a cluster: on one machine these are faster.
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
}
# Of several changes of a key the latest counts, as in the documentation of MERGE INTO.
_LATEST = """
SELECT id, name, amount, region, seq, op FROM (
  SELECT *, row_number() OVER (PARTITION BY id ORDER BY seq DESC) AS place FROM {changes}
) WHERE place = 1
"""
_SCD_1 = """
MERGE INTO {table} AS t USING ({latest}) AS s ON t.id = s.id
WHEN MATCHED AND s.seq > t.seq AND s.op = 'D' THEN DELETE
WHEN MATCHED AND s.seq > t.seq THEN UPDATE SET
  name = s.name, amount = s.amount, region = s.region, seq = s.seq
WHEN NOT MATCHED AND s.op <> 'D' THEN
  INSERT (id, name, amount, region, seq) VALUES (s.id, s.name, s.amount, s.region, s.seq)
"""
# A changed row comes twice: with its key, which closes the version there is, and without one,
# which matches nothing and so inserts the new version.
_SCD_2 = """
MERGE INTO {table} AS t USING (
  SELECT l.id AS merge_key, l.* FROM ({latest}) AS l
  UNION ALL
  SELECT NULL AS merge_key, l.* FROM ({latest}) AS l JOIN {table} AS o ON l.id = o.id
  WHERE o.__END_AT IS NULL AND l.op <> 'D' AND l.seq > o.__START_AT AND ({differs_from_o})
) AS s ON t.id = s.merge_key
WHEN MATCHED AND t.__END_AT IS NULL AND s.seq > t.__START_AT
  AND (s.op = 'D' OR {differs_from_t}) THEN UPDATE SET __END_AT = s.seq
WHEN NOT MATCHED AND s.op <> 'D' THEN
  INSERT (id, name, amount, region, __START_AT, __END_AT)
  VALUES (s.id, s.name, s.amount, s.region, s.seq, NULL)
"""


def statement(scd: str, table: str, changes: str) -> str:
    """The MERGE INTO of one kind."""
    latest = _LATEST.format(changes=changes)
    if scd == "1":
        return _SCD_1.format(table=table, latest=latest)
    return _SCD_2.format(
        table=table,
        latest=latest,
        differs_from_o=_differ("l", "o"),
        differs_from_t=_differ("s", "t"),
    )


def _differ(one: str, other: str) -> str:
    """SQL that is true if two rows differ."""
    return " OR ".join(f"NOT ({one}.{c} <=> {other}.{c})" for c in _DATA)


def warm_up(spark: Any, scd: str, table: str, changes: str, small: Path) -> None:
    """Make the merge on some rows of the table, twice."""
    shutil.rmtree(small, ignore_errors=True)
    name = f"delta.`{small}`"
    feed = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    # Keys of the changes, so that rows match.
    keys = f"SELECT id FROM {changes} ORDER BY id LIMIT 1000"
    spark.sql(
        f"CREATE TABLE {name} USING delta {feed} AS SELECT t.* FROM {table} AS t "
        f"LEFT SEMI JOIN ({keys}) AS k ON t.id = k.id"
    )
    some = f"(SELECT * FROM {changes} ORDER BY id LIMIT 2000)"
    for _ in range(2):
        spark.sql(statement(scd, name, some)).collect()
    shutil.rmtree(small)


def main(scd: str, folder: str, file: str, cores: str, *jars: str) -> None:
    """Make one merge."""
    builder = SparkSession.builder.master(f"local[{cores}]").config("spark.jars", ",".join(jars))
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    java = spark.sparkContext._jvm.java  # noqa: SLF001 - PySpark has no other way to it
    process = java.lang.ProcessHandle.current()

    def cpu() -> float:
        return float(process.info().totalCpuDuration().get().toNanos()) / 1e9

    table, changes = f"delta.`{folder}`", f"parquet.`{file}`"
    warm_up(spark, scd, table, changes, Path(f"{folder}-small"))
    began, before = time.perf_counter(), cpu()
    spark.sql(statement(scd, table, changes)).collect()
    found = {"cpu": cpu() - before, "wall": time.perf_counter() - began}
    status = Path(f"/proc/{process.pid()}/status")
    lines = status.read_text().splitlines() if status.exists() else ()
    peak = next((int(one.split()[1]) * 1024 for one in lines if one.startswith("VmHWM")), 0)
    print(json.dumps({**found, "peak": peak}))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
