"""Typed rows from 200-byte messages in JSON, per CPU second: with proofs, with care, and without.

The messages are those of Nexmark's bids. DuckDB's own `json_transform` is what no care would cost;
it rounds numbers that do not fit, and keeps the first of two equal keys.

    python benchmarks/kafka_json.py
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest import mock

import duckdb
import pyarrow as pa
from pyarrow import parquet

from qanat.engines.duckdb.files import bind_files, json as careful
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS, Field, Primitive, Schema
from qanat.model.work import FilesBatch, LocalFile

ROWS, ROUNDS = 300_000, 5
_TYPES = {
    **dict.fromkeys(("auction", "bidder", "price"), "long"),
    **dict.fromkeys(("channel", "url"), "string"),
    "date_time": "timestamp_ntz",
    "extra": "string",
}
_SPEC = {
    "long": "BIGINT",
    "string": "VARCHAR",
    "timestamp_ntz": "TIMESTAMP",
}


def message(number: int) -> bytes:
    """One bid."""
    seconds, rest = divmod(number, 1000)
    bid = {
        "auction": 1000 + number * 7919 % 1_000_003,
        "bidder": 1000 + number * 104_729 % 100_003,
        "price": 100 + number * 15_485_863 % 99_999_989,
        "channel": ("Google", "Facebook", "Baidu", f"channel-{number % 10_000}")[number % 4],
        "url": f"https://www.nexmark.com/{number % 9973}/item.htm?query=1",
        "date_time": f"2026-01-01 {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}"
        f":{seconds % 60:02}.{rest:03}",
        "extra": "x" * 40,
    }
    return json.dumps(bid, separators=(",", ":")).encode()


def spool(folder: Path) -> LocalFile:
    """The messages as the connector writes them."""
    path = folder / "messages.parquet"
    table = pa.table(
        {
            "line": pa.array(range(ROWS), pa.int64()),
            "value": pa.array(map(message, range(ROWS)), pa.binary()),
            "message_key": pa.nulls(ROWS, pa.binary()),
            "message_time": pa.nulls(ROWS, pa.int64()),
            "message_kind": pa.nulls(ROWS, pa.int32()),
        }
    )
    parquet.write_table(table, path, compression="none", use_dictionary=False)
    return LocalFile("bids/0", str(path), path.stat().st_size, 0)


def measured(name: str, work: Callable[[], int]) -> float:
    """Print how many rows a CPU second has; the median of some rounds."""
    rates = []
    for _ in range(ROUNDS):
        began = time.process_time()
        rows = work()
        rates.append(rows / (time.process_time() - began))
    print(f"{name:<24}{median(rates):>12,.0f} rows per CPU second")
    return median(rates)


def main() -> None:
    """Measure, and print it."""
    declared = Schema(tuple(Field(n, Primitive(t)) for n, t in _TYPES.items()))
    spec = json.dumps({n: _SPEC[t] for n, t in _TYPES.items()})
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as con:
        con.execute("SET threads = 1")
        folder = Path(scratch)
        file = spool(folder)
        batch = FilesBatch(
            (file,),
            "payloads",
            (("payload", "json"), ("headers", False)),
            declared,
            NO_COLUMNS,
            Drift.EVOLVE,
            "bids",
        )

        def bind() -> int:
            bound = bind_files(con, "in", batch, folder)
            [(rows,)] = con.execute(f"SELECT count(*) FROM ({bound.relation})").fetchall()
            return int(rows)

        def transform() -> int:
            con.execute(
                f"COPY (SELECT unnest(json_transform(decode(value), '{spec}')), line "
                f"FROM read_parquet('{file.local}')) TO '{folder / 'plain.parquet'}'"
            )
            return ROWS

        plain = measured("json_transform alone", transform)
        proven = measured("with proofs", bind)
        with mock.patch.object(careful, "prove", return_value=None):
            slow = measured("with care", bind)
        print(f"{plain / proven:.2f} of json_transform's time, {slow / proven:.2f} of care's")


if __name__ == "__main__":
    main()
