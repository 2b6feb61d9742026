"""The flights demo with dlt: it loads the new files, SQL in the destination does the rest.

python flights_pipeline.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import dlt
from dlt.extract.resource import DltResource
from dlt.sources.filesystem import filesystem, read_csv_duckdb


def csv(name: str, folder: str, glob: str, *, once: bool = False) -> DltResource:
    """The rows of all files of a folder, or, with `once`, of those not loaded before."""
    seen = dlt.sources.incremental("modification_date") if once else None
    files = filesystem(folder, file_glob=glob, incremental=seen)
    rows = files | read_csv_duckdb(
        chunk_size=500_000, use_pyarrow=True, header=True, all_varchar=True, na_values="NA"
    )
    return rows.with_name(name).apply_hints(write_disposition="append" if once else "replace")


def main() -> int:
    """Load what is new, transform, check, answer; 1 if a rule of action `fail` is broken."""
    pipeline = dlt.pipeline(
        "flights",
        destination=dlt.destinations.duckdb("warehouse.duckdb"),
        dataset_name="flights",
        pipelines_dir="state",
    )
    pipeline.run(
        [
            csv("bronze_flights", "data/flights", "*.csv", once=True),
            csv("bronze_weather", "data", "weather.csv", once=True),
            csv("raw_airlines", "data", "airlines.csv"),
            csv("raw_planes", "data", "planes.csv"),
            csv("raw_airports", "data/airports", "*.csv"),
        ]
    )
    with pipeline.sql_client() as client:
        client.execute_sql(Path("transform.sql").read_text(encoding="utf-8"))
        for line in Path("checks.sql").read_text(encoding="utf-8").splitlines():
            action, name, table, condition = line.split(" | ")
            count = f"SELECT count(*) FROM {table} WHERE NOT ({condition})"
            [(bad,)] = client.execute_sql(count) or [(0,)]
            if bad:
                print(f"{action}: {name}: {bad} rows of {table}")
                if action == "fail":
                    return 1
        client.execute_sql(Path("gold.sql").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
