"""DuckDB's types and names and the model's, and a query's columns made those of its table."""

from __future__ import annotations

from typing import Any

from duckdb.sqltypes import DuckDBPyType

from qanat.frozen import Frozen
from qanat.model.query import Computation
from qanat.model.schema import Array, DataType, Decimal, Field, MapType, Primitive, Schema, Struct
from qanat.model.work import Output
from qanat.planning.fit import Column, Target, fit as fit_columns
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
    # Types that Delta does not have and that have one obvious text form.
    "uuid": Primitive("string"),
    "enum": Primitive("string"),
    "time": Primitive("string"),
    "time with time zone": Primitive("string"),
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


class Result(Frozen):
    """The rows of a query, not yet computed.

    Args:
        select: SELECT text of the visible columns, and of the `hidden` ones.
        hidden: any of `__qanat_file`, `__qanat_row`, `__qanat_rid`; with the last one the
            SELECT is re-readable: it gives the same rows each time.
    """

    select: str
    names: list[str]
    types: list[DuckDBPyType]
    hidden: tuple[str, ...] = ()


class Fitted(Frozen):
    """The table's columns after this epoch, and how each is computed from the query's.

    Args:
        expressions: with the names that the columns get.
        casts: those that may fail, as SQL, each with the query's column.
    """

    schema: Schema
    expressions: tuple[str, ...]
    casts: tuple[tuple[str, str], ...] = ()

    @property
    def projection(self) -> str:
        """A SELECT list in the table's order."""
        return ", ".join(self.expressions)


def fit(
    names: list[str], types: list[DuckDBPyType], output: Output, query: Computation, dataset: str
) -> Fitted:
    """Match the columns of a query to those of its table (see `qanat.planning.fit`)."""
    columns = [
        Column(name, stored(type_), str(type_), nothing="null" in type_.id)
        for name, type_ in zip(names, types, strict=True)
    ]
    targets = fit_columns(columns, output, query.location, dataset)
    sources = ((c, to_duckdb(t.field.type)) for t in targets if (c := t.column) is not None)
    casts = ((_source(column, wanted), quote(column.name)) for column, wanted in sources)
    return Fitted(
        Schema(tuple(t.field for t in targets)),
        tuple(_expression(t) for t in targets),
        tuple((sql, column) for sql, column in casts if sql != column),
    )


def stored(type_: DuckDBPyType) -> DataType | None:
    """The type in which Delta stores a DuckDB type; None if it has no place for it."""
    try:
        return from_duckdb(type_)
    except ValueError:
        return None


def _expression(target: Target) -> str:
    wanted, as_ = to_duckdb(target.field.type), quote(target.field.name)
    if target.column is None:
        return f"NULL::{wanted} AS {as_}"
    source = _source(target.column, wanted)
    if target.key:
        return f"nullif({source}, '') AS {as_}"
    return source if source == as_ else f"{source} AS {as_}"


def _source(column: Column, wanted: str) -> str:
    """A column of the query, in the type that the table has."""
    # DuckDB's two names of one type.
    raw = column.raw.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    return quote(column.name) if raw == wanted else f"CAST({quote(column.name)} AS {wanted})"
