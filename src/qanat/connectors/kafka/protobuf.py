"""Rows as messages in Protobuf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qanat.connectors.kafka.drivers import pa
from qanat.connectors.kafka.encode import Manner, Registrar, front
from qanat.descriptors import compiled, message_type, place
from qanat.errors import OptionError, SchemaMismatchError, needing
from qanat.model.schema import Schema

with needing("Protobuf", "protobuf"):
    from ptars import HandlerPool, PtarsConfig

_CONFIG = PtarsConfig(timestamp_unit="us", time_unit="us", enum_repr="string")


def encoder(
    schema: Schema, manner: Manner, registry: Registrar | None
) -> Callable[[Any], Iterator[bytes]]:
    """What makes the values of a batch of rows.

    Raises:
        OptionError: the schema is none, or missing.
        SchemaMismatchError: it has no field for a column; or later, a row does not fit.
        QanatError: the registry cannot be asked.
    """
    given = manner.given
    if given is None:
        raise OptionError(
            "a sink in Protobuf needs the schema of its messages",
            wanted="value_schema: a file .proto",
        )
    found = message_type(compiled(given.text, given.references), manner.message)
    begin = front(registry, manner.subject(found.full_name), given)
    if registry is not None:
        places = place(found)
        begin += b"\0" if places == (0,) else b"".join(map(_zigzag, (len(places), *places)))
    handler: Any = HandlerPool([found.file], _CONFIG).get_for_message(found)
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
            yield begin + value

    return encode


def _nulls(column: Any) -> list[bool]:
    return [bool(v) for v in column.is_null().to_pylist()]


def _zigzag(number: int) -> bytes:
    number, out = number << 1, bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes((*out, number))
