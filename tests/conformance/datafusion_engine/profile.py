"""The columns of a table described by numbers."""

from __future__ import annotations

from typing import Any

from datafusion import SessionContext

from qanat.model.schema import STRING, Array, Decimal, Field, MapType, Primitive, Schema, Struct
from tests.conformance.datafusion_engine.columns import quote

_WHOLE, _REAL = Primitive("long"), Primitive("double")
PROFILE = Schema(
    (
        Field("column", STRING),
        Field("type", STRING),
        Field("rows", _WHOLE),
        Field("nulls_percent", _REAL),
        Field("distinct", _WHOLE),
        Field("min", STRING),
        Field("max", STRING),
        Field("mean", _REAL),
        Field("std", _REAL),
        Field("top", STRING),
    )
)
"""What `profile` gives: one row for each column of the table."""
_NUMBERS = frozenset({"long", "integer", "short", "byte", "float", "double"})


def profile(session: SessionContext, table: str, schema: Schema) -> list[tuple[Any, ...]]:
    """Describe each column of a table."""
    rows = []
    for field in schema.fields:
        (found,) = session.sql(_described(field, table)).to_pylist()
        rows.append((field.name, str(field.type), *found.values()))
    return rows


def _described(field: Field, table: str) -> str:
    column = quote(field.name)
    nested = isinstance(field.type, Array | MapType | Struct)
    numeric = isinstance(field.type, Decimal) or (
        isinstance(field.type, Primitive) and field.type.name in _NUMBERS
    )
    number = f"CAST({column} AS DOUBLE)"
    finite = f"CASE WHEN abs({number}) < power(10::DOUBLE, 150) THEN {number} END"
    text = f"CAST({column} AS VARCHAR)"
    least, most = ("NULL", "NULL") if nested else (f"min({column})", f"max({column})")
    mean, deviation = (f"avg({finite})", f"stddev_samp({finite})") if numeric else ("NULL", "NULL")
    return (
        f"SELECT count(*) AS n, "
        f"round(100.0 * (count(*) - count({column})) / nullif(count(*), 0), 2)::DOUBLE"
        " AS nulls_percent, "
        f"count(DISTINCT {text}) AS different, CAST({least} AS VARCHAR) AS least, "
        f"CAST({most} AS VARCHAR) AS most, round(CAST({mean} AS DOUBLE), 4) AS mean, "
        f"round(CAST({deviation} AS DOUBLE), 4) AS deviation, "
        f"(SELECT {text} FROM {table} WHERE {column} IS NOT NULL GROUP BY {text} "
        f"ORDER BY count(*) DESC, {text} LIMIT 1) AS top FROM {table}"
    )
