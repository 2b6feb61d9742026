"""Rows as messages: whole rows as JSON, or columns that say what a message has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from qanat.connectors.kafka.drivers import (
    KafkaError,
    KafkaException,
    Producer,
    parquet,
)
from qanat.connectors.kafka.faults import TOO_LARGE
from qanat.errors import AdapterError, SchemaMismatchError, nearest
from qanat.model.name import Named, Names
from qanat.model.schema import STRING, Array, DataType, Field, MapType, Primitive, Schema, Struct

COLUMNS = ("key", "value", "headers", "partition")
_BATCH = 10_000
_BYTES: tuple[DataType, ...] = (STRING, Primitive("binary"))
_WHOLE: tuple[DataType, ...] = tuple(map(Primitive, ("byte", "short", "integer", "long")))


class Sent(NamedTuple):
    """One message."""

    value: bytes | str | None
    key: bytes | str | None = None
    headers: list[tuple[str, bytes | None]] | None = None
    partition: int | None = None


def check_columns(schema: Schema) -> None:
    """Refuse rows that are no messages.

    Raises:
        SchemaMismatchError: a column is none of a message's, has another type, or `value` is
            missing.
    """
    hint = "value_format => 'json' sends whole rows"
    for field in schema.fields:
        if field.name not in Names(COLUMNS):
            raise SchemaMismatchError(
                f"a message has no {field.name!r}",
                wanted=", ".join(COLUMNS),
                nearest=nearest(field.name, COLUMNS),
                hint=hint,
            )
    if "value" not in Names(schema.names):
        raise SchemaMismatchError(
            "a message needs a column 'value'", got=", ".join(schema.names), hint=hint
        )
    for field in schema.fields:
        if not _fits(field):
            raise SchemaMismatchError(
                f"the column {field.name!r} is nothing that a message has",
                wanted={
                    "partition": "a whole number",
                    "headers": "array<struct<key string, value binary>>",
                }.get(field.name.lower(), "text or bytes"),
                got=str(field.type),
                hint=f"CAST({field.name} AS VARCHAR) in the flow's query, or {hint}",
            )


def _fits(field: Field) -> bool:
    name = field.name.lower()
    if name in ("key", "value"):
        return field.type in _BYTES
    if name == "partition":
        return field.type in _WHOLE
    match field.type:
        case Array(Struct((Field(type=key), Field(type=value)))):
            return key == STRING and value in _BYTES
    return False


def check_key(schema: Schema, key: str) -> None:
    """Refuse a key that is no column, or none with a text of its own.

    Raises:
        SchemaMismatchError: it is none.
    """
    field = schema.get(key)
    if field is None:
        raise SchemaMismatchError(
            f"the rows have no column {key!r} to be the key", nearest=nearest(key, schema.names)
        )
    if isinstance(field.type, Array | MapType | Struct) or field.type == Primitive("binary"):
        raise SchemaMismatchError(
            f"the column {key!r} cannot be a key",
            wanted="a column of plain values",
            got=str(field),
        )


def from_columns(files: Iterable[Path]) -> Iterator[Sent]:
    """The messages in Parquet files."""
    for path in files:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                columns = Named(
                    (name, batch.column(name).to_pylist()) for name in batch.schema.names
                )
                nothing = [None] * batch.num_rows
                rows = zip(*(columns.get(name, nothing) for name in COLUMNS), strict=True)
                for key, value, headers, partition in rows:
                    yield Sent(value, key, _headers(headers), partition)


def _headers(found: list[dict[str, Any]] | None) -> list[tuple[str, bytes | None]] | None:
    pairs = [tuple(entry.values()) for entry in found or ()]
    return [(k, v.encode() if isinstance(v, str) else v) for k, v in pairs] or None


def from_rows(files: Iterable[Path], schema: Schema, key: str | None) -> Iterator[Sent]:
    """The messages in files with an object in JSON on each line.

    Args:
        key: the column whose value is the key, as text; None for none.
    """
    name = None if key is None else next(f.name for f in schema.fields if f.name in Names([key]))
    for path in files:
        with path.open("rb") as lines:
            for line in lines:
                value = line.rstrip(b"\n")
                yield Sent(value, None if name is None else key_of(value, name))


def key_of(row: bytes, name: str) -> bytes | None:
    """The text of a value in an object; None for NULL.

    >>> key_of(b'{"id": 1.50, "ok": true}', "id"), key_of(b'{"id": null}', "id")
    (b'1.50', None)
    """
    value = json.loads(row, parse_float=str, parse_int=str).get(name)
    if value is None:
        return None
    return (json.dumps(value) if isinstance(value, bool) else str(value)).encode()


class Sending:
    """Messages on their way into a topic, within the transaction of a producer."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer, self._topic = producer, topic
        self._failed: KafkaError | None = None
        self.sent = 0

    def send(self, messages: Iterable[Sent]) -> None:
        """Hand over messages.

        Raises:
            AdapterError: one is larger than the settings allow.
            KafkaException: one cannot be delivered.
        """
        for message in messages:
            arguments: dict[str, Any] = {"key": message.key, "on_delivery": self._delivered}
            if message.headers is not None:
                arguments["headers"] = message.headers
            if message.partition is not None:
                arguments["partition"] = message.partition
            self._one(message.value, arguments)
            self.sent += 1
            if self._failed is not None:
                raise KafkaException(self._failed)

    def _one(self, value: bytes | str | None, arguments: dict[str, Any]) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, **arguments)
            except BufferError:
                # Its queue is full: it goes on once some are delivered.
                self._producer.poll(0.1)
                continue
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                raise AdapterError(
                    f"a message of {len(value or b''):,} bytes is too large for"
                    f" the topic {self._topic!r}",
                    hint=TOO_LARGE,
                ) from error
            break
        if not self.sent % 1_000:
            self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, _: object) -> None:
        self._failed = self._failed or error
