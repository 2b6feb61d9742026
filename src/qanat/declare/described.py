"""Columns that an author declares for what is read: `schema => 'id BIGINT, name STRING'`."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.errors import OptionError, TypeNameError, nearest
from qanat.model.dialect import SPARK, dialect_of
from qanat.model.name import Names
from qanat.model.schema import (
    Array,
    DataType,
    Decimal,
    Field,
    MapType,
    Primitive,
    Schema,
    Struct,
)

_T = exp.DataType.Type
_PRIMITIVES = {
    _T.BIGINT: "long",
    _T.INT: "integer",
    _T.MEDIUMINT: "integer",
    _T.SMALLINT: "short",
    _T.TINYINT: "byte",
    _T.UTINYINT: "short",
    _T.USMALLINT: "integer",
    _T.UINT: "long",
    _T.FLOAT: "float",
    _T.DOUBLE: "double",
    _T.BOOLEAN: "boolean",
    _T.TEXT: "string",
    _T.VARCHAR: "string",
    _T.CHAR: "string",
    _T.UUID: "string",
    _T.JSON: "string",
    _T.BINARY: "binary",
    _T.VARBINARY: "binary",
    _T.DATE: "date",
    _T.DATE32: "date",
    _T.TIMESTAMP: "timestamp_ntz",
    _T.TIMESTAMPNTZ: "timestamp_ntz",
    _T.TIMESTAMP_S: "timestamp_ntz",
    _T.TIMESTAMP_MS: "timestamp_ntz",
    _T.TIMESTAMP_NS: "timestamp_ntz",
    _T.DATETIME: "timestamp_ntz",
    _T.TIMESTAMPTZ: "timestamp",
    _T.TIMESTAMPLTZ: "timestamp",
}
_WIDE = {_T.UBIGINT: 20, _T.INT128: 38, _T.UINT128: 38}
_NAMES = (
    *("BIGINT", "LONG", "INT", "INTEGER", "SMALLINT", "SHORT", "TINYINT", "BYTE", "FLOAT"),
    *("DOUBLE", "DECIMAL", "BOOLEAN", "STRING", "VARCHAR", "BINARY", "BLOB", "DATE"),
    *("TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMPTZ", "ARRAY", "MAP", "STRUCT"),
)


# Sources ask in each epoch, and the parser takes 3 ms.
@lru_cache(maxsize=256)
def columns(text: str, dialect: str) -> Schema:
    """Parse a declared schema, with the type names of DuckDB and of Spark.

    Args:
        dialect: `duckdb`, where TIMESTAMP has no time zone, or `spark`, where it has.

    Raises:
        OptionError: the text is no list of columns, or names one twice.
        TypeNameError: a type does not exist or no table can hold it.

    >>> print(columns("id BIGINT NOT NULL, tags ARRAY<STRING>", "duckdb").fields[1])
    tags array<string>
    """
    if "<" in text:
        dialect = SPARK.name  # DuckDB writes STRUCT(…) and INT[]: the angle brackets are Spark's
    try:
        table = parse_one(f"CREATE TABLE t ({text}\n)", dialect=dialect)
    except SqlglotError as error:
        detail = str(error).partition("\n")[0]
        raise _no_columns(text, detail) from error
    if any(value for name, value in table.args.items() if name not in ("this", "kind")):
        raise _no_columns(text, "there is more than columns in it")
    found = table.this.expressions if isinstance(table.this, exp.Schema) else []
    if not found:
        raise _no_columns(text, "it names no column")
    fields = tuple(_field(column, text, dialect) for column in found)
    names = Names()
    for field in fields:
        if field.name in names:
            raise OptionError(f"the option 'schema' names the column {field.name!r} twice")
        names.add(field.name)
    return Schema(fields)


def _field(column: exp.Expression, text: str, dialect: str) -> Field:
    kind = column.args.get("kind")
    if not isinstance(column, exp.ColumnDef) or not isinstance(kind, exp.DataType):
        raise _no_columns(text, f"{column.sql()!r} is not a name and a type")
    nullable, comment = True, None
    for constraint in column.args.get("constraints") or []:
        match constraint.kind:
            case exp.NotNullColumnConstraint():
                nullable = bool(constraint.kind.args.get("allow_null"))
            case exp.CommentColumnConstraint():
                comment = constraint.kind.this.name
            case _:
                raise _no_columns(text, f"{constraint.sql()!r} is neither NOT NULL nor COMMENT")
    return Field(column.name, _type(kind, text, dialect), nullable, comment)


def _type(kind: exp.DataType, text: str, dialect: str) -> DataType:
    parts = kind.expressions
    if kind.this in _PRIMITIVES:
        return Primitive(_PRIMITIVES[kind.this])
    if kind.this in _WIDE:
        return Decimal(_WIDE[kind.this], 0)
    if kind.this == _T.DECIMAL:
        numbers = [int(p.name) for p in parts]
        plain = dialect_of(dialect).decimal or (18, 3)
        precision, scale = (*numbers, 0)[:2] if numbers else plain
        if not 0 < precision <= 38 or scale > precision:
            raise TypeNameError(
                f"DECIMAL({precision},{scale}) does not exist",
                wanted="at most 38 digits, no more of them after the point",
            )
        return Decimal(precision, scale)
    types = [p for p in parts if isinstance(p, exp.DataType)]
    if kind.this in (_T.ARRAY, _T.LIST) and len(types) == 1:
        return Array(_type(types[0], text, dialect))
    if kind.this == _T.MAP and len(types) == 2:
        return MapType(_type(types[0], text, dialect), _type(types[1], text, dialect))
    if kind.this == _T.STRUCT and parts:
        return Struct(tuple(_field(p, text, dialect) for p in parts))
    name = kind.sql(dialect=dialect)
    raise TypeNameError(
        f"the option 'schema' has a column of the type {name}, which no table can hold",
        nearest=nearest(name, _NAMES),
    )


def _no_columns(text: str, detail: str) -> OptionError:
    return OptionError(
        f"the option 'schema' does not parse: {detail}",
        wanted="such as 'id BIGINT, name STRING'",
        got=text,
    )
