"""The three typed tables of TPC-H lineitem, as a Qanat project and as plain DuckDB.

What is compared, and why so: each table reads the Parquet file itself and keeps every one of its
6 M rows, so nothing is saved by reading once what three tables need, and nothing is hidden in a
cheap aggregate. `lineitem` has all 16 columns, `pricing` and `shipping` have a part of them and
something computed. The 16 row rules are spread over the three tables (6, 5, 5), each where its
columns are; the dirty file has one row in a hundred that breaks a rule of each table. All rules
quarantine, the dearest action: the rows have to be written once more, with their reasons.

The baseline writes the same columns with one plain `COPY` each, in a fresh process with as many
threads, and checks nothing. It reads the same file.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from figure import Against, Figure
from measure import Cost, baseline, medians, spend
from place import CORES, QANAT, scratch, tpch

TABLES: dict[str, str] = {
    "lineitem": """\
  CAST(l_orderkey AS BIGINT) AS l_orderkey, CAST(l_partkey AS BIGINT) AS l_partkey,
  CAST(l_suppkey AS BIGINT) AS l_suppkey, CAST(l_linenumber AS INTEGER) AS l_linenumber,
  CAST(l_quantity AS DECIMAL(15, 2)) AS l_quantity,
  CAST(l_extendedprice AS DECIMAL(15, 2)) AS l_extendedprice,
  CAST(l_discount AS DECIMAL(15, 2)) AS l_discount, CAST(l_tax AS DECIMAL(15, 2)) AS l_tax,
  CAST(l_returnflag AS VARCHAR) AS l_returnflag, CAST(l_linestatus AS VARCHAR) AS l_linestatus,
  CAST(l_shipdate AS DATE) AS l_shipdate, CAST(l_commitdate AS DATE) AS l_commitdate,
  CAST(l_receiptdate AS DATE) AS l_receiptdate,
  CAST(l_shipinstruct AS VARCHAR) AS l_shipinstruct, CAST(l_shipmode AS VARCHAR) AS l_shipmode,
  CAST(l_comment AS VARCHAR) AS l_comment""",
    "pricing": """\
  CAST(l_orderkey AS BIGINT) AS l_orderkey, CAST(l_linenumber AS INTEGER) AS l_linenumber,
  CAST(l_quantity AS DECIMAL(15, 2)) AS quantity,
  CAST(l_extendedprice AS DECIMAL(15, 2)) AS price,
  CAST(l_discount AS DECIMAL(15, 2)) AS discount, CAST(l_tax AS DECIMAL(15, 2)) AS tax,
  CAST(l_extendedprice * (1 - l_discount) AS DOUBLE) AS revenue""",
    "shipping": """\
  CAST(l_orderkey AS BIGINT) AS l_orderkey, CAST(l_linenumber AS INTEGER) AS l_linenumber,
  CAST(l_shipdate AS DATE) AS shipped, CAST(l_commitdate AS DATE) AS promised,
  CAST(l_receiptdate AS DATE) AS received, date_diff('day', l_shipdate, l_receiptdate) AS days,
  CAST(l_shipinstruct AS VARCHAR) AS instructions, CAST(l_shipmode AS VARCHAR) AS mode""",
}

RULES: dict[str, dict[str, str]] = {
    "lineitem": {
        "real_order": "l_orderkey > 0",
        "real_part": "l_partkey > 0",
        "real_supplier": "l_suppkey > 0",
        "at_most_seven_lines": "l_linenumber BETWEEN 1 AND 7",
        "known_flag": "l_returnflag IN ('A', 'N', 'R')",
        "known_status": "l_linestatus IN ('O', 'F')",
    },
    "pricing": {
        "plausible_quantity": "quantity BETWEEN 1 AND 50",
        "has_a_price": "price > 0",
        "plausible_discount": "discount BETWEEN 0 AND 0.10",
        "plausible_tax": "tax BETWEEN 0 AND 0.08",
        "plausible_unit_price": "price / quantity BETWEEN 900 AND 2100",
    },
    "shipping": {
        "shipped_since_1992": "shipped >= DATE '1992-01-01'",
        "received_after_shipped": "received > shipped",
        "has_a_promise": "promised IS NOT NULL",
        "has_instructions": "length(instructions) > 0",
        "known_mode": "mode IN ('AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK')",
    },
}

KEYS = {
    "one_per_line": "UNIQUE (l_orderkey, l_linenumber)",
    "real_reference": "(l_orderkey) REFERENCES orders (o_orderkey)",
}


class WrongRowsError(ValueError):
    """Fast, but not what was asked for: a table has other rows than it must have."""


def lay_out(
    folder: Path, data: Path, *, rules: bool, keys: bool, memory_limit: str | None = None
) -> Path:
    """A project of the three tables, read from the dirty file of `data`."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "transformations").mkdir(parents=True)
    statements = []
    for table, columns in TABLES.items():
        texts = {n: f"({p})" for n, p in RULES[table].items()} if rules else {}
        if keys and table == "lineitem":
            texts |= KEYS
        constraints = ",\n".join(
            f"  CONSTRAINT {name} EXPECT {text} ON VIOLATION QUARANTINE ROW"
            for name, text in texts.items()
        )
        source = f"STREAM read_files('{data / 'dirty.parquet'}', format => 'parquet')"
        statements.append(
            f"CREATE OR REFRESH STREAMING TABLE {table}"
            + (f" (\n{constraints}\n)" if constraints else "")
            + f"\nAS SELECT\n{columns}\nFROM {source};\n"
        )
    if keys:
        orders = f"read_files('{data / 'orders.parquet'}', format => 'parquet')"
        statements.append(
            f"CREATE MATERIALIZED VIEW orders AS SELECT o_orderkey, o_custkey FROM {orders};\n"
        )
    (folder / "transformations" / "tables.sql").write_text("\n".join(statements), encoding="utf-8")
    limit = f"memory_limit: {memory_limit}\n" if memory_limit else ""
    (folder / "qanat.yml").write_text(
        f"name: lineitem\nstorage: storage\nthreads: {CORES}\n{limit}", encoding="utf-8"
    )
    return folder


def run(
    folder: Path, data: Path, *, rules: bool, keys: bool, memory_limit: str | None = None
) -> Cost:
    """The cost of one update of a fresh project whose `orders`, if any, are there already.

    Raises:
        WrongRowsError: a table got or quarantined other rows than it must.
    """
    project = lay_out(folder, data, rules=rules, keys=keys, memory_limit=memory_limit)
    if keys:
        spend([*QANAT, "run", "--select", "orders"], project)
    tables = [word for table in TABLES for word in ("--select", table)]
    cost = spend([*QANAT, "run", *tables, "--output", "json"], project)
    counts = json.loads((data / "counts.json").read_text(encoding="utf-8"))
    for dataset in json.loads(cost.output)["datasets"]:
        name = dataset["dataset"]
        bad = counts["spoiled"] if rules else 0
        if keys and name == "lineitem":
            bad = counts["keys"]
        got = (dataset["written"], dataset["quarantined"])
        if got != (counts["rows"] - bad, bad):
            raise WrongRowsError(f"{name}: {got}, not {(counts['rows'] - bad, bad)}")
    return cost


def copy(folder: Path, data: Path) -> Cost:
    """The cost of the hand-written script: one plain COPY per table."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = f"read_parquet('{data / 'dirty.parquet'}')"
    copies = "\n".join(
        f'db.execute("""COPY (SELECT\n{columns}\nFROM {source}) '
        f'TO \'{folder / table}.parquet\' (FORMAT parquet)""")'
        for table, columns in TABLES.items()
    )
    script = folder / "copy_tables.py"
    script.write_text(
        f"import duckdb\n\ndb = duckdb.connect()\ndb.execute('SET threads = {CORES}')\n{copies}\n",
        encoding="utf-8",
    )
    return spend([sys.executable, script], folder)


def against_copy(
    name: str, *, rules: bool = False, keys: bool = False, cpu: float, peak: float | None = None
) -> list[Figure]:
    """CPU, and peak memory where a limit is given, against plain COPY; medians of 5."""
    data = tpch(1)
    with scratch(name) as folder:
        ours, plain = medians(
            5,
            lambda _: run(folder / "qanat", data, rules=rules, keys=keys),
            baseline(lambda _: copy(folder / "copy", data)),
        )
    base = "plain COPY"
    figures = [Figure(f"{name}: CPU", ours.cpu, base, plain.cpu, "s", Against.RATIO, cpu)]
    if peak is not None:
        held, least = ours.peak / 1e6, plain.peak / 1e6
        figures.append(
            Figure(f"{name}: peak memory", held, base, least, "MB", Against.RATIO, peak)
        )
    return figures
