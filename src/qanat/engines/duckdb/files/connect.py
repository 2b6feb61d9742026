"""Values as Kafka Connect writes them in JSON, decoded by the schema that a message carries.

JSON has no dates and no exact decimals, so Connect writes days since 1970, milliseconds or
microseconds, and the bytes of an integer in base64. Decoded is what the schema says without doubt.
Left as they are: times of day and nanoseconds, which tables have no type for, decimals of no fixed
scale (a struct of scale and value), and whatever lies deeper than the columns of the row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qanat.engines.duckdb.files.cast import ISO, from_text
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.schema import DataType, Decimal, Primitive

_LONG = Primitive("long")
_DAY, _MOMENT, _ZONED = Primitive("date"), Primitive("timestamp_ntz"), Primitive("timestamp")
_CONNECT = "org.apache.kafka.connect.data."
_TIMES = {
    "io.debezium.time.Date": (_DAY, 1),
    f"{_CONNECT}Date": (_DAY, 1),
    "io.debezium.time.Timestamp": (_MOMENT, 1000),
    f"{_CONNECT}Timestamp": (_MOMENT, 1000),
    "io.debezium.time.MicroTimestamp": (_MOMENT, 1),
}
"""By the name of a type what it is, and how many days or microseconds one is."""
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""The years 1 to 9999, in days since 1970."""
_DAY_MICROS = 86_400_000_000
_PLAIN = {
    **dict.fromkeys(("int8", "int16", "int32", "int64"), _LONG),
    **dict.fromkeys(("float", "float32", "float64", "double"), Primitive("double")),
    "boolean": Primitive("boolean"),
}
_MOST_DIGITS = 38


class Decoder(Frozen):
    """How the text of a value becomes a value.

    Args:
        type: of the value.
        sql: pattern of SQL for it (`{v}`: SQL of the text); NULL if the text is none such.
    """

    type: DataType
    sql: str

    def value(self, text: str) -> str:
        """SQL for the value of a text."""
        return self.sql.replace("{v}", text)


class Row(Frozen):
    """What a message's schema says of the columns of a row.

    Args:
        decoders: of the columns whose values are not plain JSON.
        types: of the others.
    """

    decoders: Named[Decoder]
    types: Named[DataType]


def row_of(schema: str) -> Row:
    """What the schema of an envelope says, as JSON text, of the row in it.

    >>> text = '{"fields": [{"field": "after", "fields": [%s]}]}'
    >>> day = '{"field": "d", "type": "int32", "name": "io.debezium.time.Date"}'
    >>> str(row_of(text % day).decoders["d"].type)
    'date'
    """
    decoders: Named[Decoder] = Named()
    types: Named[DataType] = Named()
    for each in _columns(schema):
        name, found = each.get("field"), _decoder(each)
        if not isinstance(name, str):
            continue
        if found is not None:
            decoders[name] = found
        elif each.get("type") in _PLAIN:
            types[name] = _PLAIN[each["type"]]
    return Row(decoders, types)


def _columns(schema: str) -> list[Mapping[str, Any]]:
    """The columns of the row, `after` and `before` alike."""
    try:
        envelope = json.loads(schema)
    except ValueError:
        return []
    for part in ("after", "before"):
        for each in _fields(envelope):
            if each.get("field") == part and _fields(each):
                return _fields(each)
    return []


def _fields(struct: Any) -> list[Mapping[str, Any]]:
    found = struct.get("fields") if isinstance(struct, dict) else None
    return [f for f in found if isinstance(f, dict)] if isinstance(found, list) else []


def _decoder(field: Mapping[str, Any]) -> Decoder | None:
    name = field.get("name")
    if name in _TIMES:
        return _time(*_TIMES[name])
    if name == "io.debezium.time.ZonedTimestamp":
        return Decoder(_ZONED, from_text("{v}", _ZONED))
    if name == f"{_CONNECT}Decimal":
        return _decimal(field.get("parameters"))
    if field.get("type") == "bytes" and name is None:
        return Decoder(Primitive("binary"), "TRY(from_base64({v}))")
    return None


def _time(type_: Primitive, unit: int) -> Decoder:
    number, scale = from_text("{v}", _LONG), 1
    if type_ == _DAY:
        value = "DATE '1970-01-01' + CAST(n AS INTEGER)"
    else:
        value, scale = f"make_timestamp(n * {unit})", _DAY_MICROS // unit
    bounds = f"n BETWEEN {_FIRST_DAY * scale} AND {(_LAST_DAY + 1) * scale - 1}"
    # A number is computed once, below what looks at it.
    listed = f"list_transform([{number}], lambda n: CASE WHEN {bounds} THEN {value} END)"
    return Decoder(type_, f"({listed})[1]")


def _decimal(parameters: Any) -> Decoder | None:
    """Bytes of a whole number, the highest first, in two's complement."""
    given = parameters if isinstance(parameters, dict) else {}
    try:
        scale = int(given.get("scale", 0))
        precision = int(given.get("connect.decimal.precision", _MOST_DIGITS))
    except (TypeError, ValueError):
        return None
    if not 0 <= scale <= precision or not 0 < precision <= _MOST_DIGITS:
        return None
    type_ = Decimal(precision, scale)
    # The complement of a negative number's bytes is one less than its amount.
    amount = "CAST('0x' || translate(h, '0123456789ABCDEF', 'FEDCBA9876543210') AS UHUGEINT) + 1"
    digits = (
        f"CASE WHEN h[1] >= '8' THEN '-' || ({amount}) ELSE CAST(CAST('0x' || h AS UHUGEINT) AS"
        " VARCHAR) END"
    )
    if scale:
        padded = f"(repeat('0', {scale + 1} - len(ltrim(t, '-'))) || ltrim(t, '-'))"
        point = (
            "lambda t: CASE WHEN starts_with(t, '-') THEN '-' ELSE '' END || "
            f"left({padded}, -{scale}) || '.' || right({padded}, {scale})"
        )
        digits = f"list_transform([{digits}], {point})[1]"
    hexed = f"list_transform([hex(from_base64({{v}}))], lambda h: {digits})[1]"
    return Decoder(type_, f"TRY_CAST(TRY({hexed}) AS {to_duckdb(type_)})")


def merged(rows: Mapping[int, Row]) -> Named[tuple[DataType, Mapping[int, Decoder]]]:
    """By column its type and how it is decoded, by the number of the message's schema.

    A column that is something else by another schema is left as it is.
    """
    found: Named[dict[int, Decoder]] = Named()
    for number, row in rows.items():
        for name, decoder in row.decoders.items():
            found.setdefault(name, {})[number] = decoder
    typed = {n: (_common([d.type for d in by.values()]), by) for n, by in found.items()}
    return Named((n, (type_, by)) for n, (type_, by) in typed.items() if type_ is not None)


def _common(types: list[DataType]) -> DataType | None:
    decimals = [t for t in types if isinstance(t, Decimal)]
    if len(decimals) == len(types):
        scale = max(d.scale for d in decimals)
        whole = max(d.precision - d.scale for d in decimals)
        return Decimal(whole + scale, scale) if whole + scale <= _MOST_DIGITS else None
    return types[0] if all(t == types[0] for t in types) else None


def decoded(decoder: Decoder, text: str, wanted: DataType) -> str:
    """SQL for a text's value in the type of its column; NULL if it does not fit."""
    value = decoder.value(text)
    if decoder.type == wanted:
        return value
    if decoder.type == Primitive("binary"):
        return f"CAST(NULL AS {to_duckdb(wanted)})"
    return from_text(f"CAST({value} AS VARCHAR)", wanted, ISO)
