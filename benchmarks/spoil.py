"""Spoil one row in a hundred of TPC-H lineitem, always the same ones: `spoil.py FOLDER`.

Reads lineitem.parquet and orders.parquet, writes dirty.parquet and counts.json. A spoiled row
breaks one rule of each of the three tables of `lineitem.py`. Besides, of ten thousand rows about
one refers to an order that does not exist, and about one in thirty thousand has the line number
of the line before it, which makes a doubled key. `counts.json` says how many rows each table
must quarantine: counted here, from the finished file, in other words than Qanat's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

# TPC-H uses the first 8 of every 32 order keys; this numbers the orders without gaps.
ORDER = "(l_orderkey // 32 * 8 + l_orderkey % 8)"
SPOILED = f"({ORDER} * 7 + l_linenumber) % 100 = 13"
FIFTH = f"({ORDER} // 100 + l_linenumber) % 5"
SIXTH = f"({ORDER} // 100 + l_linenumber) % 6"
DANGLING = f"({ORDER} * 7 + l_linenumber) % 10000 = 17"
DOUBLED = f"l_linenumber = 2 AND ({ORDER} * 7 + 2) % 5000 = 29"

CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "l_orderkey": ((f"{SPOILED} AND {SIXTH} = 0", "-l_orderkey"), (DANGLING, "l_orderkey + 16")),
    "l_partkey": ((f"{SPOILED} AND {SIXTH} = 1", "0"),),
    "l_suppkey": ((f"{SPOILED} AND {SIXTH} = 2", "-1"),),
    "l_linenumber": ((f"{SPOILED} AND {SIXTH} = 3", "9"), (DOUBLED, "1")),
    "l_returnflag": ((f"{SPOILED} AND {SIXTH} = 4", "'?'"),),
    "l_linestatus": ((f"{SPOILED} AND {SIXTH} = 5", "NULL"),),
    "l_quantity": ((f"{SPOILED} AND {FIFTH} = 0", "99"),),
    "l_extendedprice": ((f"{SPOILED} AND {FIFTH} = 1", "0"),),
    "l_discount": ((f"{SPOILED} AND {FIFTH} = 2", "0.5"),),
    "l_tax": ((f"{SPOILED} AND {FIFTH} >= 3", "0.9"),),
    "l_shipdate": ((f"{SPOILED} AND {FIFTH} = 0", "DATE '1900-01-01'"),),
    "l_commitdate": ((f"{SPOILED} AND {FIFTH} = 1", "NULL"),),
    "l_receiptdate": ((f"{SPOILED} AND {FIFTH} = 2", "l_shipdate"),),
    "l_shipinstruct": ((f"{SPOILED} AND {FIFTH} = 3", "''"),),
    "l_shipmode": ((f"{SPOILED} AND {FIFTH} = 4", "'CAMEL'"),),
}


def spoil(folder: Path) -> None:
    """Write dirty.parquet and counts.json beside lineitem.parquet."""
    columns = ", ".join(
        f"CASE {' '.join(f'WHEN {when} THEN {then}' for when, then in changes)} "
        f"ELSE {column} END AS {column}"
        for column, changes in CHANGES.items()
    )
    lineitem, orders, dirty = (
        str(folder / f"{name}.parquet") for name in ("lineitem", "orders", "dirty")
    )
    db = duckdb.connect()
    db.execute("SET enable_progress_bar = false")
    db.execute(f"SET memory_limit = '4GB'; SET temp_directory = '{folder / 'spill'}'")
    db.execute(f"COPY (SELECT {columns}, l_comment FROM read_parquet('{lineitem}')) TO '{dirty}'")
    spoiled = f"SELECT count(*) FROM read_parquet('{lineitem}') WHERE {SPOILED}"
    keys = f"""
        SELECT count(*) FILTER (
            NOT (l_orderkey > 0 AND l_partkey > 0 AND l_suppkey > 0 AND l_linenumber < 9
                 AND l_returnflag <> '?' AND l_linestatus IS NOT NULL)
            OR missing OR double)
        FROM (
            SELECT d.*, o_orderkey IS NULL AS missing,
                row_number() OVER (PARTITION BY l_orderkey, l_linenumber) > 1 AS double
            FROM read_parquet('{dirty}') AS d
            LEFT JOIN read_parquet('{orders}') ON o_orderkey = l_orderkey)
    """
    rows = f"SELECT count(*) FROM read_parquet('{dirty}')"
    counts = {}
    for name, query in (("rows", rows), ("spoiled", spoiled), ("keys", keys)):
        found = db.execute(query).fetchone()
        counts[name] = found[0] if found else 0
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


if __name__ == "__main__":
    spoil(Path(sys.argv[1]))
