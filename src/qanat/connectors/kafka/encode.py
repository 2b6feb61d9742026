"""Whole rows as messages in Avro, in Protobuf, or in JSON with the number of its schema.

The schema is made of the columns of the rows, or given; with a registry it is registered under a
subject, and each message begins with its number, as Confluent's clients expect it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from qanat.connectors.kafka.drivers import parquet
from qanat.connectors.kafka.produce import Sent, from_rows
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.schema import Array, DataType, Decimal, MapType, Primitive, Schema, Struct
from qanat.model.written import Written

_BATCH = 10_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
        name = manner.message or record(manner.topic)
        written = manner.given or Written("JSON", json.dumps(_object(schema, name)))
        begin = front(registry, manner.subject(name), written)
        for sent in from_rows(files, schema, key):
            value = sent.value
            yield sent if not isinstance(value, bytes) else sent._replace(value=begin + value)
        return
    # Each needs a package of its own.
    module = import_module(f"qanat.connectors.kafka.{manner.format}")
    encode = module.encoder(schema, manner, registry)
    column = _column(schema, key)
    for path in files:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                keys = [None] * len(batch) if column is None else batch.column(column).to_pylist()
                for value, own in zip(encode(batch), keys, strict=True):
                    yield Sent(value, None if own is None else _text(own))


def front(registry: Registrar | None, subject: str, written: Written) -> bytes:
    """What a message begins with."""
    if registry is None:
        return b""
    return b"\0" + registry.register(subject, written).to_bytes(4, "big")


def _column(schema: Schema, key: str | None) -> str | None:
    return None if key is None else Named((f.name, f.name) for f in schema.fields)[key]


def _text(value: Any) -> bytes:
    """The text of a key.

    >>> _text(True), _text("1.50")
    (b'true', b'1.50')
    """
    if isinstance(value, bool):
        return json.dumps(value).encode()
    if isinstance(value, datetime) and value.microsecond == 0:
        return value.strftime("%Y-%m-%d %H:%M:%S").encode()
    return (value.isoformat() if type(value) is date else str(value)).encode()


def record(topic: str) -> str:
    """The name of a topic's records.

    >>> record("shop.orders-2")
    'shop_orders_2'
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", topic)
    return name if NAME.fullmatch(name) else f"_{name}"


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
