"""Rows on their way from a server, as Arrow on this machine.

They are written down before an engine sees them: what goes wrong is told by the connector, which
knows what it means; an engine may read them as often as it likes; and the server's snapshot is
not held open by an engine that works slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from qanat.connectors.postgres.arrow import arrow_type
from qanat.connectors.postgres.drivers import compute, ipc, pa
from qanat.connectors.postgres.types import Column
from qanat.disk import explained
from qanat.errors import ConversionError

# 4713 BC, where PostgreSQL's calendar begins, in days and microseconds before 1970. ADBC's
# arithmetic overflows for later dates than Arrow can hold and for infinity, and gives older ones.
_FIRST_DAY = -2_440_588
_FIRST_MICROSECOND = _FIRST_DAY * 86_400_000_000


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of some columns."""
    return pa.schema([pa.field(c.name, arrow_type(c.type)) for c in columns])


def spool(
    batches: Iterable[pa.RecordBatch], columns: Sequence[Column], scratch: Path
) -> tuple[Callable[[], Any], int]:
    """Write rows down; what opens them, as often as wanted, and how many there are.

    Raises:
        ConversionError: a value does not fit the type of its column.
        StorageFullError, AdapterError: the disk refuses.
    """
    schema = arrow_schema(columns)
    path = scratch / f"postgres-{uuid4().hex}.arrow"
    rows = 0
    with explained("write rows to", path), ipc.new_stream(path, schema) as file:
        for batch in batches:
            rows += batch.num_rows
            file.write_batch(_exact(batch, schema))

    def open_() -> pa.RecordBatchReader:
        return ipc.open_stream(pa.memory_map(str(path)))

    return open_, rows


def nothing(columns: Sequence[Column]) -> Callable[[], Any]:
    """What opens no rows of some columns."""
    schema = arrow_schema(columns)
    return lambda: pa.RecordBatchReader.from_batches(schema, [])


def _exact(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [_converted(array, field) for array, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _converted(array: pa.Array, field: pa.Field) -> pa.Array:
    _check_dates(array, field.name)
    if array.type == field.type:
        return array
    try:
        return array.cast(field.type)
    except pa.ArrowInvalid as error:
        got = str(error).partition("\n")[0]
        raise ConversionError(
            f"a value of the column {field.name} does not fit its type",
            wanted=str(field.type),
            got=got,
            hint=f"read it as text: schema => '{field.name} STRING', and convert it in the query",
        ) from error


def _check_dates(array: pa.Array, name: str) -> None:
    for each in _dates(array):
        plain = pa.int32() if pa.types.is_date32(each.type) else pa.int64()
        least = compute.min(each.cast(plain)).as_py()
        first = _FIRST_DAY if pa.types.is_date32(each.type) else _FIRST_MICROSECOND
        if least is not None and least < first:
            raise ConversionError(
                f"a value of the column {name} is infinite, or after the year 294246",
                wanted="a date that other systems have, too",
                hint=f"read it as text: schema => '{name} STRING', or leave it out:"
                f" SELECT nullif({name}, 'infinity')",
            )


def _dates(array: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_list(array.type):
        yield from _dates(array.flatten())
    elif pa.types.is_date32(array.type) or pa.types.is_timestamp(array.type):
        yield array
