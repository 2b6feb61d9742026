"""Values in Avro, decoded to Arrow a batch at a time, and one by one where that fails.

polars reads containers of Avro many times faster than fastavro reads messages. So the bodies of
messages become one block of a container, each followed by a mark: random bytes that the schema
says are a field more. A reader that comes to the end of the block has met all marks in order only
if every body was exactly one value; otherwise fastavro tells which were not. What polars does not
know is written otherwise in the schema it gets, with the same bytes: an enum is an `int`, a map
a list of entries. Unions of several types, and what is to be read by another schema than it was
written by (unless only fields come, go or change places), fastavro reads alone.
"""

from __future__ import annotations

import io
import json
import secrets
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import DecimalException
from itertools import count
from typing import Any

from qanat.engines.duckdb.files.maps import has_key_twice
from qanat.engines.duckdb.files.shapes import Record, Shape, shape_of
from qanat.errors import OptionError, needing

with needing("Avro", "avro"):
    import fastavro
    import polars as pl
    import pyarrow as pa
    import pyarrow.compute as pc
    from fastavro.schema import SchemaParseException

_PARTS = ("type", "fields", "items")
_SYNC = b"qanat-sync-mark."
_MARK = 16
# What fastavro raises for bytes that are no value of the schema.
_WRONG = (
    *(EOFError, IndexError, KeyError, OverflowError, TypeError, ValueError, OSError),
    *(struct.error, DecimalException, MemoryError, fastavro.read.SchemaResolutionError),
)
_NOT_READ = (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException)


class AvroDecoder:
    """Decodes values that were written by one schema.

    Args:
        written: the schema, as JSON.
        read: by which they are to be read, as JSON; None for the same.
        references: by name, schemas that it refers to, as JSON.

    Raises:
        OptionError: a text is no schema of Avro.
    """

    def __init__(
        self, written: str, read: str | None = None, references: Mapping[str, str] | None = None
    ) -> None:
        known: dict[str, Any] = {}
        for text in (references or {}).values():
            _parsed(text, known)
        self._written = _parsed(written, dict(known))
        self._read = None if read is None else _parsed(read, dict(known))
        if self._read == self._written:
            self._read = None
        self._shape = _shape(self._read or self._written, known)
        self._quick = self._shape
        self._given: Callable[[Any], Any] | None = None
        if self._read is not None:
            self._quick = _shape(self._written, known)
            self._given = _moved(self._quick, self._shape, self._read)
        self.schema = pa.schema(self._shape.fields)
        self._head = b""
        if self._quick.plain is not None and (self._read is None or self._given is not None):
            self._head = _head(self._quick.plain)

    def decode(self, bodies: Any) -> tuple[Any, Sequence[int], Mapping[int, str]]:
        """The values in an Arrow array of bytes.

        Returns:
            A table of those that are values, their places in the array, and by place what is
            wrong with the others.
        """
        everything = range(len(bodies))
        found = self._at_once(bodies) if self._head and len(bodies) else None
        if found is not None:
            return found, everything, {}
        rows, places, wrong = [], [], {}
        for place, body in enumerate(bodies.to_pylist()):
            try:
                rows.append(self._one(body))
            except _WRONG as error:
                wrong[place] = f"not Avro of its schema: {error or type(error).__name__}"[:300]
            else:
                places.append(place)
        if wrong and self._head:
            found = self._at_once(bodies.take(pa.array(places, pa.int64()))) if places else None
        if found is None:
            found = self._shape.table(rows)
        return found, places, wrong

    def _one(self, body: bytes) -> Any:
        source = io.BytesIO(body)
        value = fastavro.schemaless_reader(source, self._written, self._read)
        left = len(body) - source.tell()
        if left:
            raise ValueError(f"{left} bytes are left behind the value")
        return self._shape.value(value)

    def _at_once(self, bodies: Any) -> Any:
        """The values as a table; None if not all are values."""
        mark, large = secrets.token_bytes(_MARK), pa.large_binary()
        joined = pc.binary_join_element_wise(
            bodies.cast(large), pa.scalar(mark, large), pa.scalar(b"", large)
        )
        _, offsets, data = joined.buffers()
        block = memoryview(data)[: struct.unpack_from("<q", offsets, 8 * len(joined))[0]]
        container = b"".join((self._head, _zigzag(len(bodies)), _zigzag(len(block)), block, _SYNC))
        try:
            frame = pl.read_avro(io.BytesIO(container))
            marks = frame["mark"].to_arrow().cast(pa.large_binary())
            met = pc.all(pc.equal(marks, pa.scalar(mark, pa.large_binary()))).as_py()
            if len(frame) != len(bodies) or not met:
                return None
            table = frame["body"].to_arrow()
            if isinstance(table, pa.ChunkedArray):
                table = table.combine_chunks()
            made = self._quick.columns(table)
            # Decimals with more digits than their type, and times beyond a day.
            made.validate(full=True)
            if any(map(has_key_twice, made.combine_chunks().to_batches()[0].columns)):
                return None
        except _NOT_READ:
            return None
        return self._given(made) if self._given is not None else made


def _parsed(text: str, known: dict[str, Any]) -> Any:
    try:
        return fastavro.parse_schema(json.loads(text), named_schemas=known, _write_hint=False)
    except (ValueError, KeyError, TypeError, SchemaParseException) as error:
        raise OptionError(
            "the text is no schema of Avro",
            wanted="JSON, as in a file .avsc",
            got=str(error)[:300],
        ) from error


def _shape(schema: Any, known: Mapping[str, Any]) -> Record:
    shape = shape_of(schema, dict(known), ())
    if not isinstance(shape, Record):
        shape = Record((("value", shape),), whole=True)
    return shape


def _head(plain: Any) -> bytes:
    """The beginning of a container whose rows are values and marks."""
    mark = {"type": "fixed", "name": "qanat_mark", "size": _MARK}
    body = _named(plain, count())
    fields = [{"name": "body", "type": body}, {"name": "mark", "type": mark}]
    schema = {"type": "record", "name": "qanat_row", "fields": fields}
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(schema), [], sync_marker=_SYNC)
    return out.getvalue()


def _named(plain: Any, numbers: Iterator[int]) -> Any:
    """A schema whose types all have names of their own."""
    match plain:
        case list():
            return [_named(inner, numbers) for inner in plain]
        case dict():
            inside = {k: _named(v, numbers) if k in _PARTS else v for k, v in plain.items()}
            own = "name" in plain and "type" in plain and plain["type"] in ("record", "fixed")
            return inside | ({"name": f"t{next(numbers)}"} if own else {})
    return plain


def _zigzag(number: int) -> bytes:
    number, out = number << 1, bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _moved(written: Record, read: Record, schema: Any) -> Callable[[Any], Any] | None:
    """What makes a table of one schema one of another; None if only fastavro can.

    Args:
        schema: the one that is read by.
    """
    if written.whole or read.whole:
        return None
    mine: dict[str, Shape] = dict(written.parts)
    given: list[tuple[pa.Field, str | None, Any]] = []
    for (name, shape), field in zip(read.parts, schema["fields"], strict=True):
        names = (name, *field.get("aliases", ()))
        source = next((n for n in names if n in mine), None)
        if source is not None and mine[source] == shape:
            given.append((pa.field(name, shape.type), source, None))
            continue
        default = field.get("default", ...)
        if source is not None or not (default is None or type(default) in shape.defaults):
            return None
        given.append((pa.field(name, shape.type), None, default))

    def moved(table: Any) -> Any:
        columns = [
            table.column(source)
            if source is not None
            else pa.repeat(pa.scalar(default, field.type), table.num_rows)
            for field, source, default in given
        ]
        return pa.Table.from_arrays(columns, schema=pa.schema([f for f, _, _ in given]))

    return moved
