"""The columns of a table described by numbers, in one pass over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.model.schema import STRING, Array, Decimal, Field, MapType, Primitive, Schema, Struct
from qanat.text import literal, quote

_WHOLE, _REAL = Primitive("long"), Primitive("double")

PROFILE = Schema(
    (
        Field("column", STRING),
        Field("type", STRING),
        Field("rows", _WHOLE),
        Field("nulls_percent", _REAL, comment="percent of the rows"),
        Field("distinct", _WHOLE, comment="values, approximately"),
        Field("min", STRING),
        Field("max", STRING),
        Field("mean", _REAL),
        Field("std", _REAL, comment="standard deviation of the sample"),
        Field("top", STRING, comment="the most frequent value, approximately"),
    )
)
"""What `profile` gives: one row for each column of the table."""

_NUMBERS = frozenset({"long", "integer", "short", "byte", "float", "double"})

# Aggregates of one query: DuckDB plans hundreds at once quickly, thousands slowly.
_COLUMNS_AT_ONCE = 100

# Squares of larger numbers do not fit into a DOUBLE, and DuckDB refuses to compute with them.
# NaN is greater than any number there, so that this leaves out NaN and infinities as well.
_LARGEST = "1e150"


def profile(
    con: DuckDBPyConnection, relation: str, schema: Schema
) -> tuple[Schema, Sequence[tuple[Any, ...]]]:
    """Describe each column of a relation.

    Args:
        relation: SELECT text of `schema`'s columns.
    """
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(schema.fields), _COLUMNS_AT_ONCE):
        fields = schema.fields[start : start + _COLUMNS_AT_ONCE]
        structs = ", ".join(_described(f) for f in fields)
        row = con.execute(f"SELECT {structs} FROM ({relation})").fetchone() or ()
        rows += [tuple(each.values()) for each in row]
    return PROFILE, rows


def _described(field: Field) -> str:
    column = quote(field.name)
    # DuckDB has no frequencies of nested values; their text stands for them.
    nested = isinstance(field.type, Array | MapType | Struct)
    value = f"CAST({column} AS VARCHAR)" if nested else column
    ordered = not nested
    number = f"CAST({column} AS DOUBLE)"
    finite = f"CASE WHEN abs({number}) < {_LARGEST} THEN {number} END"
    numeric = isinstance(field.type, Decimal) or (
        isinstance(field.type, Primitive) and field.type.name in _NUMBERS
    )
    parts = {
        "column": literal(field.name),
        "type": literal(str(field.type)),
        "rows": "count(*)",
        "nulls_percent": f"round(100.0 * (count(*) - count({column})) / nullif(count(*), 0), 2)",
        "distinct": f"approx_count_distinct({value})",
        "min": f"CAST(min({column}) AS VARCHAR)" if ordered else "NULL",
        "max": f"CAST(max({column}) AS VARCHAR)" if ordered else "NULL",
        "mean": f"round(avg({finite}), 4)" if numeric else "NULL",
        "std": f"round(stddev_samp({finite}), 4)" if numeric else "NULL",
        # A bounded sketch: exact counts of a column without repetitions would be as large as it.
        "top": f"CAST(approx_top_k({value}, 1)[1] AS VARCHAR)",
    }
    return "{" + ", ".join(f"'{name}': {sql}" for name, sql in parts.items()) + "}"
