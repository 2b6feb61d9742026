"""Messages in Avro and Protobuf: decoded to Parquet, a file for each schema, and read from it.

A message may begin with the number of the schema that it was written by, as Confluent's clients
have it: a zero, four bytes, and for Protobuf the place of its type. Each schema decodes its own
messages; their columns then meet like those of Parquet files. What cannot be decoded is a
malformed row, with its bytes as base64.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

from qanat.engines.duckdb.files.bound import RESERVED, BoundFiles, by_row, is_reserved
from qanat.engines.duckdb.files.parquet import bind_columns
from qanat.errors import InvariantError, OptionError, needing
from qanat.frozen import Frozen
from qanat.model.work import FilesBatch, LocalFile
from qanat.model.written import Registry, Written
from qanat.text import literal

with needing("messages in Avro and Protobuf", "arrow"):
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

_ROWS = 100_000
_HEADER = 5
_END = 2**31 - 1
"""Of any message. Without an end, `binary_slice` fails at short ones (PyArrow 26)."""
_NOTHING = "nothing"
"""The key of messages without a value."""
_MOST_INDEXES = 16
Key: TypeAlias = tuple[int, tuple[int, ...]]
"""The number of a schema, and the place of a type in it."""


class Decoder(Protocol):
    """Decodes the values of one schema."""

    schema: Any

    def decode(self, bodies: Any) -> tuple[Any, Sequence[int], Mapping[int, str]]:
        """The values in an Arrow array of bytes: see `AvroDecoder`."""
        ...


class Manner(Frozen):
    """How values are decoded.

    Args:
        payload: `avro` or `protobuf`.
        given: the schema that the author gave, or descriptors as bytes; None: without.
        message: the name of a Protobuf type.
        registry: that knows the schemas of messages by their numbers; None if they have none.
    """

    payload: str
    given: Written | bytes | None = None
    message: str = ""
    registry: Registry | None = None

    @property
    def told(self) -> bool:
        """True if it knows the columns without any message."""
        if self.registry is None:
            return True
        return self.given is not None and (self.payload == "avro" or bool(self.message))

    def decoder(self, written: Written | None, indexes: tuple[int, ...]) -> Decoder:
        """What decodes the messages of a schema.

        Raises:
            OptionError: the schema, or the one that the author gave, is none.
        """
        module: Any = import_module(f"qanat.engines.duckdb.files.{self.payload}")
        if self.payload == "avro":
            given = self.given if isinstance(self.given, Written) else None
            known = {
                **(given.references if given else {}),
                **(written.references if written else {}),
            }
            first = written or given
            if first is None:
                raise InvariantError("a message without a schema was to be decoded")
            read = given.text if given and written else None
            return _decoder(module.AvroDecoder(first.text, read, known))
        chosen = self.given or written
        if chosen is None:
            raise InvariantError("a message without a schema was to be decoded")
        made = chosen
        if isinstance(chosen, Written):
            made = module.compiled(chosen.text, chosen.references)
        place = indexes if written is not None and not self.message else None
        return _decoder(module.ProtobufDecoder(made, self.message, place))


def _decoder(made: Any) -> Decoder:
    found: Decoder = made
    return found


def bind_decoded(
    table: Any, batch: FilesBatch, scratch: Path, messages: str, manner: Manner
) -> BoundFiles:
    """The rows of some messages.

    Args:
        table: of the messages.
        messages: a SELECT of them; empty without any.

    Raises:
        OptionError: a schema is none.
        SchemaDriftError: the messages have a new column, under `freeze`.
        QanatError: the registry cannot be asked.
    """
    with _Decoding(table, scratch, manner) as decoding:
        if messages:
            reader = table.con.sql(messages).to_arrow_reader(_ROWS)
            for part in reader:
                decoding.add(pa.Table.from_batches([part]))
    bound = bind_columns(table, batch, decoding.files)
    if decoding.scattered:
        bound = replace(bound, relation=by_row(bound.relation))
    wrong = decoding.malformed()
    parts = [part for part in (bound.malformed, wrong) if part]
    return replace(bound, malformed=" UNION ALL ".join(parts) or None)


class _Decoding:
    """Decodes messages into files."""

    def __init__(self, table: Any, scratch: Path, manner: Manner) -> None:
        self._table, self._manner = table, manner
        self._folder = scratch / f"{table.name}_decoded"
        self._decoders: dict[Key | None, Decoder | str] = {}
        self._writers: dict[Key | str | None, Any] = {}
        self._used: set[Key | str | None] = set()
        self._wrong: list[tuple[int, int, str, str]] = []
        self.files: tuple[LocalFile, ...] = ()

    def __enter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        if self._manner.told:
            # Its columns are known, even if there is no message.
            self._writer(None, self._manner.decoder(None, ()).schema)
        return self

    def __exit__(self, *_: object) -> None:
        found = []
        for writer, path in self._writers.values():
            writer.close()
            found.append(LocalFile(str(path), str(path), path.stat().st_size, 0))
        self.files = tuple(found)

    def add(self, part: Any) -> None:
        """Decode some messages."""
        values = part.column("value").combine_chunks()
        empty = pc.is_null(values)
        if pc.any(empty).as_py():
            nothing = part.filter(empty)
            self._write(_NOTHING, pa.table({}), nothing)
            part = part.filter(pc.invert(empty))
            values = part.column("value").combine_chunks()
        for key, rows, bodies in self._split(part, values):
            decoder = self._decoders.get(key) or self._of(key)
            if isinstance(decoder, str):
                self._refuse(rows, dict.fromkeys(range(rows.num_rows), decoder))
                continue
            table, places, wrong = decoder.decode(bodies)
            if wrong:
                self._refuse(rows, wrong)
                rows = rows.take(pa.array(places, pa.int64()))
            self._write(key, table, rows)

    @property
    def scattered(self) -> bool:
        """True if the messages lie in several files."""
        return len(self._used) > 1

    def malformed(self) -> str | None:
        """A SELECT of the messages that cannot be decoded; None if there are none."""
        if not self._wrong:
            return None
        path = self._folder / "wrong.parquet"
        names = ("file", "row", "raw", "error")
        columns = dict(zip(names, map(list, zip(*self._wrong, strict=True)), strict=True))
        types = (pa.int32(), pa.int64(), pa.string(), pa.string())
        schema = pa.schema(list(zip(names, types, strict=True)))
        parquet.write_table(pa.table(columns, schema=schema), path)
        return (
            f"SELECT {self._table.path('file')} AS file, row, raw, error "
            f"FROM read_parquet({literal(str(path))})"
        )

    def _split(self, part: Any, values: Any) -> Iterator[tuple[Key | None, Any, Any]]:
        """The messages of each schema, and their values without what tells it."""
        if self._manner.registry is None:
            if len(values):
                yield None, part, values
            return
        protobuf = self._manner.payload == "protobuf"
        length = _HEADER + protobuf
        prefixes = pc.binary_slice(values, 0, length)
        for prefix in pc.unique(prefixes).to_pylist():
            chosen = pc.equal(prefixes, pa.scalar(prefix, prefixes.type))
            rows, bodies = part.filter(chosen), values.filter(chosen)
            if len(prefix) < length or prefix[0]:
                why = "no message with the number of a schema in front (a zero and four bytes)"
                self._refuse(rows, dict.fromkeys(range(rows.num_rows), why))
                continue
            number = int.from_bytes(prefix[1:_HEADER], "big")
            if not protobuf or not prefix[_HEADER]:
                yield (
                    (number, (0,) if protobuf else ()),
                    rows,
                    pc.binary_slice(bodies, length, _END),
                )
            else:
                yield from self._indexed(number, rows, bodies)

    def _indexed(self, number: int, rows: Any, bodies: Any) -> Iterator[tuple[Key, Any, Any]]:
        """Messages of Protobuf of a schema, by the place of their type."""
        found: dict[tuple[int, ...], tuple[list[int], list[bytes]]] = {}
        wrong = {}
        for place, body in enumerate(bodies.to_pylist()):
            try:
                indexes, at = _indexes(body, _HEADER)
            except ValueError as error:
                wrong[place] = str(error)
                continue
            places, left = found.setdefault(indexes, ([], []))
            places.append(place)
            left.append(body[at:])
        self._refuse(rows, wrong)
        for indexes, (places, left) in found.items():
            yield (number, indexes), rows.take(pa.array(places)), pa.array(left, pa.binary())

    def _of(self, key: Key | None) -> Any:
        """What decodes the messages of a key; or why nothing does."""
        registry = self._manner.registry
        made: Decoder | str
        if key is None or registry is None:
            made = self._manner.decoder(None, ())
        else:
            made = self._registered(registry, key)
        self._decoders[key] = made
        return made

    def _registered(self, registry: Registry, key: Key) -> Decoder | str:
        number, indexes = key
        written = registry.schema(number)
        kind = self._manner.payload.upper()
        if written is None:
            return f"the schema registry has no schema {number}"
        if written.kind != kind:
            return f"the schema {number} of the registry is one of {written.kind}, not of {kind}"
        try:
            return self._manner.decoder(written, indexes)
        except OptionError as error:
            if self._manner.given is not None:
                raise
            return f"the schema {number} of the registry cannot be used: {error.message}"

    def _writer(self, key: Key | str | None, schema: Any) -> Any:
        if key not in self._writers:
            path = self._folder / f"{len(self._writers)}.parquet"
            stored = [(RESERVED + n, _TYPES[t]) for n, t in self._table.stored_types.items()]
            whole = pa.schema([*schema, *(pa.field(n, t) for n, t in stored)])
            writer = parquet.ParquetWriter(
                path, whole, compression="none", use_dictionary=False, store_schema=True
            )
            self._writers[key] = (writer, path)
        return self._writers[key][0]

    def _write(self, key: Key | str | None, table: Any, rows: Any) -> None:
        for field in table.schema:
            if is_reserved(field.name):
                raise OptionError(
                    f"the messages have a field {field.name!r}, a name that Qanat keeps for itself"
                )
        writer = self._writer(key, table.schema)
        self._used.add(key)
        columns = {name: table.column(name) for name in table.schema.names}
        columns |= {RESERVED + n: rows.column(n) for n in self._table.stored_types}
        schema = writer.schema
        arrays = [_cast(columns[f.name], f.type) for f in schema]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

    def _refuse(self, rows: Any, wrong: Mapping[int, str]) -> None:
        if not wrong:
            return
        some = rows.take(pa.array(list(wrong), pa.int64()))
        taken = (some.column(n).to_pylist() for n in ("file", "line", "value"))
        for why, file, line, value in zip(wrong.values(), *taken, strict=True):
            self._wrong.append((file, line, base64.b64encode(value).decode(), why))


def _cast(array: Any, type_: Any) -> Any:
    return array if array.type == type_ else array.cast(type_)


_TYPES: Mapping[str, Any] = {
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "BLOB": pa.binary(),
}


def _indexes(body: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """The place of a type of Protobuf in its schema, and where the message begins.

    Raises:
        ValueError: there is none.

    >>> _indexes(bytes([4, 2, 0, 9]), 0)
    ((1, 0), 3)
    """
    count, at = _zigzag(body, at)
    if count == 0:
        return (0,), at
    if not 0 < count <= _MOST_INDEXES:
        raise ValueError("the place of its type is none")
    found = []
    for _ in range(count):
        index, at = _zigzag(body, at)
        if index < 0:
            raise ValueError("the place of its type is none")
        found.append(index)
    return tuple(found), at


def _zigzag(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(body) or shift > 28:
            raise ValueError("the place of its type is cut off")
        value |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not body[at - 1] & 0x80:
            return (value >> 1) ^ -(value & 1), at
