"""Write the rows that checks are compared by: `checks_data.py DIRTY FOLDER ROWS`.

lineitem.parquet has the spoiled rows of `spoil.py`, its decimals as doubles and its dates as they
are: what all tools read without ado. lineitem.csv has the first half of them. counts.json says how
many rows violate each check, in other words than any tool's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

DOUBLES = ("l_quantity", "l_extendedprice", "l_discount", "l_tax")
MODES = "'AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK'"
VIOLATED = {
    "has_order": "l_orderkey IS NULL",
    "has_part": "l_partkey IS NULL",
    "has_price": "l_extendedprice IS NULL",
    "has_status": "l_linestatus IS NULL",
    "has_date": "l_commitdate IS NULL",
    "few": "l_quantity < 1 OR l_quantity > 50",
    "discounted": "l_discount < 0 OR l_discount > 0.1",
    "taxed": "l_tax < 0 OR l_tax > 0.08",
    "line": "l_linenumber < 1 OR l_linenumber > 7",
    "flag": "l_returnflag NOT IN ('A', 'N', 'R')",
    "status": "l_linestatus NOT IN ('O', 'F')",
    "mode": f"l_shipmode NOT IN ({MODES})",
    "words": "NOT regexp_full_match(l_comment, '[a-z ,.;:!?-]+')",
    "capitals": "NOT regexp_full_match(l_shipinstruct, '[A-Z ]+')",
    "received_later": "l_receiptdate <= l_shipdate",
    "plausible_date": "l_shipdate < DATE '1992-01-01'",
    "ordered": "l_orderkey NOT IN (SELECT o_orderkey FROM orders)",
}


def main() -> None:
    """Write the files."""
    dirty, folder, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    db = duckdb.connect()
    db.execute("SET memory_limit = '4GB'; SET enable_progress_bar = false")
    # Readers of CSV do not agree on empty texts.
    texts = "CASE WHEN l_shipinstruct = '' THEN 'none' ELSE l_shipinstruct END AS l_shipinstruct"
    casts = ", ".join((*(f"{c}::DOUBLE AS {c}" for c in DOUBLES), texts))
    source = f"SELECT * REPLACE ({casts}) FROM read_parquet('{dirty}') LIMIT {rows}"
    parquet, text = folder / "lineitem.parquet", folder / "lineitem.csv"
    db.execute(f"COPY ({source}) TO '{parquet}'")
    db.execute(f"COPY (FROM '{parquet}' LIMIT {rows // 2}) TO '{text}' (FORMAT csv, HEADER)")
    db.execute(f"CREATE VIEW orders AS FROM '{Path(dirty).with_name('orders.parquet')}'")
    counts = {}
    for name, few in (("parquet", f"'{parquet}'"), ("csv", f"'{parquet}' LIMIT {rows // 2}")):
        db.execute(f"CREATE OR REPLACE VIEW l AS FROM {few}")
        found = {
            check: db.execute(f"SELECT count(*) FROM l WHERE {sql}").fetchall()[0][0]
            for check, sql in VIOLATED.items()
        }
        keys = "count(DISTINCT (l_orderkey, l_linenumber))"
        found["once"] = db.execute(f"SELECT count(*) - {keys} FROM l").fetchall()[0][0]
        counts[name] = found | {"rows": 0, "mean": 0}
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


if __name__ == "__main__":
    main()
