"""Typed rows from 200-byte messages in Avro and Protobuf, per CPU second, against one by one.

The messages are those of Nexmark's bids. Whole: from the messages as the connector writes them to
rows that a query can read. One by one: fastavro to a table of Arrow, and Google's parser to the
values of the columns, without more.

    python benchmarks/kafka_formats.py
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import pyarrow as pa
from kafka_json import ROWS, measured, message
from pyarrow import parquet

from qanat.descriptors import compiled, message_type, parser
from qanat.engines.duckdb.files import bind_files
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile
from qanat.model.written import Written

_NUMBERS = ("auction", "bidder", "price")
_TEXTS = ("channel", "url", "date_time", "extra")
_FIELDS = [{"name": n, "type": "long"} for n in _NUMBERS] + [
    {"name": n, "type": "string"} for n in _TEXTS
]
AVRO = {"type": "record", "name": "Bid", "fields": _FIELDS}
_LINES = [f"int64 {n} = {i};" for i, n in enumerate(_NUMBERS, 1)]
_LINES += [f"string {n} = {i};" for i, n in enumerate(_TEXTS, 4)]
PROTO = f'syntax = "proto3"; message Bid {{ {" ".join(_LINES)} }}'


def spool(folder: Path, name: str, values: list[bytes]) -> LocalFile:
    """Messages as the connector writes them."""
    path = folder / f"{name}.parquet"
    table = pa.table(
        {
            "line": pa.array(range(len(values)), pa.int64()),
            "value": pa.array(values, pa.binary()),
            "message_key": pa.nulls(len(values), pa.binary()),
            "message_time": pa.nulls(len(values), pa.int64()),
            "message_kind": pa.nulls(len(values), pa.int32()),
        }
    )
    parquet.write_table(table, path, compression="none", use_dictionary=False)
    return LocalFile("bids/0", str(path), path.stat().st_size, 0)


def main() -> None:
    """Measure, and print it."""
    parsed = fastavro.parse_schema(AVRO)
    bid = message_type(compiled(PROTO, {}))
    parse = parser(bid)
    bids = [json.loads(message(n)) for n in range(ROWS)]
    avro, protobuf = [], []
    for value in bids:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, value)
        avro.append(out.getvalue())
        found = parse(b"")
        for name, each in value.items():
            setattr(found, name, each)
        protobuf.append(found.SerializeToString())
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as con:
        con.execute("SET threads = 1")
        folder = Path(scratch)

        def bind(file: LocalFile, payload: str, given: Written) -> int:
            options: tuple[tuple[str, Any], ...] = (
                ("payload", payload),
                ("headers", False),
                ("given", given),
                ("message", ""),
                ("registry", None),
            )
            batch = FilesBatch(
                (file,), "payloads", options, NO_COLUMNS, NO_COLUMNS, Drift.EVOLVE, "bids"
            )
            bound = bind_files(con, "in", batch, folder)
            columns = ", ".join(f"max({n})" for n in (*_NUMBERS, *_TEXTS))
            con.execute(f"SELECT {columns} FROM ({bound.relation})").fetchall()
            return bound.rows or 0

        file = spool(folder, "avro", avro)
        whole = measured("Avro", lambda: bind(file, "avro", Written("AVRO", json.dumps(AVRO))))
        alone = measured(
            "fastavro, one by one",
            lambda: (
                pa.Table.from_pylist(
                    [fastavro.schemaless_reader(io.BytesIO(v), parsed) for v in avro]
                ).num_rows
            ),
        )
        print(f"{whole / alone:.1f} times as many rows")
        file = spool(folder, "protobuf", protobuf)
        whole = measured("Protobuf", lambda: bind(file, "protobuf", Written("PROTOBUF", PROTO)))
        alone = measured(
            "upb, one by one",
            lambda: len([[getattr(m, f) for f in bids[0]] for m in map(parse, protobuf)]),
        )
        print(f"{whole / alone:.1f} times as many rows")


if __name__ == "__main__":
    main()
