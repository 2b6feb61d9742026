"""Hints about declarations: what they say is written, and the project is valid."""

from __future__ import annotations

from tests.acceptance.hinted.case import (
    IMPORT,
    ORDERS,
    PYTHON,
    SILVER,
    SQL,
    Case,
    mended,
    stream,
    view,
)

FILES = "read_files('data/*.csv', schema => 'id BIGINT, amount BIGINT')"
GOLD = view("SELECT id FROM orders")
SINK = (
    "dp.create_sink('out', 'csv', {})\n@dp.append_flow(target='out')\n"
    "def f(): return 'SELECT id FROM STREAM orders'\n"
)


def clause(hint: str, wrong: str, right: str = "", query: str = "SELECT id FROM orders") -> Case:
    """A clause of another system, between a view's name and its query."""
    start = "CREATE MATERIALIZED VIEW gold"
    return mended(hint, f"{start} {wrong} AS {query};\n", f"{start} {right} AS {query};\n")


def python(hint: str, wrong: str, right: str, spec: str = "", sql: str = ORDERS) -> Case:
    """A Python file."""
    files = {"qanat.yml": f"name: shop\n{spec}"} if spec else {}
    return Case(
        "qanat validate",
        hint,
        before=({PYTHON: IMPORT + wrong, SQL: sql, **files},),
        follow={PYTHON: IMPORT + right},
    )


def spec(hint: str, wrong: str, right: str) -> Case:
    return Case(
        "qanat validate",
        hint,
        before=({"qanat.yml": f"name: shop\n{wrong}"},),
        follow={"qanat.yml": f"name: shop\n{right}"},
    )


LATE = {
    "TBLPROPERTIES": "TBLPROPERTIES ('qanat.on_row_error' = 'fail')",
    "COMMENT": "COMMENT 'all of them'",
    "PARTITIONED BY": "PARTITIONED BY (id)",
    "USING": "USING delta",
}

REPLACING = FILES.replace("schema", "on_overwrite => 'replace', schema")
JOINED = "SELECT d.id, s.amount FROM (d JOIN {} AS s USING (id))"
DIMENSION = view("SELECT 1 AS id").replace("gold", "d")
UDF = "@dp.udf\ndef double(x{}){}: return 2 * x\n"

CASES = {
    "files that cannot replace rows": mended(
        "read the files into a streaming table of their own, row by row, and compute the rest in"
        " a MATERIALIZED VIEW over it",
        DIMENSION + stream(JOINED.format(f"STREAM {REPLACING}")),
        DIMENSION + stream(f"SELECT * FROM STREAM {REPLACING}") + view(JOINED.format("silver")),
    ),
    "an unannotated parameter of a function for SQL": python(
        "annotate it, or write @udf(parameters=[…]) before double",
        UDF.format("", " -> int"),
        UDF.format(": int", " -> int"),
    ),
    "an unannotated result of a function for SQL": python(
        'annotate it, or write @udf("DECIMAL(10, 2)") before double, say',
        UDF.format(": int", ""),
        UDF.format(": int", "").replace("@dp.udf", '@dp.udf("DECIMAL(10, 2)")'),
    ),
    "a function for SQL that has no parameters": python(
        "write what it returns into the query, or as ${…} into the configuration",
        "@dp.udf\ndef two() -> int: return 2\n"
        "@dp.materialized_view\ndef gold(): return 'SELECT id + two() AS id FROM orders'\n",
        "@dp.materialized_view\ndef gold(): return 'SELECT id + 2 AS id FROM orders'\n",
    ),
    "a name that SQL cannot call": python(
        "@udf(name=…) gives it another name",
        "@dp.udf(name='my double')\ndef double(x: int) -> int: return 2 * x\n",
        "@dp.udf(name='my_double')\ndef double(x: int) -> int: return 2 * x\n",
    ),
    "a name that SQL has": python(
        "give yours another name: @udf(name='my_lower')",
        "@dp.udf\ndef lower(x: int) -> int: return 2 * x\n",
        "@dp.udf(name='my_lower')\ndef lower(x: int) -> int: return 2 * x\n",
    ),
    "a function for SQL that no file defines": python(
        "def double(…): return …, with @udf before it",
        "dp.udf(abs, name='double', parameters=['BIGINT'], return_type='BIGINT')\n",
        UDF.format(": int", " -> int"),
    ),
    "an annotation that means nothing": python(
        "import what it names outside `if TYPE_CHECKING`",
        UDF.format(": 'date'", " -> int"),
        "from datetime import date\n" + UDF.format(": 'date'", " -> int"),
    ),
    **{
        f"{clause} behind the query": mended(
            f"put it before AS: CREATE … {clause} … AS SELECT …",
            f"CREATE MATERIALIZED VIEW gold AS SELECT id, amount FROM orders {text};\n",
            f"CREATE MATERIALIZED VIEW gold {text} AS SELECT id, amount FROM orders;\n",
        )
        for clause, text in LATE.items()
    },
    "settings of Spark in a decorator": python(
        "leave it out; put settings of the engine into the spec",
        "@dp.materialized_view(spark_conf={'a': 'b'})\ndef v(): return 'SELECT id FROM orders'\n",
        "@dp.materialized_view\ndef v(): return 'SELECT id FROM orders'\n",
        "memory_limit: 1GB\n",
    ),
    "settings of Spark in SQL": mended(
        "leave it out; put settings of the engine into the spec",
        "SET spark.sql.ansi.enabled = true;\n" + GOLD,
        GOLD,
    ),
    "a property as a setting": mended(
        "TBLPROPERTIES ('qanat.on_row_error' = …) is for one table, the spec's configuration for"
        " all",
        "SET qanat.on_row_error = fail;\n" + GOLD,
        GOLD.replace("gold", "gold TBLPROPERTIES ('qanat.on_row_error' = 'fail')"),
    ),
    "several paths": mended(
        "use a glob for several files, or several flows into one table",
        stream("SELECT * FROM STREAM read_files(['data/a.csv', 'data/b.csv'])"),
        stream("SELECT * FROM STREAM read_files('data/*.csv')"),
    ),
    "a value that is none": Case(
        "qanat validate",
        "use ${key} for a value from the spec's configuration",
        stream("SELECT * FROM STREAM read_files('data/' || 'a.csv')"),
        follow={
            "qanat.yml": "name: shop\nconfiguration: {file: a.csv}\n",
            SQL: ORDERS + stream("SELECT * FROM STREAM read_files('data/${file}')"),
        },
    ),
    "a second path": mended(
        "name the other arguments: key => value; use a glob for several files",
        stream("SELECT * FROM STREAM read_files('data/*.csv', 'csv')"),
        stream("SELECT * FROM STREAM read_files('data/*.csv', format => 'csv')"),
    ),
    "a format that Spark reads": Case(
        "qanat validate",
        "read_files reads csv, json, ndjson, parquet and orc",
        before=(
            {
                "qanat.yml": "name: shop\ndialect: spark\n",
                SQL: view("SELECT * FROM text.`data/a.csv`"),
            },
        ),
        follow={SQL: view("SELECT * FROM csv.`data/a.csv`")},
    ),
    "a queue": mended(
        "let something else write files, and read those with read_files",
        stream("SELECT * FROM STREAM read_kinesis('stream')"),
        stream(f"SELECT * FROM STREAM {FILES}"),
    ),
    "environments in a circle": spec(
        "take `from` out of one of them",
        "environments: {a: {from: b}, b: {from: a}}\n",
        "environments: {a: {from: b}, b: {}}\n",
    ),
    "a glob without files": spec(
        "globs start in the folder of qanat.yml",
        "libraries: [{glob: {include: '../transformations/**'}}]\n",
        "libraries: [{glob: {include: 'transformations/**'}}]\n",
    ),
    "Iceberg in a bucket": spec(
        "use `table_format: delta`, or a folder",
        "table_format: iceberg\nstorage: s3://bucket/x\n",
        "table_format: iceberg\nstorage: tables\n",
    ),
    "two environments in one folder": spec(
        "leave it out to get a folder 'prod' below the spec's storage",
        "environments: {test: {storage: other}, prod: {storage: other}}\n",
        "environments: {test: {storage: other}, prod: {}}\n",
    ),
    "another table format": mended(
        "leave it out, or set `table_format: iceberg` in qanat.yml for all of them",
        GOLD.replace("gold", "gold USING iceberg"),
        GOLD,
    ),
    "clusters that Databricks chooses": clause(
        "name the columns", "CLUSTER BY AUTO", "CLUSTER BY (id)"
    ),
    "a place for one table": clause("tables live below the spec's storage", "LOCATION 'x'"),
    "options of a table": mended(
        "give options to read_files(…)",
        "CREATE MATERIALIZED VIEW gold OPTIONS ('header' = 'true') AS SELECT id FROM orders;\n",
        view("SELECT id FROM read_files('data/*.csv', header => true)"),
    ),
    "a schedule": Case(
        "qanat validate",
        "let cron, or an orchestrator, start `qanat run`",
        GOLD.replace("gold", "gold SCHEDULE EVERY 1 HOUR"),
        follow={SQL: ORDERS + GOLD},
        again="qanat run",
    ),
    "a collation": clause("text is compared byte by byte", "DEFAULT COLLATION UTF8_LCASE"),
    "a mask": mended(
        "leave the column out, or hash it in the query",
        "CREATE MATERIALIZED VIEW gold (id BIGINT MASK f) AS SELECT id FROM orders;\n",
        view("SELECT md5(id::TEXT) AS id FROM orders"),
    ),
    "a generated column": mended(
        "compute the column in the query",
        "CREATE MATERIALIZED VIEW gold (id BIGINT, twice BIGINT GENERATED ALWAYS AS (id * 2)) AS"
        " SELECT id FROM orders;\n",
        view("SELECT id, id * 2 AS twice FROM orders"),
    ),
    "a default": mended(
        "use coalesce(column, default) in the query",
        "CREATE MATERIALIZED VIEW gold (id BIGINT DEFAULT 0) AS SELECT id FROM orders;\n",
        view("SELECT coalesce(id, 0) AS id FROM orders"),
    ),
    "a primary key": mended(
        "CONSTRAINT name EXPECT UNIQUE (columns) is checked on every update",
        "CREATE MATERIALIZED VIEW gold (id BIGINT PRIMARY KEY) AS SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (id BIGINT, CONSTRAINT a EXPECT UNIQUE (id)) AS"
        " SELECT id FROM orders;\n",
    ),
    "a foreign key": mended(
        "CONSTRAINT name EXPECT (columns) REFERENCES dataset (columns) is checked",
        "CREATE MATERIALIZED VIEW gold (id BIGINT REFERENCES orders (id)) AS"
        " SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (id BIGINT, CONSTRAINT a EXPECT (id) REFERENCES"
        " orders (id)) AS SELECT id FROM orders;\n",
    ),
    "a check": mended(
        "CONSTRAINT name EXPECT (condition) ON VIOLATION FAIL UPDATE",
        "CREATE MATERIALIZED VIEW gold (id BIGINT CHECK (id > 0)) AS SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (id BIGINT, CONSTRAINT a EXPECT (id > 0) ON VIOLATION FAIL"
        " UPDATE) AS SELECT id FROM orders;\n",
    ),
    "a sink in SQL": Case(
        "qanat validate",
        "declare sinks in Python: create_sink(name, format, options)",
        "CREATE SINK out;\n",
        follow={SQL: ORDERS, PYTHON: IMPORT + SINK.format({"path": "out"})},
    ),
    "rows that are replaced": mended(
        "a materialized view is recomputed from its inputs",
        "CREATE STREAMING TABLE silver;\nCREATE FLOW f AS INSERT INTO silver REPLACE WHERE id = 1"
        " SELECT id FROM STREAM orders;\n",
        GOLD,
    ),
    "a private table": mended(
        "CREATE TEMPORARY VIEW is not stored",
        "CREATE PRIVATE MATERIALIZED VIEW v AS SELECT id FROM orders;\n",
        "CREATE TEMPORARY VIEW v AS SELECT id FROM orders;\n",
    ),
    "a type that no table stores": mended(
        "cast to a type that can, such as STRING or DECIMAL(38, 0)",
        "CREATE MATERIALIZED VIEW gold (id INTERVAL) AS SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (id DECIMAL(38, 0)) AS SELECT id FROM orders;\n",
    ),
    "a query nested without end": mended(
        "split it: a temporary view can hold a part",
        view("SELECT " + "(" * 1500 + "id" + ")" * 1500 + " AS id FROM orders"),
        "CREATE TEMPORARY VIEW v AS SELECT id FROM orders;\n" + view("SELECT id FROM v"),
    ),
    "a frame of Spark": python(
        "return SQL text or an Ibis expression: both run on every engine",
        "class Frame: ...\nFrame.__module__ = 'pyspark.sql'\n"
        "@dp.materialized_view\ndef v(): return Frame()\n",
        "@dp.materialized_view\ndef v(): return 'SELECT id FROM orders'\n",
    ),
    "a frame of Spark in a project of another dialect": python(
        "write dialect: spark in the spec, or return SQL text",
        "@dp.materialized_view\ndef v(): return spark.table('orders').select('id')\n",
        "@dp.materialized_view\ndef v(): return 'SELECT id FROM orders'\n",
    ),
    "a sink in a bucket": python(
        "write to a local folder and copy it",
        SINK.format({"path": "s3://b/out"}),
        SINK.format({"path": "out"}),
    ),
    "a sink that is read": Case(
        "qanat validate",
        "read what feeds it",
        before=(
            {
                PYTHON: IMPORT + SINK.format({"path": "out"}),
                SQL: ORDERS + view("SELECT id FROM out"),
            },
        ),
        follow={SQL: ORDERS + GOLD},
    ),
    "UNIQUE on a sink": Case(
        "qanat validate",
        "put the rule on a streaming table and let the sink read that",
        before=(
            {
                PYTHON: IMPORT
                + SINK.replace("{}", "{'path': 'out'}, expect_all={'a': 'UNIQUE (id)'}")
            },
        ),
        follow={
            SQL: ORDERS.replace("orders AS", "orders (CONSTRAINT a EXPECT UNIQUE (id)) AS"),
            PYTHON: IMPORT + SINK.format({"path": "out"}),
        },
    ),
    "two environments that send to one place": Case(
        "qanat validate",
        "let an option of the sink differ, by a `${key}` of the configuration; or let one of the"
        " two send nothing: environments: {dev: {sinks: off}} or {prod: {sinks: off}}",
        before=(
            {
                "qanat.yml": "name: shop\nenvironments: {prod: {}}\n",
                PYTHON: IMPORT + SINK.format({"path": "out"}),
            },
        ),
        follow={"qanat.yml": "name: shop\nenvironments: {prod: {}, dev: {sinks: off}}\n"},
    ),
    "a name that no table keeps": mended(
        "add it to GROUP BY, or use any_value(id) if any row's will do",
        view("SELECT id, sum(amount) AS n FROM orders"),
        view("SELECT id, sum(amount) AS n FROM orders GROUP BY id"),
    ),
    "a function that is not there": mended(
        "use read_files('path', format => '…'), read_table('name') or delta_scan('path')",
        view("SELECT * FROM read_text('data/a.csv')"),
        view("SELECT * FROM read_files('data/a.csv', format => 'csv')"),
    ),
    "a subquery in a rule": mended(
        "use (columns) REFERENCES dataset (columns), or join before",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id IN (SELECT id FROM orders))) AS"
        " SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id) REFERENCES orders (id)) AS"
        " SELECT id FROM orders;\n",
    ),
    "an aggregate in a rule": mended(
        "compute it in the query",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (sum(id) > 1)) AS"
        " SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (n > 1)) AS"
        " SELECT sum(id) AS n FROM orders;\n",
    ),
    "a file outside": Case(
        "qanat validate",
        "add its folder to `allowed_folders` in the spec",
        before=({"qanat.yml": "name: shop\nallowed_folders: [other]\n"},),
        follow={"qanat.yml": "name: shop\nallowed_folders: [other, data]\n"},
    ),
    "a rule on a temporary view": Case(
        "qanat quarantine replay v",
        "put the rule on the streaming table that reads it",
        "CREATE TEMPORARY VIEW v (CONSTRAINT a EXPECT (id > 1) ON VIOLATION QUARANTINE ROW) AS"
        " SELECT id FROM STREAM orders;\n" + stream("SELECT id FROM STREAM v"),
        before=("qanat run",),
        follow={
            SQL: ORDERS
            + "CREATE STREAMING TABLE silver (CONSTRAINT a EXPECT (id > 1) ON VIOLATION QUARANTINE"
            " ROW) AS SELECT id FROM STREAM orders;\n"
        },
        again="qanat quarantine replay silver",
    ),
    "the quarantine of a view": Case(
        "qanat quarantine replay gold",
        "qanat run --refresh gold",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id > 1) ON VIOLATION QUARANTINE ROW)"
        " AS SELECT id FROM orders;\n",
        before=("qanat run",),
        again="qanat run",
    ),
    "metadata under a star": mended(
        "name the columns, or read the metadata in a view of its own",
        view(
            "SELECT *, _metadata.file_name AS f FROM read_files('data/*.csv')"
            " PIVOT (sum(amount) FOR id IN (1, 2))"
        ),
        view("SELECT id, _metadata.file_name AS f FROM read_files('data/*.csv')"),
    ),
    "an environment that reads no other any more": Case(
        "qanat run -e test --select silver",
        "start over with what is there now: qanat run --full-refresh silver --select orders",
        SILVER,
        before=(
            {"qanat.yml": "name: shop\nenvironments: {prod: {}, test: {from: prod}}\n"},
            "qanat run -e prod",
            "qanat run -e test --select silver",
            {"qanat.yml": "name: shop\nenvironments: {prod: {}, test: {}}\n"},
        ),
        follow="qanat run -e test --full-refresh silver --select orders",
    ),
}
