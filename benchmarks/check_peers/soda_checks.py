"""The twenty checks by Soda Core on DuckDB: `... FOLDER ORDERS`, prints violations."""

import json
import os
import sys

import duckdb
from soda.scan import Scan

CHECKS = """
checks for lineitem:
  - missing_count(l_orderkey) = 0: {name: has_order}
  - missing_count(l_partkey) = 0: {name: has_part}
  - missing_count(l_extendedprice) = 0: {name: has_price}
  - missing_count(l_linestatus) = 0: {name: has_status}
  - missing_count(l_commitdate) = 0: {name: has_date}
  - invalid_count(l_quantity) = 0: {name: few, valid min: 1, valid max: 50}
  - invalid_count(l_discount) = 0: {name: discounted, valid min: 0, valid max: 0.1}
  - invalid_count(l_tax) = 0: {name: taxed, valid min: 0, valid max: 0.08}
  - invalid_count(l_linenumber) = 0: {name: line, valid min: 1, valid max: 7}
  - invalid_count(l_returnflag) = 0: {name: flag, valid values: [A, N, R]}
  - invalid_count(l_linestatus) = 0: {name: status, valid values: [O, F]}
  - invalid_count(l_shipmode) = 0:
      name: mode
      valid values: [AIR, FOB, MAIL, RAIL, REG AIR, SHIP, TRUCK]
  - invalid_count(l_comment) = 0: {name: words, valid regex: '^[a-z ,.;:!?-]+$'}
  - invalid_count(l_shipinstruct) = 0: {name: capitals, valid regex: '^[A-Z ]+$'}
  - too_soon = 0:
      name: received_later
      too_soon expression: count(CASE WHEN l_receiptdate <= l_shipdate THEN 1 END)
  - too_old = 0:
      name: plausible_date
      too_old expression: count(CASE WHEN l_shipdate < DATE '1992-01-01' THEN 1 END)
  - duplicate_count(l_orderkey, l_linenumber) = 0: {name: once}
  - values in (l_orderkey) must exist in orders (o_orderkey): {name: ordered}
  - row_count between 1000 and 10000000: {name: rows}
  - avg(l_quantity) between 20 and 30: {name: mean}
"""

folder, orders = sys.argv[1:]
db = duckdb.connect()
db.execute(f"SET threads = {len(os.sched_getaffinity(0))}")
db.execute(f"CREATE VIEW lineitem AS FROM '{folder}/lineitem.parquet'")
db.execute(f"CREATE VIEW orders AS FROM '{orders}'")
scan = Scan()
scan.disable_telemetry()
scan.set_data_source_name("duckdb")
scan.add_duckdb_connection(db, data_source_name="duckdb")
scan.add_sodacl_yaml_str(CHECKS)
scan.execute()
if scan.has_error_logs():
    sys.exit(scan.get_error_logs_text())
found = {c["name"]: c for c in scan.get_scan_results()["checks"]}
print(
    json.dumps(
        {
            name: int(c["outcome"] != "pass")
            if name in ("rows", "mean")
            else c["diagnostics"]["value"]
            for name, c in found.items()
        }
    )
)
