"""Rows as JSON can hold them: it has no NaN and no infinities, and DuckDB writes them bare."""

from __future__ import annotations

from qanat.model.schema import Array, DataType, MapType, Primitive, Schema, Struct
from qanat.text import quote

_FLOATING = (Primitive("float"), Primitive("double"))


def jsonable(select: str, schema: Schema) -> str:
    """A SELECT whose numbers are all of JSON's, or texts: 'NaN', 'Infinity' and '-Infinity'.

    Spark, PostgreSQL and DuckDB take such a text for the number when they cast it.

    Args:
        select: has the columns of `schema`.

    >>> jsonable("SELECT 1 AS a", Schema(()))
    'SELECT 1 AS a'
    """
    if not any(_floats(f.type) for f in schema.fields):
        return select
    columns = (
        f"{_value(quote(f.name), f.type)} AS {quote(f.name)}" if _floats(f.type) else quote(f.name)
        for f in schema.fields
    )
    return f"SELECT {', '.join(columns)} FROM ({select})"


def _floats(type_: DataType) -> bool:
    match type_:
        case Array(element):
            return _floats(element)
        case MapType(key, value):
            return _floats(key) or _floats(value)
        case Struct(fields):
            return any(_floats(f.type) for f in fields)
    return type_ in _FLOATING


def _value(sql: str, type_: DataType, depth: int = 0) -> str:
    """SQL for a value as JSON, or of a type without such numbers."""
    if not _floats(type_):
        return sql
    item = f"x{depth}"
    match type_:
        case Array(element):
            return f"list_transform({sql}, lambda {item}: {_value(item, element, depth + 1)})"
        case MapType(key, value):
            pair = ", ".join(
                f"{name}: {_value(f'{item}.{name}', part, depth + 1)}"
                for name, part in (("key", key), ("value", value))
            )
            entries = f"list_transform(map_entries({sql}), lambda {item}: {{{pair}}})"
            return f"map_from_entries({entries})"
        case Struct(fields):
            parts = ", ".join(
                f"{quote(f.name)}: {_value(f'({sql}).{quote(f.name)}', f.type, depth)}"
                for f in fields
            )
            return f"CASE WHEN {sql} IS NOT NULL THEN {{{parts}}} END"
    return (
        f"CASE WHEN isnan({sql}) THEN to_json('NaN') WHEN isfinite({sql}) THEN to_json({sql})"
        f" WHEN {sql} > 0 THEN to_json('Infinity') WHEN {sql} < 0 THEN to_json('-Infinity') END"
    )
