"""Move rows out of PostgreSQL or into it, and print how many seconds that took.

python postgres_move.py prepare|qanat-out|adbc-out|qanat-into|adbc-into URL FOLDER ROWS
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from pyarrow import parquet

from qanat.connectors.postgres import POSTGRES, READ, WRITE
from qanat.connectors.postgres.sink import PostgresSink
from qanat.connectors.postgres.source import PostgresSource
from qanat.model.pipeline import Drift, SinkTarget
from qanat.model.schema import NO_COLUMNS, Decimal, Field, Primitive, Schema
from qanat.model.staged import DataFile, StagedTable
from qanat.model.work import ArrowBatch
from qanat.ports.sink import Delivery

TABLE = """
CREATE TABLE rows AS SELECT i::bigint AS id, 'name ' || i AS name, i * 1.25::float8 AS amount,
  (i * 0.01)::numeric(12,2) AS price, timestamptz '2026-01-01Z' + i * interval '1 s' AS at,
  date '2020-01-01' + i % 1000 AS day FROM generate_series(1, {rows}) AS i
"""
SCHEMA = Schema(
    (
        Field("id", Primitive("long")),
        Field("name", Primitive("string")),
        Field("amount", Primitive("double")),
        Field("price", Decimal(12, 2)),
        Field("at", Primitive("timestamp")),
        Field("day", Primitive("date")),
    )
)
# Neither side uses what it may know of a project.
_ALONE: Any = None


def execute(url: str, *statements: str) -> None:
    """Run statements, each for itself."""
    with psycopg.connect(url, autocommit=True) as session:
        for statement in statements:
            session.execute(statement.encode())


def prepare(url: str, folder: Path, rows: int) -> None:
    """A table with rows, and the same rows in a file."""
    execute(url, TABLE.format(rows=rows), "CREATE INDEX ON rows (id)", "VACUUM ANALYZE rows")
    parquet.write_table(qanat_out(url, folder, rows), folder / "rows.parquet")


def qanat_out(url: str, folder: Path, rows: int) -> pa.Table:
    """What an epoch reads: asked for, planned, written down and opened."""
    source = PostgresSource(_ALONE)
    ref = POSTGRES.refer("rows", READ.check_all([("url", url), ("cursor", "id")]))
    unread = source.plan(ref, _Nothing())
    if unread is None:
        raise ValueError("there is nothing to read")
    batch = source.bind(ref, unread.range, NO_COLUMNS, Drift.EVOLVE, folder).batch
    return cast("ArrowBatch", batch).open().read_all()


def adbc_out(url: str, folder: Path, rows: int) -> pa.Table:
    """The driver by itself."""
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM rows")
        return cursor.fetch_arrow_table()


def qanat_into(url: str, folder: Path, rows: int) -> None:
    """What an epoch publishes."""
    sink = PostgresSink(_ALONE)
    options = WRITE.check_all([("url", url), ("table", "taken")])
    delivery = Delivery(SinkTarget("postgres", tuple(options.items())), "f", 1, folder)
    staging = sink.output(delivery).folder
    shutil.copy(folder / "rows.parquet", staging)
    file = DataFile("rows.parquet", (staging / "rows.parquet").stat().st_size, rows)
    sink.publish(delivery, staging, StagedTable(SCHEMA, (file,)), False)


def adbc_into(url: str, table: pa.Table) -> None:
    """The driver by itself."""
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("taken", table, mode="create")
        connection.commit()


class _Nothing:
    """A source that has never been read."""

    @property
    def final(self) -> bool:
        """There may be more epochs."""
        return False

    position = None
    replaceable = False

    @property
    def corrects(self) -> frozenset[str]:
        return frozenset()

    def seen(self, paths: object) -> dict[str, Any]:
        return {}

    def replaced(self, dataset: str) -> int | None:
        return None


def main(name: str, url: str, folder: Path, rows: int) -> None:
    """Do one thing, and print how long it took."""
    if name == "prepare":
        prepare(url, folder, rows)
        return
    execute(url, "DROP TABLE IF EXISTS taken, _qanat_epochs")
    own = folder / uuid4().hex
    own.mkdir()
    shutil.copy(folder / "rows.parquet", own)
    table = parquet.read_table(own / "rows.parquet") if name == "adbc-into" else None
    cases: dict[str, Callable[[], object]] = {
        "qanat-out": lambda: qanat_out(url, own, rows),
        "adbc-out": lambda: adbc_out(url, own, rows),
        "qanat-into": lambda: qanat_into(url, own, rows),
        "adbc-into": lambda: adbc_into(url, table),
    }
    started = time.perf_counter()
    cases[name]()
    print(time.perf_counter() - started)
    shutil.rmtree(own)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
