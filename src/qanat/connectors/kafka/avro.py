"""Rows as messages in Avro, by a schema that is given or made of the columns."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from qanat.connectors.kafka.encode import NAME, Manner, Registrar, front, record
from qanat.errors import OptionError, SchemaMismatchError, needing
from qanat.model.schema import STRING, Array, DataType, Decimal, MapType, Primitive, Schema, Struct
from qanat.model.written import Written

with needing("Avro", "avro"):
    import fastavro
    from fastavro.schema import SchemaParseException

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


def encoder(
    schema: Schema, manner: Manner, registry: Registrar | None
) -> Callable[[Any], Iterator[bytes]]:
    """What makes the values of a batch of rows.

    Raises:
        OptionError: the schema is none.
        SchemaMismatchError: it has no field for a column; or later, a row does not fit.
        QanatError: the registry cannot be asked.
    """
    made = manner.given
    if made is None:
        name = manner.message or record(manner.topic)
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
    begin = front(registry, manner.subject(parsed["name"]), made)
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
            out.write(begin)
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
        if not NAME.fullmatch(f.name):
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
