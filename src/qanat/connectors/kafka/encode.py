"""Whole rows as messages in Avro, in Protobuf, or in JSON with the number of its schema.

The schema is made of the columns of the rows, or given; with a registry it is registered under a
subject, and each message begins with its number, as Confluent's clients expect it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from qanat.connectors.kafka.drivers import pa, parquet
from qanat.connectors.kafka.produce import Sent, from_rows
from qanat.errors import OptionError, SchemaMismatchError, needing
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.schema import STRING, Array, DataType, Decimal, MapType, Primitive, Schema, Struct
from qanat.model.written import Written

_BATCH = 10_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AVRO: Mapping[str, Any] = {
    "long": "long",
    "integer": "int",
    "short": "int",
    "byte": "int",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
    "binary": "bytes",
    "date": {"type": "int", "logicalType": "date"},
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
    "timestamp_ntz": {"type": "long", "logicalType": "local-timestamp-micros"},
}
_JSON: Mapping[str, Any] = {
    **{name: {"type": "integer"} for name in ("long", "integer", "short", "byte")},
    **{name: {"type": "number"} for name in ("float", "double")},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
}


class Manner(Frozen):
    """How rows become values.

    Args:
        format: `avro`, `protobuf` or `json`.
        topic: that they are sent to.
        given: the schema; None if it is made of the columns.
        message: the full name of the type.
        strategy: what the subject is called by: `topic`, `record` or `topic_record`.
    """

    format: str
    topic: str
    given: Written | None = None
    message: str = ""
    strategy: str = "topic"

    def subject(self, name: str) -> str:
        """Under which a schema is registered.

        Args:
            name: the full name of its type.

        >>> [Manner("avro", "t", strategy=s).subject("R") for s in ("topic", "topic_record")]
        ['t-value', 't-R']
        """
        return {"record": name, "topic_record": f"{self.topic}-{name}"}.get(
            self.strategy, f"{self.topic}-value"
        )


class Registrar(Protocol):
    """Where schemas get their numbers."""

    def register(self, subject: str, written: Written) -> int:
        """The number of a schema under a subject."""
        ...


def encoded(
    files: Iterable[Path], schema: Schema, key: str | None, manner: Manner,
    registry: Registrar | None,
) -> Iterator[Sent]:  # fmt: skip
    """The messages in staged files.

    Args:
        files: with an object in JSON on each line for `json`, else in Parquet.
        schema: of the rows.
        key: the column whose value is the key, as text; None for none.

    Raises:
        OptionError: the given schema is none, or cannot be registered.
        SchemaMismatchError: the rows do not fit it, or have names that it cannot.
        QanatError: the registry cannot be asked.
    """
    if manner.format == "json":
        name = manner.message or _record(manner.topic)
        written = manner.given or Written("JSON", json.dumps(_object(schema, name)))
        front = _front(registry, manner.subject(name), written)
        for sent in from_rows(files, schema, key):
            value = sent.value
            yield sent if not isinstance(value, bytes) else sent._replace(value=front + value)
        return
    make = _avro if manner.format == "avro" else _protobuf
    encode = make(schema, manner, registry)
    column = _column(schema, key)
    for path in files:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                keys = [None] * len(batch) if column is None else batch.column(column).to_pylist()
                for value, own in zip(encode(batch), keys, strict=True):
                    yield Sent(value, None if own is None else _text(own))


def _front(registry: Registrar | None, subject: str, written: Written) -> bytes:
    """What a message begins with."""
    if registry is None:
        return b""
    return b"\0" + registry.register(subject, written).to_bytes(4, "big")


def _column(schema: Schema, key: str | None) -> str | None:
    return None if key is None else Named((f.name, f.name) for f in schema.fields)[key]


def _text(value: Any) -> bytes:
    """The text of a key.

    >>> _text(True), _text(Number("1.50"))
    (b'true', b'1.50')
    """
    if isinstance(value, bool):
        return json.dumps(value).encode()
    if isinstance(value, datetime) and value.microsecond == 0:
        return value.strftime("%Y-%m-%d %H:%M:%S").encode()
    return (value.isoformat() if type(value) is date else str(value)).encode()


def _avro(
    schema: Schema, manner: Manner, registry: Registrar | None
) -> Callable[[Any], Iterator[bytes]]:
    with needing("Avro", "avro"):
        import fastavro  # noqa: PLC0415 - only Avro needs it
        from fastavro.schema import SchemaParseException  # noqa: PLC0415
    made = manner.given
    if made is None:
        name = manner.message or _record(manner.topic)
        made = Written("AVRO", json.dumps(_avro_record(schema.fields, name, name)))
    try:
        parsed: Any = fastavro.parse_schema(json.loads(made.text))
    except (ValueError, KeyError, TypeError, SchemaParseException) as error:
        raise OptionError(
            "the option 'value_schema' of the sink is no schema of Avro",
            wanted="JSON, as in a file .avsc, of a record",
            got=str(error)[:300],
        ) from error
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        raise OptionError("the schema of rows in Avro is a record", got=made.text[:100])
    front = _front(registry, manner.subject(parsed["name"]), made)
    own = {f.name: f for f in schema.fields}
    strange = [n for n in own if n not in {f["name"] for f in parsed["fields"]}]
    if strange:
        raise SchemaMismatchError(
            f"the schema of the sink has no field for the column {strange[0]!r}",
            wanted=", ".join(f["name"] for f in parsed["fields"]),
            hint="leave the column out of the flow's query, or add the field",
        )
    shapes = {n: _python(f.type) for n, f in own.items()}

    def encode(batch: Any) -> Iterator[bytes]:
        for row in batch.to_pylist():
            out = io.BytesIO()
            out.write(front)
            value = {n: v if v is None else shapes[n](v) for n, v in row.items()}
            try:
                fastavro.schemaless_writer(out, parsed, value)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise SchemaMismatchError(
                    "a row does not fit the schema of the sink", got=str(error)[:300]
                ) from error
            yield out.getvalue()

    return encode


def _python(type_: DataType) -> Callable[[Any], Any]:
    """What makes a value of Arrow's one of fastavro's."""
    match type_:
        case Array(element):
            one = _python(element)
            return lambda values: [v if v is None else one(v) for v in values]
        case MapType(_, element):
            one = _python(element)
            return lambda pairs: {str(k): v if v is None else one(v) for k, v in pairs}
        case Struct(fields):
            inner = {f.name: _python(f.type) for f in fields}
            return lambda value: {n: v if v is None else inner[n](v) for n, v in value.items()}
    return lambda value: value


def _avro_record(fields: Iterable[Any], name: str, path: str) -> dict[str, Any]:
    made = []
    for f in fields:
        if not _NAME.fullmatch(f.name):
            raise SchemaMismatchError(
                f"a column {f.name!r} can have no field in Avro",
                wanted="letters, digits and underscores",
                hint="name it otherwise in the flow's query: … AS name",
            )
        type_ = ["null", _avro_type(f.type, f"{path}_{f.name}")]
        made.append({"name": f.name, "type": type_, "default": None})
    return {"type": "record", "name": name, "fields": made}


def _avro_type(type_: DataType, path: str) -> Any:
    match type_:
        case Decimal(precision, scale):
            return {
                "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale,
            }  # fmt: skip
        case Array(element):
            return {"type": "array", "items": ["null", _avro_type(element, f"{path}_item")]}
        case MapType(key, element) if key == STRING:
            return {"type": "map", "values": ["null", _avro_type(element, f"{path}_value")]}
        case Struct(fields):
            return _avro_record(fields, path.rpartition(".")[2], path)
        case Primitive(name):
            return _AVRO[name]
    raise SchemaMismatchError(
        f"a map with keys of the type {type_.key} has no counterpart in Avro",
        hint="cast its keys to text in the flow's query",
    )


def _record(topic: str) -> str:
    """The name of a topic's records.

    >>> _record("shop.orders-2")
    'shop_orders_2'
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", topic)
    return name if _NAME.fullmatch(name) else f"_{name}"


def _object(schema: Schema, name: str) -> dict[str, Any]:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": name,
        **_properties(schema.fields),
    }


def _properties(fields: Iterable[Any]) -> dict[str, Any]:
    made = {f.name: {"oneOf": [{"type": "null"}, _json_type(f.type)]} for f in fields}
    return {"type": "object", "properties": made}


def _json_type(type_: DataType) -> Any:
    match type_:
        case Decimal():
            return {"type": "number"}
        case Array(element):
            return {
                "type": "array",
                "items": {"oneOf": [{"type": "null"}, _json_type(element)]},
            }
        case Struct(fields):
            return _properties(fields)
        case MapType():
            return {"type": "object"}
        case Primitive(name):
            return _JSON.get(name, {"type": "string"})


def _protobuf(
    schema: Schema, manner: Manner, registry: Registrar | None
) -> Callable[[Any], Iterator[bytes]]:
    with needing("Protobuf", "protobuf"):
        from ptars import HandlerPool, PtarsConfig  # noqa: PLC0415 - only Protobuf needs it

        from qanat.descriptors import compiled, message_type, place  # noqa: PLC0415
    given = manner.given
    if given is None:
        raise OptionError(
            "a sink in Protobuf needs the schema of its messages",
            wanted="value_schema: a file .proto",
        )
    found = message_type(compiled(given.text, given.references), manner.message)
    front = _front(registry, manner.subject(found.full_name), given)
    if registry is not None:
        places = place(found)
        front += b"\0" if places == (0,) else b"".join(map(_zigzag, (len(places), *places)))
    config = PtarsConfig(timestamp_unit="us", time_unit="us", enum_repr="string")
    handler: Any = HandlerPool([found.file], config).get_for_message(found)
    wanted = handler.array_to_record_batch(pa.array([], pa.binary())).schema
    strange = [n for n in schema.names if n not in wanted.names]
    if strange:
        raise SchemaMismatchError(
            f"the message {found.full_name} has no field for the column {strange[0]!r}",
            wanted=", ".join(wanted.names),
            hint="leave the column out of the flow's query, or add the field",
        )
    empty = handler.array_to_record_batch(pa.array([b""], pa.binary()))

    def encode(batch: Any) -> Iterator[bytes]:
        columns = []
        try:
            for field in wanted:
                default = empty.column(field.name)
                if field.name not in batch.schema.names:
                    columns.append(pa.concat_arrays([default] * len(batch)))
                    continue
                column = batch.column(field.name).cast(field.type)
                if column.null_count and not field.nullable:
                    # In Protobuf, a field that may not be missing has its default.
                    both = pa.concat_arrays([column, default])
                    last = len(column)
                    column = both.take(
                        pa.array([last if null else n for n, null in enumerate(_nulls(column))])
                    )
                columns.append(column)
            made = handler.record_batch_to_array(
                pa.RecordBatch.from_arrays(columns, schema=wanted)
            )
        except (pa.ArrowException, ValueError) as error:
            raise SchemaMismatchError(
                f"the rows do not fit the message {found.full_name}", got=str(error)[:300]
            ) from error
        for value in made.to_pylist():
            yield front + value

    return encode


def _nulls(column: Any) -> list[bool]:
    return [bool(v) for v in column.is_null().to_pylist()]


def _zigzag(number: int) -> bytes:
    number, out = number << 1, bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes((*out, number))
