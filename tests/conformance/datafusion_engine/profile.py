"""The columns of a table described by what a few aggregates tell; all of it is exact."""

from __future__ import annotations

from typing import Any

from datafusion import SessionContext

from qanat.errors import ColumnNotFoundError
from qanat.model.profile import ColumnProfile, Numbers, Profiled, ValueCount
from qanat.model.schema import Array, Decimal, Field, MapType, Primitive, Schema, Struct
from tests.conformance.datafusion_engine.columns import quote

_NUMBERS = frozenset({"long", "integer", "short", "byte", "float", "double"})


def profile(session: SessionContext, table: str, schema: Schema, columns: Any) -> Profiled:
    """Describe columns of a table."""
    chosen = [_column(schema, name) for name in columns] or schema.fields
    described = tuple(_described(session, table, field) for field in chosen)
    (row,) = session.sql(f"SELECT count(*) AS n FROM {table}").to_pylist()
    return Profiled(row["n"], row["n"], described)


def _column(schema: Schema, name: str) -> Field:
    field = schema.get(name)
    if field is None:
        raise ColumnNotFoundError(f"there is no column {name}", got=name)
    return field


def _described(session: SessionContext, table: str, field: Field) -> ColumnProfile:
    column, text = quote(field.name), f"CAST({quote(field.name)} AS VARCHAR)"
    nested = isinstance(field.type, Array | MapType | Struct)
    numeric = isinstance(field.type, Decimal) or (
        isinstance(field.type, Primitive) and field.type.name in _NUMBERS
    )
    bound = "NULL" if nested else column if numeric else text
    number = f"CAST({column} AS DOUBLE)" if numeric else "NULL::DOUBLE"
    finite = f"CASE WHEN abs({number}) < power(10::DOUBLE, 150) THEN {number} END"
    (found,) = session.sql(
        f"SELECT count(*) AS n, count({column}) AS filled, count(DISTINCT {text}) AS different,"
        f" min({bound}) AS low, max({bound}) AS high, avg({finite}) AS mean,"
        f" stddev_samp({finite}) AS deviation,"
        f" count({number}) FILTER (WHERE {number} = 0) AS zeros,"
        f" count({number}) FILTER (WHERE {number} < 0) AS negatives FROM {table}"
    ).to_pylist()
    top = session.sql(
        f"SELECT {text} AS v, count(*) AS n FROM {table} WHERE {column} IS NOT NULL"
        f" GROUP BY {text} HAVING count(*) > 1 ORDER BY n DESC, v LIMIT 10"
    ).to_pylist()
    numbers = None
    if numeric:
        numbers = Numbers(*(found[n] for n in ("mean", "deviation", "zeros", "negatives")))
    return ColumnProfile(
        name=field.name,
        type=str(field.type),
        rows=found["n"],
        nulls=found["n"] - found["filled"],
        distinct=found["different"],
        low=found["low"],
        high=found["high"],
        top=tuple(ValueCount(each["v"], each["n"]) for each in top),
        numbers=numbers,
    )
