"""Types of Arrow and of the model; and a query's columns, made those of its table."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds
from datafusion import DataFrame, Expr, col, functions, lit

from qanat.errors import Location
from qanat.model.schema import (
    STRING,
    Array,
    DataType,
    Decimal,
    Field,
    MapType,
    Primitive,
    Schema,
    Struct,
)
from qanat.model.work import Output
from qanat.planning.fit import Column, Target, fit as fit_columns

_ARROW = {
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
# Tables have no unsigned integers: the next wider type holds every value.
_MODEL: dict[pa.DataType, DataType] = {
    **{arrow: Primitive(name) for name, arrow in _ARROW.items()},
    pa.uint8(): Primitive("short"),
    pa.uint16(): Primitive("integer"),
    pa.uint32(): Primitive("long"),
    pa.uint64(): Decimal(20, 0),
    pa.float16(): Primitive("float"),
    pa.null(): STRING,
    pa.large_string(): STRING,
    pa.string_view(): STRING,
    pa.large_binary(): Primitive("binary"),
    pa.binary_view(): Primitive("binary"),
}


def to_arrow(type_: DataType) -> pa.DataType:
    """The Arrow type that holds exactly the values of a model type."""
    match type_:
        case Primitive(name):
            return _ARROW[name]
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Array(element):
            return pa.list_(to_arrow(element))
        case MapType(key, value):
            return pa.map_(to_arrow(key), to_arrow(value))
        case Struct(fields):
            return pa.struct([(f.name, to_arrow(f.type)) for f in fields])


def from_arrow(type_: pa.DataType) -> DataType:
    """The type in which a table stores an Arrow type.

    Raises:
        ValueError: tables have no place for it.
    """
    if type_ in _MODEL:
        return _MODEL[type_]
    if kinds.is_timestamp(type_):
        return Primitive("timestamp" if type_.tz else "timestamp_ntz")
    if kinds.is_decimal(type_) and type_.precision <= 38 and type_.scale >= 0:
        return Decimal(type_.precision, type_.scale)
    if kinds.is_time(type_):
        return STRING
    if kinds.is_dictionary(type_):
        return from_arrow(type_.value_type)
    if kinds.is_map(type_):
        return MapType(from_arrow(type_.key_type), from_arrow(type_.item_type))
    if kinds.is_list(type_) or kinds.is_large_list(type_) or kinds.is_fixed_size_list(type_):
        return Array(from_arrow(type_.value_type))
    if kinds.is_struct(type_):
        return Struct(tuple(Field(f.name, from_arrow(f.type)) for f in type_))
    raise ValueError(str(type_))


def schema_of(frame: DataFrame) -> Schema:
    """The columns of a frame, as a table would store them."""
    return Schema(tuple(Field(f.name, from_arrow(f.type)) for f in frame.schema()))


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of a table's columns."""
    return pa.schema([(f.name, to_arrow(f.type)) for f in schema.fields])


def quote(name: str) -> str:
    """An identifier, quoted; `col` needs it too, or it folds names to lower case."""
    return '"' + name.replace('"', '""') + '"'


def fit(
    frame: DataFrame, output: Output, location: Location, dataset: str
) -> tuple[Schema, list[Expr]]:
    """The columns of the table after this epoch, and how each is computed from the query's."""
    columns = [
        Column(f.name, _stored(f.type), str(f.type), f.type == pa.null()) for f in frame.schema()
    ]
    targets = fit_columns(columns, output, location, dataset)
    return Schema(tuple(t.field for t in targets)), [_expression(t) for t in targets]


def _stored(type_: pa.DataType) -> DataType | None:
    try:
        return from_arrow(type_)
    except ValueError:
        return None


def _expression(target: Target) -> Expr:
    value = lit(None) if target.column is None else col(quote(target.column.name))
    if target.key:
        value = functions.nullif(value, lit(""))
    return value.cast(to_arrow(target.field.type)).alias(target.field.name)
