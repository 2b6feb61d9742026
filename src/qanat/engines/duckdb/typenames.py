"""DuckDB's names of types and the model's."""

from __future__ import annotations

from typing import Any

from duckdb.sqltypes import DuckDBPyType

from qanat.model.schema import Array, DataType, Decimal, Field, MapType, Primitive, Struct
from qanat.text import quote

# Delta has no unsigned and no 128-bit integers: the next wider type holds every value.
_FROM: dict[str, DataType] = {
    "bigint": Primitive("long"),
    "integer": Primitive("integer"),
    "smallint": Primitive("short"),
    "tinyint": Primitive("byte"),
    "utinyint": Primitive("short"),
    "usmallint": Primitive("integer"),
    "uinteger": Primitive("long"),
    "ubigint": Decimal(20, 0),
    "hugeint": Decimal(38, 0),
    "uhugeint": Decimal(38, 0),
    "float": Primitive("float"),
    "double": Primitive("double"),
    "boolean": Primitive("boolean"),
    "varchar": Primitive("string"),
    "blob": Primitive("binary"),
    "date": Primitive("date"),
    "timestamp": Primitive("timestamp_ntz"),
    "timestamp_s": Primitive("timestamp_ntz"),
    "timestamp_ms": Primitive("timestamp_ntz"),
    "timestamp_ns": Primitive("timestamp_ntz"),
    "timestamp with time zone": Primitive("timestamp"),
    "timestamptz_ns": Primitive("timestamp"),
    # Types that Delta does not have and that have one obvious text form.
    "uuid": Primitive("string"),
    "enum": Primitive("string"),
    "time": Primitive("string"),
    "time with time zone": Primitive("string"),
    "time_ns": Primitive("string"),
    "bit": Primitive("string"),
    # The type of a bare NULL; the column may become anything later.
    '"null"': Primitive("string"),
    "null": Primitive("string"),
    "sqlnull": Primitive("string"),
}

_TO = {
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
}


def from_duckdb(type_: DuckDBPyType) -> DataType:
    """The type in which Delta stores a DuckDB type.

    Raises:
        ValueError: Delta has no place for it (INTERVAL, UNION, VARIANT, …).
    """
    match type_.id:
        case "decimal":
            digits: dict[str, Any] = dict(type_.children)
            return Decimal(digits["precision"], digits["scale"])
        case "list" | "array":
            child: dict[str, Any] = dict(type_.children)
            return Array(from_duckdb(child["child"]))
        case "map":
            parts: dict[str, Any] = dict(type_.children)
            return MapType(from_duckdb(parts["key"]), from_duckdb(parts["value"]))
        case "struct":
            fields: list[tuple[str, Any]] = list(type_.children)
            return Struct(tuple(Field(n, from_duckdb(t)) for n, t in fields))
        case id_:
            found = _FROM.get(id_)
            if found is None:
                raise ValueError(str(type_))
            return found


def to_duckdb(type_: DataType) -> str:
    """The DuckDB type that holds exactly the values of a model type, as SQL."""
    match type_:
        case Primitive(name):
            return _TO[name]
        case Decimal(precision, scale):
            return f"DECIMAL({precision},{scale})"
        case Array(element):
            return f"{to_duckdb(element)}[]"
        case MapType(key, value):
            return f"MAP({to_duckdb(key)}, {to_duckdb(value)})"
        case Struct(fields):
            parts = ", ".join(f"{quote(f.name)} {to_duckdb(f.type)}" for f in fields)
            return f"STRUCT({parts})"


def is_finer(name: str) -> bool:
    """True if values of a DuckDB type, or in them, have nanoseconds, which tables do not keep.

    Args:
        name: of the type, as DuckDB writes it.
    """
    return "TIMESTAMP_NS" in name or "TIMESTAMPTZ_NS" in name


def stored(type_: DuckDBPyType) -> DataType | None:
    """The type in which Delta stores a DuckDB type; None if it has no place for it."""
    try:
        return from_duckdb(type_)
    except ValueError:
        return None
