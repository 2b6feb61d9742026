"""Parses column types, written as in DuckDB or Spark, into the types of Delta."""

from __future__ import annotations

from sqlglot import exp, parse_one
from sqlglot.errors import ParseError, TokenError

from qanat.errors import Location, TypeNameError, nearest
from qanat.model.dialect import DIALECTS, dialect_of
from qanat.model.schema import Array, DataType, Decimal, Field, MapType, Primitive, Struct

T = exp.DataType.Type

_PRIMITIVES = {
    T.TEXT: "string",
    T.VARCHAR: "string",
    T.CHAR: "string",
    T.NCHAR: "string",
    T.NVARCHAR: "string",
    T.UUID: "string",
    T.JSON: "string",
    T.BIGINT: "long",
    T.INT: "integer",
    T.SMALLINT: "short",
    T.TINYINT: "byte",
    # Delta has no unsigned integers; the next wider signed type holds their values.
    T.UTINYINT: "short",
    T.USMALLINT: "integer",
    T.UINT: "long",
    T.FLOAT: "float",
    T.DOUBLE: "double",
    T.BOOLEAN: "boolean",
    T.BINARY: "binary",
    T.VARBINARY: "binary",
    T.BLOB: "binary",
    T.DATE: "date",
    T.DATE32: "date",
    T.TIMESTAMP: "timestamp_ntz",
    T.TIMESTAMPNTZ: "timestamp_ntz",
    T.TIMESTAMP_S: "timestamp_ntz",
    T.TIMESTAMP_MS: "timestamp_ntz",
    T.DATETIME: "timestamp_ntz",
    T.TIMESTAMPTZ: "timestamp",
    T.TIMESTAMPLTZ: "timestamp",
}

_OTHERS = {"LONG": "bigint", "SHORT": "smallint", "BYTE": "tinyint", "INTEGER": "int"}

TYPE_NAMES = (
    "STRING",
    "VARCHAR",
    "TEXT",
    "BIGINT",
    "LONG",
    "INTEGER",
    "INT",
    "SMALLINT",
    "SHORT",
    "TINYINT",
    "BYTE",
    "FLOAT",
    "REAL",
    "DOUBLE",
    "DECIMAL",
    "NUMERIC",
    "BOOLEAN",
    "BINARY",
    "BLOB",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TIMESTAMP_NTZ",
    "TIMESTAMP_LTZ",
    "DATETIME",
    "UUID",
    "JSON",
    "ARRAY",
    "LIST",
    "MAP",
    "STRUCT",
)
"""The type names that errors suggest."""


def parse_type(text: str, dialect: str, location: Location) -> DataType:
    """A column type from its DDL text, in the project's dialect or, failing that, in another.

    `TIMESTAMP` means what it means in the dialect: an instant in Spark, a clock reading in
    DuckDB.

    Raises:
        TypeNameError: no dialect has the type, or Delta cannot store it.

    >>> str(parse_type("DECIMAL(10, 2)[]", "duckdb", Location("a.sql")))
    'array<decimal(10,2)>'
    """
    text = _OTHERS.get(text.strip().upper(), text.strip())
    for tried in dict.fromkeys((dialect, *(d.name for d in DIALECTS))):
        try:
            node = parse_one(text, into=exp.DataType, dialect=tried)
        except (ParseError, TokenError):
            continue
        except RecursionError as error:
            raise TypeNameError("the type is nested too deeply", location=location) from error
        if isinstance(node, exp.DataType) and not node.find(exp.Interval):
            return _convert(node, text, tried, location)
    raise _unknown(text, location)


def _convert(node: exp.DataType, text: str, dialect: str, location: Location) -> DataType:
    def part(child: exp.Expression) -> DataType:
        found = child.args.get("kind") if isinstance(child, exp.ColumnDef) else child
        if isinstance(found, exp.DataType):
            return _convert(found, text, dialect, location)
        raise _unknown(child.sql(dialect=dialect), location)

    kind, parts = node.this, node.expressions
    if kind in _PRIMITIVES:
        return Primitive(_PRIMITIVES[kind])
    if kind in (T.DECIMAL, T.BIGDECIMAL):
        return _decimal([int(p.name) for p in parts], dialect, location)
    if kind is T.UBIGINT:
        return Decimal(20, 0)
    if kind in (T.ARRAY, T.LIST) and len(parts) == 1:
        return Array(part(parts[0]))
    if kind is T.MAP and len(parts) == 2:
        return MapType(part(parts[0]), part(parts[1]))
    if kind is T.STRUCT and parts and all(isinstance(p, exp.ColumnDef) for p in parts):
        return Struct(tuple(Field(p.name, part(p)) for p in parts))
    if kind is T.USERDEFINED or kind in (T.UNKNOWN, T.ARRAY, T.LIST, T.MAP, T.STRUCT):
        raise _unknown(node.sql(dialect=dialect), location)
    raise TypeNameError(
        f"type {text} cannot be stored in a table",
        location=location,
        hint="cast to a type that can, such as STRING or DECIMAL(38, 0)",
    )


def _decimal(numbers: list[int], dialect: str, location: Location) -> Decimal:
    default = dialect_of(dialect).decimal
    if not numbers and default is None:
        raise TypeNameError(
            "DECIMAL without numbers means something else in each dialect",
            location=location,
            wanted="DECIMAL(precision, scale)",
        )
    precision, scale = (*numbers, 0)[:2] if default is None or numbers else default
    if not (1 <= precision <= 38 and 0 <= scale <= precision):
        raise TypeNameError(
            f"DECIMAL({precision}, {scale}) cannot be stored",
            location=location,
            wanted="precision 1 to 38, scale 0 to precision",
        )
    return Decimal(precision, scale)


def _unknown(text: str, location: Location) -> TypeNameError:
    name = text.split("(")[0].split("<")[0].strip()
    return TypeNameError(f"no type {text!r}", location=location, nearest=nearest(name, TYPE_NAMES))
