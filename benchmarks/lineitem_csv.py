"""6 M rows of clean CSV into a table, types inferred or declared, against DuckDB's own COPY.

The file is TPC-H lineitem as DuckDB writes it, with a header. Each side copies every column of
every row, in a fresh process with as many threads: DuckDB from `read_csv` to Parquet, once with
types that it finds out and once with those of TPC-H; Qanat into a Delta table, which also tells
that every value fits, and syncs what it writes.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from figure import Against, Figure
from lineitem import WrongRowsError
from measure import Cost, baseline, medians, spend
from place import CORES, QANAT, scratch, tpch

COLUMNS = {
    "l_orderkey": "BIGINT",
    "l_partkey": "BIGINT",
    "l_suppkey": "BIGINT",
    "l_linenumber": "INTEGER",
    "l_quantity": "DECIMAL(15, 2)",
    "l_extendedprice": "DECIMAL(15, 2)",
    "l_discount": "DECIMAL(15, 2)",
    "l_tax": "DECIMAL(15, 2)",
    "l_returnflag": "VARCHAR",
    "l_linestatus": "VARCHAR",
    "l_shipdate": "DATE",
    "l_commitdate": "DATE",
    "l_receiptdate": "DATE",
    "l_shipinstruct": "VARCHAR",
    "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}
ROWS = 6_001_215


def text(data: Path) -> Path:
    """The table as CSV, made once."""
    path = data / "lineitem.csv"
    if not path.exists():
        made = path.with_suffix(".making")
        # In a process of its own: see measure.py.
        script = (
            f"import duckdb; duckdb.execute(\"COPY (FROM '{data / 'lineitem.parquet'}') "
            f"TO '{made}' (FORMAT csv, HEADER)\")"
        )
        spend([sys.executable, "-c", script], data)
        made.rename(path)
    return path


def run(folder: Path, file: Path, *, declared: bool) -> Cost:
    """The cost of the first update of a fresh project.

    Raises:
        WrongRowsError: the table has other rows than the file.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "transformations").mkdir(parents=True)
    types = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
    schema = f", schema => '{types}'" if declared else ""
    (folder / "transformations" / "tables.sql").write_text(
        "CREATE OR REFRESH STREAMING TABLE lineitem AS SELECT * FROM STREAM "
        f"read_files('{file}', format => 'csv', header => true{schema});\n",
        encoding="utf-8",
    )
    (folder / "qanat.yml").write_text(
        f"name: lineitem\nstorage: storage\nthreads: {CORES}\n", encoding="utf-8"
    )
    cost = spend([*QANAT, "run", "--output", "json"], folder)
    [dataset] = json.loads(cost.output)["datasets"]
    if (dataset["written"], dataset["quarantined"]) != (ROWS, 0):
        raise WrongRowsError(f"{dataset['written']} written, {dataset['quarantined']} put aside")
    return cost


def copy(folder: Path, file: Path, *, declared: bool) -> Cost:
    """The cost of one COPY of `read_csv` to Parquet."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    types = ", ".join(f"'{name}': '{type_}'" for name, type_ in COLUMNS.items())
    columns = f", columns = {{{types}}}" if declared else ""
    script = folder / "copy_file.py"
    script.write_text(
        f"import duckdb\n\ndb = duckdb.connect()\ndb.execute('SET threads = {CORES}')\n"
        f"db.execute(\"COPY (FROM read_csv('{file}', header = true{columns})) "
        "TO 'lineitem.parquet' (FORMAT parquet)\")\n",
        encoding="utf-8",
    )
    return spend([sys.executable, script], folder)


def measure() -> list[Figure]:
    """CPU at most 1.5 times with inferred types, 1.3 times with declared ones; medians of 3."""
    return [_against_copy(declared=False, limit=1.5), _against_copy(declared=True, limit=1.3)]


def _against_copy(*, declared: bool, limit: float) -> Figure:
    file = text(tpch(1))
    with scratch("lineitem_csv") as folder:
        ours, plain = medians(
            3,
            lambda _: run(folder / "qanat", file, declared=declared),
            baseline(lambda _: copy(folder / "copy", file, declared=declared)),
        )
    name = f"lineitem_csv: {'declared' if declared else 'inferred'} types, CPU"
    base = "COPY of read_csv"
    return Figure(name, ours.cpu, base, plain.cpu, "s", Against.RATIO, limit)
