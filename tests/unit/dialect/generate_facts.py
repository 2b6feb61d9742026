"""Run every expression and query of this folder in a real Spark; write `spark_facts.json`.

    python generate_facts.py [--all]        # wants pyspark 4 and Java 17

Run it after adding to `expressions.txt` or `queries.txt`; `--all` asks the old ones again. Each
expression is asked for each row of the table by itself, so that one row's error does not hide
what the others give.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession

HERE = Path(__file__).parent
FACTS = HERE / "spark_facts.json"
COLUMNS = (
    "k INT, i INT, l BIGINT, d DOUBLE, n DECIMAL(10,2), s STRING, z STRING, b BOOLEAN, dt DATE,"
    " ts TIMESTAMP, a ARRAY<INT>, sa ARRAY<STRING>, m MAP<STRING, INT>,"
    " st STRUCT<x: INT, y: STRING>"
)


def lines(name: str) -> list[str]:
    """The lines of a file of this folder."""
    return (HERE / name).read_text("utf-8").strip().split("\n")


def plain(value: Any) -> Any:
    """A value as JSON that keeps its type."""
    if isinstance(value, dict):
        return {"map": sorted([[plain(k), plain(v)] for k, v in value.items()], key=str)}
    if isinstance(value, Row):
        return {"struct": [[k, plain(v)] for k, v in value.asDict().items()]}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, dt.datetime):
        return {"timestamp": value.replace(tzinfo=None).isoformat(" ", "microseconds")}
    if isinstance(value, dt.date):
        return {"date": value.isoformat()}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, float):
        return {"double": repr(value)}
    if isinstance(value, dt.timedelta):
        return {"interval": value.total_seconds()}
    return value


def table(spark: SparkSession) -> DataFrame:
    """The table `t`."""
    rows = []
    for line in lines("rows.txt"):
        names = line.replace("null", "None").replace("true", "True").replace("false", "False")
        values = list(ast.literal_eval(names))
        values[4] = Decimal(str(values[4])) if values[4] is not None else None
        values[3] = float(values[3]) if values[3] is not None else None
        values[8] = dt.date.fromisoformat(values[8]) if values[8] else None
        values[9] = dt.datetime.fromisoformat(values[9]) if values[9] else None
        rows.append(tuple(values))
    return spark.createDataFrame(rows, COLUMNS)


def asked(spark: SparkSession, sql: str) -> dict[str, Any]:
    """The result of one query, or the class of its error."""
    try:
        frame = spark.sql(sql)
        rows = [[plain(v) for v in row] for row in frame.collect()]
    except PySparkException as error:
        return {"error": error.getCondition() or type(error).__name__}
    fields = [[f.name, f.dataType.simpleString()] for f in frame.schema.fields]
    return {"columns": fields, "rows": rows}


def values(spark: SparkSession, expression: str, ids: list[int]) -> dict[str, Any]:
    """The type of an expression and its value, or error, for each row."""
    whole = asked(spark, f"SELECT k, {expression} AS v FROM t ORDER BY k")
    if "error" not in whole:
        return {"type": whole["columns"][1][1], "values": [row[1] for row in whole["rows"]]}
    each = [asked(spark, f"SELECT {expression} AS v FROM t WHERE k = {k}") for k in ids]
    found = next((e["columns"][0][1] for e in each if "columns" in e), None)
    return {"type": found, "values": [e["rows"][0][0] if "rows" in e else e for e in each]}


def main() -> None:
    """Run what `spark_facts.json` does not have yet; with `--all`, everything."""
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    data = table(spark)
    data.coalesce(1).cache().createOrReplaceTempView("t")
    ids = [row.k for row in data.select("k").collect()]
    old = json.loads(FACTS.read_text("utf-8")) if FACTS.exists() else {}
    if "--all" in sys.argv or old.get("spark") != spark.version:
        old = {}
    facts: dict[str, Any] = {"spark": spark.version, "expressions": {}, "queries": {}}
    for expression in lines("expressions.txt"):
        known = old.get("expressions", {}).get(expression)
        facts["expressions"][expression] = known or values(spark, expression, ids)
    for query in lines("queries.txt"):
        facts["queries"][query] = old.get("queries", {}).get(query) or asked(spark, query)
    text = json.dumps(facts, indent=0, ensure_ascii=False, sort_keys=True)
    FACTS.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
