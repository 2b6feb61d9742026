"""The first scan: what fixed-size aggregates tell of every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.profiling.kinds import Column, Kind
from qanat.model.profile import Entries, Numbers, Texts
from qanat.model.schema import Array, MapType

Facts = dict[str, Any]
"""What the scan tells of one column, by the names in `_asked`."""

# Aggregates of one query: DuckDB plans hundreds at once quickly, thousands slowly.
COLUMNS_AT_ONCE = 100
TEXT_SHOWN = 200
"""Characters that are kept of a value."""


def scanned(
    con: DuckDBPyConnection, rows: str, columns: Sequence[Column]
) -> tuple[int, list[Facts]]:
    """How many rows there are, and the facts of each column.

    Args:
        rows: FROM text.
    """
    total, found = 0, list[Facts]()
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        asked = columns[start : start + COLUMNS_AT_ONCE]
        structs = ", ".join(_asked(column) for column in asked)
        total, *facts = con.execute(f"SELECT count(*), {structs} FROM {rows}").fetchone() or (0,)
        found += facts
    return total, found


def shown(value: str) -> str:
    """SQL of a value as text, as long as people read it."""
    return f"left(CAST({value} AS VARCHAR), {TEXT_SHOWN})"


def _asked(column: Column) -> str:
    c = column.name
    parts = {"values": f"count({c})", "distinct": f"approx_count_distinct({column.value})"}
    if column.ordered:
        low, high = f"min({c})", f"max({c})"
        parts["low"] = low if column.numeric else shown(low)
        parts["high"] = high if column.numeric else shown(high)
    if column.numeric:
        finite = column.number(c)
        parts["mean"] = f"avg({finite})"
        parts["deviation"] = f"stddev_samp({finite})"
        parts["zeros"] = f"count(*) FILTER ({c} = 0)"
        parts["negatives"] = f"count(*) FILTER ({c} < 0)"
        if column.kind is Kind.REAL:
            parts["not_finite"] = f"count(*) FILTER (NOT isfinite({c}))"
    if column.kind is Kind.TEXT:
        parts["shortest"], parts["longest"] = f"min(length({c}))", f"max(length({c}))"
        parts["mean_length"] = f"avg(length({c}))"
        parts["empty"] = f"count(*) FILTER ({c} = '')"
        parts["padded"] = f"count(*) FILTER ({c}[1] = ' ' OR {c}[-1] = ' ')"
    if isinstance(column.field.type, Array | MapType):
        entries = f"len({c})" if isinstance(column.field.type, Array) else f"cardinality({c})"
        parts["fewest"], parts["most"] = f"min({entries})", f"max({entries})"
        parts["mean"] = f"avg({entries})"
    return "{" + ", ".join(f"'{name}': {sql}" for name, sql in parts.items()) + "}"


def numbers_of(column: Column, facts: Facts) -> Numbers | None:
    """What only numbers have."""
    if not column.numeric:
        return None
    return Numbers(
        facts["mean"],
        facts["deviation"],
        facts["zeros"],
        facts["negatives"],
        facts.get("not_finite", 0),
    )


def texts_of(column: Column, facts: Facts) -> Texts | None:
    """What only texts have; patterns come later."""
    if column.kind is not Kind.TEXT or not facts["values"]:
        return None
    names = ("shortest", "longest", "mean_length", "empty", "padded")
    return Texts(*(facts[name] for name in names))


def entries_of(facts: Facts) -> Entries | None:
    """What only lists and maps have."""
    if facts.get("fewest") is None:
        return None
    return Entries(facts["fewest"], facts["most"], facts["mean"])
