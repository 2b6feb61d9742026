"""Hints are followed: what an error says to do is done, and then the command gives no error.

Each case is a small project with a mistake or an accident. A hint that is a command is run as it
is printed; for one in prose the case does by hand what it says. `test_every_hint_is_followed`
fails for a hint in `src` that no case follows, unless `NOT_FOLLOWED` says why.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from qanat.cli.program import program, usage_error
from qanat.errors import QanatError
from tests.acceptance.hinted import (
    changes,
    declarations,
    environments,
    feeds,
    files,
    history,
    merges,
    options,
    snapshots,
    streams,
)
from tests.acceptance.hinted.case import (
    FAILING,
    IMPORT,
    ORDERS,
    PYTHON,
    SILVER,
    SQL,
    Case,
    Step,
    mended,
    stream,
    view,
)

SOURCE = Path(__file__).parents[2] / "src/qanat"
NOT_FOLLOWED = {
    "needs a server: a case would belong to `make test-services`": (
        "connectors/kafka/",
        "connectors/postgres/",
        "connectors/files/bucket.py",
        "http.py: name the certificates to trust",
        "ledgers/sql/postgresql.py",
        "objects.py",
        "storage/delta/remote.py",
        "storage/delta/remote_moves.py",
        "storage/iceberg/foreign.py",
        "storage/iceberg/names.py",
        "run/stored.py: see where it writes",
        "storage/delta/store.py: read it without STREAM, or install what reads it",
    ),
    "names another method of Spark's: tests/unit/declare/test_spark_frames.py calls those": (
        "declare/spark/",
    ),
    "says what to weigh; tests/acceptance/test_checks_in_files.py has what leads to it": (
        "declare/check/breaking.py: keep the contract",
        "quality/contracts.py: keep the contract, or change it",
        "declare/check/selected.py: TBLPROPERTIES ('qanat.tags' = 'gold, pii')",
        "declare/functions.py: leave one of them out; @expect_all takes checks",
        "declare/imports/found.py: put a contract into the folder contracts",
    ),
    "says what to weigh; tests/acceptance/test_clock.py has what leads to it": (
        "run/clocked.py: the rows are as they were; mend the source",
    ),
    "says what to weigh; tests/acceptance/test_checks.py has what leads to it": (
        "declare/rules.py: read it in a MATERIALIZED VIEW",
        "declare/rules.py: EXPECT (condition) is about each row",
        "engines/duckdb/measuring.py: nothing was published; NULLS PASS",
        "run/auditing.py: nothing was published; mend the data",
    ),
    "asks for another test from live data; tests/acceptance/test_recording.py writes some": (
        "cli/test.py: qanat test --from DATASET",
        "run/recording.py: declare a table of its rows",
        "run/recording.py: its query uses the time",
        "run/recording.py: give another condition: --where",
    ),
    "is of a command that prints code, and no document; tests/unit/orchestrate follows it": (
        "orchestrate/tasks.py: give the datasets other groups",
    ),
    "is about a crash test or a test's server; tests/unit/crash has what they refuse": (
        "crash/",
        "testing/",
    ),
    "leads to what runs until it is stopped; tests/acceptance/test_continuous.py": (
        "cli/run.py: qanat run --continuous",
        "observe/metrics.py: give another port",
    ),
    "says that this is a defect of Qanat": (
        "engines/duckdb/files/csv.py: this is a defect of Qanat",
        "engines/duckdb/files/spool.py: DuckDB's preserve_insertion_order",
        "engines/duckdb/merge/merging.py: nothing was published; this is a defect of Qanat",
        "engines/duckdb/split.py: nothing was published; this is a defect of Qanat",
        "engines/duckdb/write.py: nothing was published; this is a defect of Qanat",
        "engines/duckdb/merge/merging.py: nothing was published; this is a defect of Qanat",
        "run/blame.py: this is a defect of Qanat",
        "planning/stateful.py: write the part that is out of the ordinary",
    ),
    "needs a full or a broken disk: tests/acceptance/test_full_disk.py frees it and runs again": (
        "disk.py: free space",
        "engines/duckdb/faults.py: free space",
        "engines/duckdb/files/spool.py: free space",
        "engines/duckdb/write.py: free space",
        "ledgers/sql/sqlite.py: free space",
        "ledgers/sql/sqlite.py: see whether the disk is full",
        "storage/iceberg/catalog.py: free space",
        "run/doctor.py: free space",
    ),
    "needs a user who may not read or write, and tests may run as one who may all": (
        "connectors/files/folder.py: give this user the right",
        "ledgers/sql/sqlite.py: the project's storage must be a folder",
        "run/doctor.py: give this user the right",
    ),
    "needs a process that was stopped or killed at one moment, or another at work: the crash"
    " tests and test_side_by_side.py run again": (
        "connectors/files/folder.py: a later update takes it",
        "connectors/files/folder.py: put it back",
        "connectors/files/folder.py: run again",
        "connectors/files/sink.py: if another project",
        "disk.py: it was stopped",
        "disk.py: move that away",
        "engines/duckdb/files/spool.py: put it back",
        "ledgers/sql/lease.py:",
        "ledgers/sql/refusal.py:",
        "ledgers/sql/sqlite.py: another program holds the file",
        "ledgers/sql/sqlite.py: if its disk is not mounted",
        "run/handover.py: let it come to its end",
        "run/names.py: run first",
        "run/plan.py: type it again",
        "storage/delta/local.py: it was stopped",
        "storage/delta/merges.py: another writer committed",
        "storage/delta/retract.py: another writer committed",
        "storage/delta/store.py: another update",
        "storage/iceberg/commit.py: another writer committed",
        "storage/iceberg/catalog.py: wait until it has finished",
        "storage/iceberg/refusals.py: it was stopped",
        "storage/iceberg/store.py: another update",
    ),
    "needs another version of Qanat or of another tool": (
        "dialect/transpile.py: set `dialect",
        "storage/delta/feed.py: read the table itself instead of its changes",
        "storage/delta/table.py: the table was written by a newer tool",
    ),
    "keeps an adapter or a store to its port, and no project can come to it": (
        "model/table.py: let the column be NULL",
        "run/readable.py: put `from: ",
        "storage/iceberg/catalog.py: give each storage",
        "storage/iceberg/refusals.py: let the project's storage",
    ),
}
"""Hints of `src` that no case follows: the module, or it and how the hint begins, by reason."""

CASES = {
    **changes.CASES,
    **declarations.CASES,
    **environments.CASES,
    **feeds.CASES,
    **files.CASES,
    **history.CASES,
    **merges.CASES,
    **streams.CASES,
    **options.CASES,
    **snapshots.CASES,
    # -- commands ------------------------------------------------------------------------------
    "show what has not run": Case("qanat show orders", "run it first: qanat run --select +orders"),
    "query what has not run": Case(
        "qanat query 'SELECT id FROM orders'", "run it first: qanat run --select +orders"
    ),
    "look at a rule that has not run": Case(
        "qanat run --select gold",
        "run it first: qanat run --select +orders",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT known EXPECT (id) REFERENCES orders (id))"
        " AS SELECT 1 AS id;\n",
    ),
    "see what nothing is read yet": Case(
        "qanat show orders",
        "qanat plan --select +orders",
        before=({"data/a.csv": None},),
        again="qanat plan",
    ),
    "show with errors": Case(
        "qanat show orders",
        "qanat validate",
        "CREATE MATERIALIZED VIEW gold;\n",
        follow={SQL: ORDERS},
        again="qanat run",
    ),
    "two tables to run": Case(
        "qanat run orders", "qanat run --select orders", again="qanat run --select orders"
    ),
    "two tables to refresh": Case(
        "qanat run --full-refresh --only orders",
        "qanat run --full-refresh orders --only",
        before=("qanat run",),
        again="qanat run --full-refresh orders --only",
    ),
    "an option before the command": Case(
        "qanat -e dev plan",
        "options of a command come after it: qanat COMMAND -e …",
        follow="qanat plan -e dev",
        again="qanat plan -e dev",
    ),
    "an option that is not there": Case(
        "qanat plan --foo", "see `qanat plan --help`", again="qanat plan"
    ),
    "a name behind --select": Case(
        "qanat maintain --select orders",
        "qanat maintain NAME",
        follow="qanat maintain orders",
        again="qanat maintain orders",
    ),
    "only nothing": Case(
        "qanat run --only",
        "qanat run --full-refresh TABLE --only",
        before=("qanat run",),
        follow="qanat run --full-refresh orders --only",
        again="qanat run",
    ),
    "into a folder with a project": Case(
        "qanat init .", "choose another folder: `qanat init my_project`", again="qanat plan"
    ),
    "no project": Case(
        "qanat plan",
        "`qanat init` makes a small project that runs",
        before=({"qanat.yml": None, SQL: None, "data/a.csv": None},),
        follow="qanat init .",
    ),
    "parquet needs a file": Case(
        "qanat query 'SELECT id FROM orders' --output parquet",
        "qanat query … --output parquet --to x.parquet",
        before=("qanat run",),
        follow="qanat query 'SELECT id FROM orders' --output parquet --to x.parquet",
        again="qanat plan",
    ),
    "a version that is not there": Case(
        "qanat query 'SELECT id FROM orders TIMESTAMP AS OF \"2026-01-01\"'",
        "`qanat history` lists the versions of tables and their times",
        before=("qanat run",),
        again="qanat query 'SELECT id FROM orders VERSION AS OF 0'",
    ),
    "a stream in a query": Case(
        "qanat query 'SELECT id FROM STREAM orders'",
        "leave STREAM out",
        before=("qanat run",),
        follow={},
        again="qanat query 'SELECT id FROM orders'",
    ),
    "files in a query": Case(
        "qanat query \"SELECT id FROM read_files('data/*.csv')\"",
        "declare a streaming table or a view that reads it",
        follow="qanat run",
        again="qanat query 'SELECT id FROM orders'",
    ),
    "drop what is declared": Case(
        "qanat drop orders --yes",
        "take it out of the file first",
        before=("qanat run",),
        follow={SQL: ""},
    ),
    "drop without a question": Case(
        "qanat drop orders",
        "to go on, add --yes",
        before=("qanat run", {SQL: ""}),
        follow="qanat drop orders --yes",
        again="qanat plan",
    ),
    "drop what is read": Case(
        "qanat drop orders --yes",
        "let this query read something else",
        SILVER,
        before=("qanat run", {SQL: SILVER}),
        follow={SQL: SILVER.replace("orders", "other") + ORDERS.replace(" orders ", " other ")},
        again="qanat validate",
    ),
    "rename what the files do not say": Case(
        "qanat rename orders sales",
        "change its name to sales in the files first; then: qanat rename orders sales",
        before=("qanat run",),
        follow={SQL: ORDERS.replace(" orders ", " sales ")},
    ),
    # -- what is refused for the sake of rows -------------------------------------------------
    "a source of another name": Case(
        "qanat run",
        "qanat rename",
        before=(
            "qanat run",
            {SQL: ORDERS.replace(" orders ", " sales ")},
        ),
        follow="qanat rename orders sales",
    ),
    "rows to be read again": Case(
        "qanat run",
        "qanat run --read-again sales",
        before=(
            "qanat run",
            {SQL: ORDERS.replace(" orders ", " sales ")},
        ),
        follow="qanat run --read-again sales",
    ),
    "other partitions": Case(
        "qanat run",
        "start over: qanat run --full-refresh orders",
        before=(
            "qanat run",
            {
                SQL: ORDERS.replace("orders AS", "orders PARTITIONED BY (id) AS"),
                "data/b.csv": "id,amount\n7,8\n",
            },
        ),
    ),
    "another type": Case(
        "qanat run",
        "CAST it to bigint in the query, or start over: qanat run --full-refresh silver",
        stream("SELECT id FROM STREAM orders"),
        before=(
            "qanat run",
            {
                SQL: ORDERS + stream("SELECT 'a' || id AS id FROM STREAM orders"),
                "data/b.csv": "id,amount\n7,8\n",
            },
        ),
        follow="qanat run --full-refresh silver",
    ),
    "files that are gone": Case(
        "qanat run --full-refresh orders",
        "--accept-loss",
        before=(
            "qanat run",
            {"data/a.csv": None},
        ),
        follow="qanat run --full-refresh orders --accept-loss",
        again="qanat run",
    ),
    "a table that may not start over": Case(
        "qanat run --full-refresh orders",
        "leave orders out, or take the property away",
        before=(
            {
                SQL: ORDERS.replace(
                    "orders AS", "orders TBLPROPERTIES ('pipelines.reset.allowed' = 'false') AS"
                )
            },
            "qanat run",
        ),
        follow={SQL: ORDERS},
    ),
    "a view becomes a stream's input": Case(
        "qanat validate",
        "read it without STREAM, or its changes: STREAM table_changes('gold'); or make gold a"
        " STREAMING TABLE",
        view("SELECT id FROM orders") + stream("SELECT id FROM STREAM gold"),
        follow={
            SQL: ORDERS
            + stream("SELECT id FROM STREAM orders", "gold")
            + stream("SELECT id FROM STREAM gold")
        },
    ),
    "a changed file": Case(
        "qanat run",
        "`qanat run --full-refresh orders` reads all files again",
        before=(
            "qanat run",
            {"data/a.csv": "id,amount\n1,77\n"},
        ),
        follow="qanat run --full-refresh orders",
    ),
    "a table that is gone": Case(
        "qanat run",
        "qanat run --full-refresh orders",
        before=(
            "qanat run",
            lambda p: shutil.rmtree(p / "storage/tables/orders"),
        ),
        follow="qanat run --full-refresh orders",
    ),
    "a ledger that is gone": Case(
        "qanat run",
        "qanat run --full-refresh orders",
        before=(
            "qanat run",
            lambda p: shutil.rmtree(p / "storage/_qanat"),
        ),
        follow="qanat run --full-refresh orders",
    ),
    "a damaged ledger": Case(
        "qanat run",
        "move it away and start over with all tables: qanat run --full-refresh",
        before=("qanat run", {"storage/_qanat/ledger.db": "no ledger " * 1000}),
        follow={"storage/_qanat/ledger.db": None},
        again="qanat run --full-refresh",
    ),
    "a fail rule": Case(
        "qanat run",
        "ON VIOLATION QUARANTINE ROW instead",
        "CREATE STREAMING TABLE silver (CONSTRAINT big EXPECT (amount > 15) ON VIOLATION FAIL"
        " UPDATE) AS SELECT * FROM STREAM orders;\n",
        follow={
            SQL: ORDERS + "CREATE STREAMING TABLE silver (CONSTRAINT big EXPECT (amount > 15)"
            " ON VIOLATION QUARANTINE ROW) AS SELECT * FROM STREAM orders;\n"
        },
    ),
    "another project's table": Case(
        "qanat run",
        "give this project another `storage`",
        before=(
            "qanat run",
            {"qanat.yml": "name: other\n"},
        ),
        follow={"qanat.yml": "name: other\nstorage: elsewhere\n"},
    ),
    # -- queries ---------------------------------------------------------------------------------
    "a value that does not fit": Case(
        "qanat run",
        "use TRY_CAST or TRY(…)",
        f"CREATE MATERIALIZED VIEW gold {FAILING} AS SELECT CAST('a' || id AS INT) AS n"
        " FROM orders;\n",
        follow={
            SQL: f"{ORDERS}CREATE MATERIALIZED VIEW gold {FAILING} AS"
            " SELECT TRY_CAST('a' || id AS INT) AS n FROM orders;\n"
        },
    ),
    "a value that does not fit, in an aggregate": Case(
        "qanat run",
        "compute it in a CTE, a subquery in FROM or a table of its own",
        "CREATE MATERIALIZED VIEW gold AS SELECT sum(CAST('a' || id AS INT)) AS n FROM orders;\n",
        follow={
            SQL: f"{ORDERS}CREATE MATERIALIZED VIEW gold AS WITH c AS"
            " (SELECT CAST('a' || id AS INT) AS n FROM orders) SELECT sum(n) AS n FROM c;\n"
        },
    ),
    "no group": mended(
        "add it to GROUP BY, or use any_value(id)",
        view("SELECT id, count(*) AS n FROM orders"),
        view("SELECT any_value(id) AS id, count(*) AS n FROM orders"),
    ),
    "one name twice": mended(
        "name them apart with AS, or leave one out with * EXCLUDE (…)",
        view("SELECT id, amount AS id FROM orders"),
        view("SELECT id, amount AS other FROM orders"),
    ),
    "a type that no table has": mended(
        "cast it, for example to VARCHAR",
        view("SELECT INTERVAL 1 DAY AS y FROM orders"),
        view("SELECT CAST(INTERVAL 1 DAY AS VARCHAR) AS y FROM orders"),
    ),
    "text in double quotes": mended(
        "text goes in single quotes: 'x'",
        'CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id::TEXT = "x")) AS'
        " SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id::TEXT = 'x')) AS"
        " SELECT id FROM orders;\n",
    ),
    "a view that streams": mended(
        "leave out STREAM: a materialized view is computed from its inputs as they are",
        view("SELECT id FROM STREAM orders"),
        view("SELECT id FROM orders"),
    ),
    "a stream without STREAM": mended(
        "put STREAM before the input whose new rows it takes",
        stream("SELECT id FROM orders"),
        stream("SELECT id FROM STREAM orders"),
    ),
    "no query": mended(
        "add AS SELECT …, or CREATE FLOW … AS INSERT INTO silver BY NAME SELECT …, or"
        " CREATE FLOW … AS AUTO CDC INTO silver FROM STREAM …",
        "CREATE STREAMING TABLE silver;\n",
        SILVER,
    ),
    "no target": mended(
        "declare it: CREATE STREAMING TABLE silver;",
        "CREATE FLOW f AS INSERT INTO silver BY NAME SELECT id FROM STREAM orders;\n",
        "CREATE STREAMING TABLE silver;\n"
        "CREATE FLOW f AS INSERT INTO silver BY NAME SELECT id FROM STREAM orders;\n",
    ),
    "by position": mended(
        "columns are matched by name: INSERT INTO table BY NAME SELECT …",
        "CREATE STREAMING TABLE silver;\n"
        "CREATE FLOW f AS INSERT INTO silver SELECT id FROM STREAM orders;\n",
        "CREATE STREAMING TABLE silver;\n"
        "CREATE FLOW f AS INSERT INTO silver BY NAME SELECT id FROM STREAM orders;\n",
    ),
    "a name twice": mended(
        "rename one of them",
        view("SELECT id FROM orders") + view("SELECT amount FROM orders"),
        view("SELECT id FROM orders"),
    ),
    "two flows into a view": mended(
        "only a STREAMING TABLE or a sink takes several flows",
        view("SELECT 1 AS id")
        + "CREATE FLOW f AS INSERT INTO gold BY NAME SELECT id FROM STREAM orders;\n",
        stream("SELECT 1 AS id FROM STREAM orders", "gold")
        + "CREATE FLOW f AS INSERT INTO gold BY NAME SELECT id FROM STREAM orders;\n",
    ),
    "a circle": mended(
        "one of them must read something else",
        view("SELECT * FROM b") + "CREATE MATERIALIZED VIEW b AS SELECT * FROM gold;\n",
        view("SELECT * FROM b") + "CREATE MATERIALIZED VIEW b AS SELECT * FROM orders;\n",
    ),
    "a partitioned temporary view": mended(
        "a temporary view is not stored",
        "CREATE TEMPORARY VIEW v PARTITIONED BY (id) AS SELECT id FROM orders;\n",
        "CREATE TEMPORARY VIEW v AS SELECT id FROM orders;\n",
    ),
    "a name of a quarantine": mended(
        "choose a name that does not end in __quarantine",
        "CREATE MATERIALIZED VIEW a__quarantine AS SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW a AS SELECT id FROM orders;\n",
    ),
    "a value of the configuration": Case(
        "qanat validate",
        "add it to the spec: configuration: {least: …}",
        view("SELECT id FROM orders WHERE id > ${least}"),
        follow={"qanat.yml": "name: shop\nconfiguration: {least: 1}\n"},
    ),
    "a variable": Case(
        "qanat validate",
        "set it, or give a default: ${LEAST:-…}",
        before=({"qanat.yml": "name: shop\nstorage: ${LEAST}\n"},),
        follow={"qanat.yml": "name: shop\nstorage: ${LEAST:-here}\n"},
    ),
    "tabs": Case(
        "qanat validate",
        "indent with spaces; YAML does not allow tabs",
        before=({"qanat.yml": "name: shop\nconfiguration:\n\tleast: 1\n"},),
        follow={"qanat.yml": "name: shop\nconfiguration:\n  least: 1\n"},
    ),
    "an aggregate in a rule": mended(
        "compute it in the query",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (count(*) > 0)) AS"
        " SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (n > 0)) AS"
        " SELECT id, count(*) AS n FROM orders GROUP BY id;\n",
    ),
    "a subquery in a rule": mended(
        "use (columns) REFERENCES dataset (columns), or join before",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id IN (SELECT id FROM orders))) AS"
        " SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id) REFERENCES orders (id)) AS"
        " SELECT id FROM orders;\n",
    ),
    "a table is a stream or a view": mended(
        "CREATE STREAMING TABLE takes each input row once",
        "CREATE TABLE gold AS SELECT id FROM orders;\n",
        view("SELECT id FROM orders"),
    ),
    "a view is temporary or not": mended(
        "CREATE TEMPORARY VIEW is not stored, CREATE MATERIALIZED VIEW is",
        "CREATE VIEW gold AS SELECT id FROM orders;\n",
        view("SELECT id FROM orders"),
    ),
    "DuckDB's reader": mended(
        "use read_files",
        stream("SELECT id FROM STREAM sqlite_scan('data/*.csv')"),
        stream("SELECT id FROM STREAM read_files('data/*.csv')"),
    ),
    # -- Python ----------------------------------------------------------------------------------
    "no return": Case(
        "qanat validate",
        "is a `return` missing?",
        before=({PYTHON: IMPORT + "@dp.materialized_view\ndef v():\n    1\n"},),
        follow={
            PYTHON: "from qanat import pipelines as dp\n@dp.materialized_view\ndef v():\n"
            "    return 'SELECT id FROM orders'\n"
        },
    ),
    "pyspark": Case(
        "qanat validate",
        "from qanat import pipelines as dp",
        before=({PYTHON: "from pyspark import pipelines as dp\n"},),
        follow={PYTHON: "from qanat import pipelines as dp\n"},
    ),
    "a rule on nothing": Case(
        "qanat validate",
        "add @table, @materialized_view or @temporary_view",
        before=({PYTHON: IMPORT + "@dp.expect('a', 'id > 0')\ndef v(): ...\n"},),
        follow={
            PYTHON: "from qanat import pipelines as dp\n@dp.materialized_view\n"
            "@dp.expect('a', 'id > 0')\ndef v():\n    return 'SELECT id FROM orders'\n"
        },
    ),
    # -- files -----------------------------------------------------------------------------------
    "what is no text": Case(
        "qanat run",
        "move it out of the folder",
        before=({"data/b.csv": "PK\x03\x04\x14\0\0\0"},),
        follow={"data/b.csv": None},
    ),
    "formats that differ": Case(
        "qanat run",
        "narrow the path",
        stream("SELECT * FROM STREAM read_files('in/*')"),
        before=({"in/a.csv": "id\n1\n", "in/b.json": '{"id": 1}\n'},),
        follow={SQL: ORDERS + stream("SELECT * FROM STREAM read_files('in/*.csv')")},
    ),
    "a folder that is another's name": Case(
        "qanat run",
        "",
        stream("SELECT * FROM STREAM read_files('dta/*.csv')"),
        follow={SQL: ORDERS + stream("SELECT * FROM STREAM read_files('data/*.csv')")},
    ),
    # -- more declarations -----------------------------------------------------------------------
    "a stream into a view of no stream": mended(
        "read it without STREAM, or put STREAM before an input of the view",
        "CREATE TEMPORARY VIEW v AS SELECT id FROM orders;\n" + stream("SELECT id FROM STREAM v"),
        "CREATE TEMPORARY VIEW v AS SELECT id FROM STREAM orders;\n"
        + stream("SELECT id FROM STREAM v"),
    ),
    "one row of each key over a stream": mended(
        "compute it in a MATERIALIZED VIEW over the streaming table; of rows with one key KEYS (…)"
        " keeps the last, DISTINCT ON (…) the first",
        stream(
            "SELECT * FROM STREAM orders QUALIFY row_number() OVER (PARTITION BY id ORDER BY"
            " amount) = 1"
        ),
        stream("SELECT * FROM STREAM orders", more=" KEYS (id)"),
    ),
    "a rule that refers to a view": mended(
        "make it a MATERIALIZED VIEW",
        "CREATE TEMPORARY VIEW v AS SELECT id FROM orders;\n"
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id) REFERENCES v (id)) AS"
        " SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW v AS SELECT id FROM orders;\n"
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id) REFERENCES v (id)) AS"
        " SELECT id FROM orders;\n",
    ),
    "a format of another kind": mended(
        "leave it out, or set `table_format: iceberg`",
        "CREATE MATERIALIZED VIEW gold USING iceberg AS SELECT id FROM orders;\n",
        view("SELECT id FROM orders"),
    ),
    "a format that is no table's": mended(
        "create_sink() writes files in other formats",
        "CREATE MATERIALIZED VIEW gold USING csv AS SELECT id FROM orders;\n",
        view("SELECT id FROM orders"),
    ),
    "a key twice": Case(
        "qanat validate",
        "keep one of them",
        before=({"qanat.yml": "name: shop\nname: b\n"},),
        follow={"qanat.yml": "name: shop\n"},
    ),
    "a parameter that names nothing": Case(
        "qanat validate",
        "parameters are named after the datasets that the function reads",
        before=(
            {
                PYTHON: "import pyarrow as pa\nfrom qanat import pipelines as dp\n"
                "@dp.materialized_view\ndef v(*orders: pa.Table): ...\n"
            },
        ),
        follow={
            PYTHON: "import pyarrow as pa\nfrom qanat import pipelines as dp\n"
            "@dp.materialized_view\ndef v(orders: pa.Table): ...\n"
        },
    ),
    "a function": mended(
        "write the expression in the query",
        "CREATE FUNCTION f AS 1;\n" + view("SELECT id FROM orders"),
        view("SELECT id FROM orders"),
    ),
    "a schema": mended(
        "name the schema in the spec",
        "CREATE SCHEMA f;\n" + view("SELECT id FROM orders"),
        view("SELECT id FROM orders"),
    ),
    "a query that writes": Case(
        "qanat query 'DELETE FROM orders'",
        "a query only reads",
        before=("qanat run",),
        follow={},
        again="qanat query 'SELECT id FROM orders'",
    ),
    "a query that compacts": Case(
        "qanat query 'OPTIMIZE orders'",
        "a query only reads; qanat maintain compacts tables and deletes old files",
        before=("qanat run",),
        follow={},
        again="qanat maintain",
    ),
    "a query about versions": Case(
        "qanat query 'DESCRIBE HISTORY orders'",
        "qanat show tells of tables, and qanat history of their versions",
        before=("qanat run",),
        follow={},
        again="qanat history orders",
    ),
    "text beside a number": mended(
        "write the conversion: CAST(… AS type)",
        view("SELECT id FROM orders WHERE CAST(id AS TEXT) > 3"),
        view("SELECT id FROM orders WHERE CAST(CAST(id AS TEXT) AS INT) > 3"),
    ),
    "two types in a list": mended(
        "convert what does not fit: CAST(… AS type)",
        view("SELECT substring(id, 1, 2) AS n FROM orders"),
        view("SELECT substring(CAST(id AS TEXT), 1, 2) AS n FROM orders"),
    ),
    "a new column of files": Case(
        "qanat run",
        "let new columns in: TBLPROPERTIES ('qanat.schema_drift' = 'evolve')",
        stream(
            "SELECT * FROM STREAM read_files('in/*.csv')",
            more=" TBLPROPERTIES ('qanat.schema_drift' = 'freeze')",
        ),
        before=({"in/a.csv": "id\n1\n"}, "qanat run", {"in/b.csv": "id,more\n1,2\n"}),
        follow={
            SQL: ORDERS
            + stream(
                "SELECT * FROM STREAM read_files('in/*.csv')",
                more=" TBLPROPERTIES ('qanat.schema_drift' = 'evolve')",
            )
        },
    ),
    "show a temporary view": Case(
        "qanat show v",
        "declare it as a MATERIALIZED VIEW",
        "CREATE TEMPORARY VIEW v AS SELECT id FROM orders;\n",
        before=("qanat run",),
        follow={SQL: ORDERS + "CREATE MATERIALIZED VIEW v AS SELECT id FROM orders;\n"},
        again="qanat run",
    ),
    "show what reads a temporary view": Case(
        "qanat show v",
        "qanat show gold",
        "CREATE TEMPORARY VIEW v AS SELECT id FROM orders;\n" + view("SELECT id FROM v"),
        before=("qanat run",),
        again="qanat show gold",
    ),
    "an update that is not there": Case(
        "qanat history --update x",
        "qanat history lists them",
        before=("qanat run",),
        follow="qanat history",
        again="qanat history",
    ),
    "wait for a name": Case(
        "qanat run --wait orders",
        "qanat run --wait 300, or as long as it takes: qanat run --wait",
        again="qanat run --wait 300",
    ),
    "a continuous refresh": Case(
        "qanat run --continuous --full-refresh",
        "leave --continuous out, and run continuously afterwards",
        follow="qanat run --full-refresh",
        again="qanat run",
    ),
    "a report of a plan": Case(
        "qanat run --dry-run --report plan.html",
        "leave it out, and write the page later: qanat report",
        follow="qanat run",
        again="qanat run --report plan.html",
    ),
    "a diff without keys": Case(
        "qanat diff 'SELECT 1 AS a FROM range(2)' 'SELECT 1 AS a'",
        "name them: --key COLUMN, repeated for several (keys=[…] in Python)",
        follow="qanat validate",
        again="qanat diff 'SELECT 1 AS a FROM range(2)' 'SELECT 1 AS a' --key a",
    ),
    "Jinja": mended(
        "read a dataset by its name (FROM orders)",
        view("SELECT id FROM {{ ref('orders') }}"),
        view("SELECT id FROM orders"),
    ),
    "no semicolon": mended(
        "end the statement before it with a semicolon",
        "CREATE STREAMING TABLE silver\n" + view("SELECT id FROM orders"),
        SILVER + view("SELECT id FROM orders"),
    ),
    "on violation warn": mended(
        "leave ON VIOLATION out: a violation only warns then",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id > 1) ON VIOLATION WARN)"
        " AS SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id > 1)) AS SELECT id FROM orders;\n",
    ),
    "an expectation without a name": mended(
        "CONSTRAINT name EXPECT (condition)",
        "CREATE MATERIALIZED VIEW gold (EXPECT (id > 1)) AS SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW gold (CONSTRAINT a EXPECT (id > 1)) AS SELECT id FROM orders;\n",
    ),
    "a filter of rows": mended(
        "filter in the query",
        "CREATE MATERIALIZED VIEW gold WITH ROW FILTER f ON (id) AS SELECT id FROM orders;\n",
        view("SELECT id FROM orders WHERE id > 1"),
    ),
}


def do(folder: Path, step: Step) -> list[dict[str, Any]]:
    """What a step gave in errors."""
    if isinstance(step, str):
        return tried(step)
    if isinstance(step, Mapping):
        for name, text in step.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text)
    else:
        step(folder)
    return []


def tried(line: str) -> list[dict[str, Any]]:
    """Run a command line in this process; the errors that it tells, as JSON has them."""
    arguments = shlex.split(line)[1:]
    output = io.StringIO()
    asked = [] if {"--output", "--help"} & {*arguments} else ["--output", "json"]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        try:
            program.main([*arguments, *asked], prog_name="qanat", standalone_mode=False)
        except click.UsageError as error:
            return [usage_error(error, arguments).facts()]
        except QanatError as error:
            return [p.facts() for p in error.problems]
    return list(errors_in(json.loads(output.getvalue()))) if asked else []


def errors_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and (value.get("code") or value.get("level") == "error"):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from errors_in(each)


def commands_in(hint: str) -> list[str]:
    """The commands of a hint: after a colon, in backticks, or all of it."""
    return re.findall(r"qanat [a-z][^`;,…]*", hint)


@pytest.mark.parametrize("name", CASES)
def test_the_hint_works(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    do(
        tmp_path,
        {
            "qanat.yml": "name: shop\n",
            SQL: case.orders + case.sql,
            "data/a.csv": "id,amount\n1,10\n2,20\n",
        },
    )
    for step in case.before:
        assert do(tmp_path, step) == []
    errors = tried(case.command)
    hints = [e["hint"] or "" for e in errors]
    assert any(case.hint in hint for hint in hints), errors
    steps = commands_in(case.hint) if case.follow is None else [case.follow]
    assert steps
    for step in steps:
        assert do(tmp_path, step) == []
    assert tried(case.again or case.command) == []


def written() -> dict[str, re.Pattern[str]]:
    """The hints in `src` by their places, as patterns of what they may say."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="hint", value=value):
                    pass
                case ast.keyword(arg="refused", value=ast.Dict() as value):
                    pass
                case ast.Assign(
                    targets=[ast.Name(id="known" | "REFUSED" | "LATER")], value=ast.Dict() as value
                ):
                    pass
                case ast.Assign(targets=[ast.Name(id="hint" | "hints")], value=value):
                    pass
                case _:
                    continue
            for number, text in enumerate(texts(value)):
                place = f"{path.relative_to(SOURCE)}:{value.lineno}:{number}"
                found[place] = re.compile(text, re.DOTALL)
    return found


def texts(value: ast.expr) -> Iterator[str]:
    """Regular expressions for all that an expression may say, if it says anything by itself."""
    match value:
        case ast.IfExp(body=body, orelse=other):
            yield from texts(body)
            yield from texts(other)
        case ast.Dict(values=values):
            for each in values:
                yield from texts(each)
        case ast.BinOp(left=left, right=right):
            yield from (f"{a}{b}" for a in texts(left) or [".*"] for b in texts(right) or [".*"])
        case ast.Constant(value=str(text)) if text:
            yield re.escape(text)
        case ast.JoinedStr(values=parts):
            said = [
                re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".*" for p in parts
            ]
            if any(each != ".*" for each in said):
                yield "".join(said)


def test_every_hint_is_followed() -> None:
    """A new hint needs a case, or has a reason why it can have none."""
    known = written()
    rest = {
        place
        for place, pattern in known.items()
        if not any(case.hint and followed_by(pattern, case.hint) for case in CASES.values())
    }
    named = [entry for entries in NOT_FOLLOWED.values() for entry in entries]
    excused = {e: {p for p in rest if excuses(e, p, known[p])} for e in named}
    left = rest - set().union(*excused.values())
    assert not left, "\n".join(f"{p}  {known[p].pattern}" for p in sorted(left))
    assert [entry for entry, places in excused.items() if not places] == []


def excuses(entry: str, place: str, pattern: re.Pattern[str]) -> bool:
    """True if an entry of `NOT_FOLLOWED` is about a hint."""
    module, _, text = entry.partition(": ")
    return place.startswith(module) and pattern.pattern.startswith(re.escape(text))


def followed_by(pattern: re.Pattern[str], hint: str) -> bool:
    """True if a hint may say what a case expects of it; parts of it are enough."""
    return pattern.search(hint) is not None or re.escape(hint) in pattern.pattern
