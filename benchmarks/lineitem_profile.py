"""`qanat profile` of TPC-H lineitem, 6 M rows of 16 columns, beside DuckDB's SUMMARIZE.

Both read the files of the same table, each in a fresh process with as many threads. SUMMARIZE
gives bounds, approximate distinct values, mean, deviation and three quantiles of each column;
Qanat these (its distinct values are closer), and histograms, frequent values, patterns,
correlations and keys. Memory is also measured on a table QANAT_BENCH_PROFILE_TIMES times as large
(5; 17 times are 100 M rows), with order keys that go on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from figure import Against, Figure
from measure import Cost, baseline, medians, spend
from place import CORES, QANAT, scratch, tpch

TIMES = int(os.environ.get("QANAT_BENCH_PROFILE_TIMES", "5"))
MEMORY = 1000.0
"""MB: what a profile may hold, however large its table is."""

_TABLES = """
CREATE MATERIALIZED VIEW lineitem AS SELECT * FROM read_files('{file}');
CREATE MATERIALIZED VIEW large AS SELECT * REPLACE (l_orderkey + 6000000 * n AS l_orderkey)
FROM lineitem CROSS JOIN range({times}) AS times (n);
"""
_SUMMARIZE = """
import duckdb
con = duckdb.connect()
con.execute('SET threads = {cores}')
print(con.execute("SUMMARIZE FROM 'storage/tables/{table}/*.parquet'").fetchall())
"""


def measure() -> list[Figure]:
    """CPU no more than that of SUMMARIZE, medians of 3; memory 1 GB at most, once if large."""
    with scratch("lineitem_profile") as folder:
        sql = _TABLES.format(file=tpch(1) / "lineitem.parquet", times=TIMES)
        (folder / "transformations").mkdir()
        (folder / "transformations" / "tables.sql").write_text(sql)
        (folder / "qanat.yml").write_text(f"name: profile\nstorage: storage\nthreads: {CORES}\n")
        spend([*QANAT, "run"], folder)
        own, theirs = medians(
            3,
            lambda _: profiled(folder, "lineitem"),
            baseline(lambda _: summarized(folder, "lineitem")),
        )
        _show("Qanat", own)
        _show("SUMMARIZE", theirs)
        large = profiled(folder, "large")
        _show("Qanat, large", large)
    rows = f"{TIMES * 6} M rows"
    return [
        Figure("lineitem_profile: CPU", own.cpu, "SUMMARIZE", theirs.cpu, "s", Against.RATIO, 1.0),
        _memory("lineitem_profile: peak memory", own, "SUMMARIZE", theirs),
        _memory(f"lineitem_profile, {rows}: peak memory", large, "6 M rows", own),
    ]


def _show(name: str, cost: Cost) -> None:
    print(f"lineitem_profile: {name} {cost.document()}", file=sys.stderr, flush=True)


def _memory(name: str, own: Cost, base: str, other: Cost) -> Figure:
    peaks = own.peak / 1e6, other.peak / 1e6
    return Figure(name, peaks[0], base, peaks[1], "MB", Against.VALUE, MEMORY)


def profiled(folder: Path, table: str) -> Cost:
    """What the command takes."""
    return spend([*QANAT, "profile", table, "--output", "json"], folder)


def summarized(folder: Path, table: str) -> Cost:
    """What SUMMARIZE of the same files takes."""
    script = _SUMMARIZE.format(cores=CORES, table=table)
    return spend([sys.executable, "-c", script], folder)
