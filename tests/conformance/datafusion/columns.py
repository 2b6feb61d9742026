"""Types of Arrow and of the model; and a query's columns, made those of its table."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.types as kinds

from datafusion import DataFrame, Expr, col, functions, lit
from qanat.errors import ColumnNotFoundError, SchemaMismatchError, TypeNameError, nearest
from qanat.model.location import Location
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
    grown,
)
from qanat.model.work import Output

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
_DIGITS = {"byte": 3, "short": 5, "integer": 10, "long": 19}
_WIDER = {
    "byte": {"short", "integer", "long", "float", "double"},
    "short": {"integer", "long", "float", "double"},
    "integer": {"long", "double"},
    "float": {"double"},
    "date": {"timestamp", "timestamp_ntz"},
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
    """The table's columns after this epoch, and how each is computed from the query's.

    Columns match by name, without case. Those that the table lacks join it at the end, those
    that the query lacks become NULL; types may widen on the way in, never narrow.

    Raises:
        SchemaMismatchError: a declared column is missing, an undeclared one is there, or a
            type does not fit.
        TypeNameError: a column's type cannot be stored.
    """
    found = _found(frame, location, dataset)
    names = [f.name for f in found.values()]
    if output.declared.fields:
        _check_declared(names, output.declared, location, dataset)
    fields: list[Field] = []
    expressions: list[Expr] = []
    for field in (output.schema if output.schema.fields else output.declared).fields:
        mine = found.pop(field.name.casefold(), None)
        declared = output.declared.get(field.name)
        if mine is not None and declared is None:
            field = replace(field, type=grown(field.type, mine.type))
            unknown = frame.schema().field(mine.name).type == pa.null()
            if not unknown and not _fits(mine.type, field.type):
                raise SchemaMismatchError(
                    f"column {mine.name!r} of {dataset} does not fit its table",
                    location=location,
                    wanted=str(field.type),
                    got=str(mine.type),
                    hint="CAST it in the query, or rebuild the table",
                )
        fields.append(field)
        expressions.append(_cast(mine, field, output))
    for mine in found.values():
        fields.append(mine)
        expressions.append(_cast(mine, mine, output))
    schema = Schema(tuple(fields))
    missing = [c for c in output.partition_by if schema.get(c) is None]
    if missing:
        raise ColumnNotFoundError(
            f"{dataset} is partitioned by {missing[0]!r}, which its query does not give",
            location=location,
            nearest=nearest(missing[0], schema.names),
        )
    return schema, expressions


def _found(frame: DataFrame, location: Location, dataset: str) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for column in frame.schema():
        if column.name.casefold() in found:
            raise SchemaMismatchError(
                f"two columns of {dataset} are named {column.name!r}", location=location
            )
        try:
            type_ = from_arrow(column.type)
        except ValueError as error:
            raise TypeNameError(
                f"column {column.name!r} of {dataset} has a type that tables cannot store",
                location=location,
                got=str(column.type),
                hint="cast it, for example to VARCHAR",
            ) from error
        found[column.name.casefold()] = Field(column.name, type_)
    return found


def _check_declared(names: list[str], declared: Schema, location: Location, dataset: str) -> None:
    folded = {n.casefold() for n in names}
    for name in declared.names:
        if name.casefold() not in folded:
            raise SchemaMismatchError(
                f"{dataset} declares a column {name!r} that its query does not give",
                location=location,
                nearest=nearest(name, names),
            )
    for name in names:
        if declared.get(name) is None:
            raise SchemaMismatchError(
                f"the query of {dataset} gives a column {name!r} that is not declared",
                location=location,
                nearest=nearest(name, declared.names),
            )


def _cast(mine: Field | None, field: Field, output: Output) -> Expr:
    value = lit(None) if mine is None else col(quote(mine.name))
    if field.type == STRING and field.name in output.partition_by:
        # A folder's name cannot tell '' from NULL. Rules see what readers will see.
        value = functions.nullif(value, lit(""))
    return value.cast(to_arrow(field.type)).alias(field.name)


def _fits(have: DataType, want: DataType) -> bool:
    """Whether every value of one type is a value of the other."""
    match have, want:
        case Primitive(a), Primitive(b):
            return a == b or b in _WIDER.get(a, ())
        case Primitive(a), Decimal(precision, scale):
            return a in _DIGITS and precision - scale >= _DIGITS[a]
        case Decimal(p, s), Decimal(precision, scale):
            return scale >= s and precision - scale >= p - s
        case Array(a), Array(b):
            return _fits(a, b)
        case MapType(a, b), MapType(c, d):
            return _fits(a, c) and _fits(b, d)
        case Struct(mine), Struct(theirs):
            known = {f.name: f.type for f in theirs}
            return all(f.name in known and _fits(f.type, known[f.name]) for f in mine)
    return False
