"""Hints about files, and about functions of data frames: followed, and the update succeeds."""

from __future__ import annotations

import decimal
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.acceptance.hinted.case import IMPORT, ORDERS, PYTHON, SQL, Case, stream, view

READS = stream("SELECT * FROM STREAM read_files('in/*')")
CSV = {"in/a.csv": "id\n1\n"}


def parquet(sql: str, name: str = "in/a.parquet"):
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        duckdb.execute(f"COPY ({sql}) TO '{folder / name}' (FORMAT parquet)")

    return write


def wide_decimals(folder: Path) -> None:
    (folder / "in").mkdir()
    numbers = pa.array([decimal.Decimal("1" * 40)], pa.decimal256(40, 0))
    pq.write_table(pa.table({"id": numbers}), folder / "in/a.parquet")


def bad_name(folder: Path) -> None:
    (folder / "in").mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/in/\xff.csv")).write_text("id\n1\n")


def good_name(folder: Path) -> None:
    for path in (folder / "in").iterdir():
        path.rename(folder / "in/good.csv")


def frame(hint: str, wrong: str, right: str) -> Case:
    head = "import pandas as pd\n" + IMPORT + "@dp.materialized_view\n"
    head += "def v(orders: pd.DataFrame) -> pd.DataFrame:\n    return "
    return Case(
        "qanat run",
        hint,
        before=({PYTHON: f"{head}{wrong}\n"},),
        follow={PYTHON: f"{head}{right}\n"},
    )


CASES = {
    "a folder with other files": Case(
        "qanat run",
        "'data' has 'a.csv'",
        stream("SELECT * FROM STREAM read_files('data/zzzzzz.json')"),
        follow={SQL: ORDERS + stream("SELECT * FROM STREAM read_files('data/a.csv')")},
    ),
    "a name that is not UTF-8": Case(
        "qanat run", "rename the file", READS, before=(bad_name,), follow=good_name
    ),
    "a damaged archive": Case(
        "qanat run",
        "it is damaged or incomplete, or is of another format than its name says",
        READS,
        before=({"in/a.csv.gz": "id\n1\n"},),
        follow={"in/a.csv.gz": None, **CSV},
    ),
    "a damaged Parquet file": Case(
        "qanat run",
        "mend the file or take it away, and run again",
        READS,
        before=({"in/a.parquet": "no parquet"},),
        follow={"in/a.parquet": None},
    ),
    "decimals of too many digits": Case(
        "qanat run",
        "write the column with fewer digits, or as text",
        READS,
        before=(wide_decimals,),
        follow=parquet(f"SELECT '{'1' * 40}' AS id"),
    ),
    "a column of our own": Case(
        "qanat run",
        "rename the column where the files are written",
        READS,
        before=({"in/a.csv": "id,__qanat_x\n1,2\n"},),
        follow={"in/a.csv": "id,x\n1,2\n"},
    ),
    "a column of our own, and no header": Case(
        "qanat run",
        "read them without a header and name the columns in schema",
        READS,
        before=({"in/a.csv": "id,__qanat_x\n1,2\n"},),
        follow={
            SQL: ORDERS
            + stream(
                "SELECT * FROM STREAM read_files('in/*', header => false,"
                " schema => 'id STRING, x STRING')"
            )
        },
    ),
    "a column of DuckDB's": Case(
        "qanat run",
        "rename the column where the files are written",
        READS,
        before=(parquet("SELECT 1 AS id, 'x' AS file_row_number"),),
        follow=parquet("SELECT 1 AS id, 'x' AS file"),
    ),
    "files without columns": Case(
        "qanat run",
        "declare the columns: read_files(…, schema => 'id BIGINT, …'); or wait for a file that has"
        " some",
        READS,
        before=({"in/a.json": "[]"},),
        follow={
            SQL: ORDERS + stream("SELECT * FROM STREAM read_files('in/*', schema => 'id BIGINT')")
        },
    ),
    "a column for a frame": frame(
        "a column alone is no table: return frame[['name']], with two brackets",
        "orders['id']",
        "orders[['id']]",
    ),
    "two types in a column": frame(
        "give each column one type, for example with .astype(…)",
        "pd.DataFrame({'a': [1, 'x']})",
        "pd.DataFrame({'a': [1, 'x']}).astype(str)",
    ),
    "a moment that no folder is called after": Case(
        "qanat run",
        "leave out such rows, or partition by another column",
        "CREATE MATERIALIZED VIEW gold PARTITIONED BY (at) AS SELECT id,"
        " TIMESTAMP 'infinity' AS at FROM orders;\n",
        follow={
            SQL: ORDERS + "CREATE MATERIALIZED VIEW gold PARTITIONED BY (at) AS SELECT id,"
            " TIMESTAMP '2026-01-01' AS at FROM orders;\n"
        },
    ),
    "a query of much memory": Case(
        "qanat run",
        "raise `memory_limit` in the spec",
        view(
            "SELECT list(r ORDER BY r DESC) AS l FROM (SELECT repeat(id::TEXT, 5000) AS r"
            " FROM orders, range(20000))"
        ),
        before=({"qanat.yml": "name: shop\nmemory_limit: 20MB\nthreads: 1\n"},),
        follow={"qanat.yml": "name: shop\nmemory_limit: 2GB\nthreads: 1\n"},
    ),
    "too many rows in quarantine": Case(
        "qanat run",
        "nothing was published; mend the source or the rules and run again, or raise the limit and"
        " look at these rows in silver__quarantine",
        "CREATE STREAMING TABLE silver (CONSTRAINT a EXPECT (id > 1) ON VIOLATION QUARANTINE ROW)"
        " TBLPROPERTIES ('qanat.quarantine_limit' = '0') AS SELECT id FROM STREAM orders;\n",
        follow={
            SQL: ORDERS
            + "CREATE STREAMING TABLE silver (CONSTRAINT a EXPECT (id > 1) ON VIOLATION QUARANTINE"
            " ROW) TBLPROPERTIES ('qanat.quarantine_limit' = '1') AS SELECT id FROM STREAM"
            " orders;\n"
        },
    ),
}
