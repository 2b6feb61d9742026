"""Hashes of the five gold tables, and counts of rows: `gold.py duckdb FILE SCHEMA`.

    gold.py duckdb warehouse.duckdb main     tables or views of a DuckDB database
    gold.py parquet warehouse                folders of Parquet files
    gold.py delta storage/tables             folders of Delta Lake tables

Runs in the environment of the tool that made the tables, and prints JSON. A hash is of the rows
in their order of values, columns by name, numbers to nine decimals: neither the order in which a
table was written nor INTEGER against BIGINT makes a difference.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import import_module
from pathlib import Path

import duckdb

GOLD = ("airport_ranking", "carriers_by_month", "delay_by_age", "delay_by_weather", "worst_routes")
COUNTED = ("airports", "cancelled_flights", "silver_flights")


def read(kind: str, place: str, schema: str = "") -> dict[str, str | int]:
    """What the tables of a place hold."""
    file = place if kind == "duckdb" else ":memory:"
    with duckdb.connect(file, read_only=kind == "duckdb") as con:

        def relation(table: str) -> str:
            if kind == "duckdb":
                return f"{schema}.{table}"
            folder = Path(place) / table
            if kind == "parquet":
                return f"read_parquet('{folder}/*.parquet')"
            # Of the few environments that run this, one has a reader of Delta Lake.
            files = import_module("deltalake").DeltaTable(str(folder)).file_uris()
            return f"read_parquet({files})"

        def count(table: str) -> int:
            found = con.execute(f"SELECT count(*) FROM {relation(table)}").fetchone()
            return int(found[0]) if found else 0

        quarantined = "__quarantine" if kind == "delta" else "_quarantine"
        result: dict[str, str | int] = {table: count(table) for table in COUNTED}
        # Not those of `silver_flights`: of a cancelled flight to an unknown airport Qanat keeps
        # the row, as it prefers quarantine to drop; the others drop it.
        result["airports, quarantined"] = count("airports" + quarantined)
        for table in GOLD:
            cursor = con.execute(f"SELECT * FROM {relation(table)}")
            names = [column[0] for column in cursor.description or ()]
            order = sorted(range(len(names)), key=names.__getitem__)
            rows = [[_plain(row[i]) for i in order] for row in cursor.fetchall()]
            rows.sort(key=json.dumps)
            text = json.dumps([sorted(names), rows])
            result[table] = hashlib.sha256(text.encode()).hexdigest()
    return result


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str) else round(float(str(value)), 9)


if __name__ == "__main__":
    print(json.dumps(read(*sys.argv[1:])))
