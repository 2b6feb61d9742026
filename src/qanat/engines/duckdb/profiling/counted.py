"""The second scan: every value of columns that have few, and how many the others have.

Few values are counted one by one, so that all that is made of them is exact. Of many values those
with certain hashes are counted, with all rows that have them: a few thousand stand for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.profiling.bins import edges, grid_edges, grid_of, moment_text, placed
from qanat.engines.duckdb.profiling.kinds import Column, Kind
from qanat.engines.duckdb.profiling.scan import COLUMNS_AT_ONCE, Facts, shown
from qanat.frozen import Frozen
from qanat.model.profile import Bin, Method, Quantile, ValueCount

FEW = 4096
"""Values of a column that are counted one by one, and that stand for all of more."""
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP = 10
_LONG = 1000
"""Characters of the longest text of which each value is kept."""


class Distinct(Frozen):
    """How many different values a column has.

    Args:
        examined: rows with the values that were counted.
        alone: whether no two of these have the same value.
    """

    values: int
    by: Method
    examined: int
    alone: bool


Values = Sequence[tuple[str, float | None, int]]
"""Each value in order: as text, as a finite number, and how many rows have it."""


def few(column: Column, facts: Facts) -> bool:
    """True if a column's values can be counted one by one."""
    return bool(facts["distinct"] <= FEW and (facts.get("longest") or 0) <= _LONG)


def counted(con: DuckDBPyConnection, rows: str, columns: Sequence[Column]) -> dict[int, Values]:
    """The values of columns that have few, by the columns' numbers."""
    found: dict[int, Values] = {}
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        asked = columns[start : start + COLUMNS_AT_ONCE]
        lists = ", ".join(_histogram(column) for column in asked)
        answers = con.execute(f"SELECT {lists} FROM {rows}").fetchone() or ()
        for column, entries in zip(asked, answers, strict=True):
            found[column.at] = [(e["v"], e["x"], e["n"]) for e in entries or ()]
    return found


def _histogram(column: Column) -> str:
    number = column.number("e.key") if column.measured else "NULL::DOUBLE"
    entry = f"{{'v': {shown('e.key')}, 'x': {number}, 'n': e.value}}"
    entries = f"list_sort(map_entries(histogram({column.value})))"
    return f"list_transform({entries}, lambda e: {entry})"


def distinct(
    con: DuckDBPyConnection,
    rows: str,
    columns: Sequence[Column],
    facts: Sequence[Facts],
    exact: bool = False,
) -> dict[int, Distinct]:
    """How many values columns have that have many, by the columns' numbers.

    Args:
        facts: of each of the columns.
        exact: count all values: there are not many rows.
    """
    found: dict[int, Distinct] = {}
    steps = [1 if exact else step_for(each["distinct"]) for each in facts]
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        asked = columns[start : start + COLUMNS_AT_ONCE]
        # Not one aggregate for each over the same scan: DuckDB computes what a FILTER leaves out.
        parts = [
            f"(SELECT {{'rows': sum(n)::BIGINT, 'values': count(*)}} FROM (SELECT count(*) AS n"
            f" FROM {rows} WHERE {c.value} IS NOT NULL AND {hashed(c.value, step)}"
            f" GROUP BY hash({c.value})))"
            for c, step in zip(asked, steps[start:], strict=False)
        ]
        answers: Sequence[Any] = con.execute(f"SELECT {', '.join(parts)}").fetchone() or ()
        for at, column in enumerate(asked):
            step, examined = steps[start + at], answers[at]["rows"] or 0
            different = answers[at]["values"]
            values = facts[start + at]["values"]
            alone = examined == different
            by = Method.EXACT if step == 1 else Method.HASHED
            many = values if alone else min(values, different * step)
            found[column.at] = Distinct(many, by, examined, alone)
    return found


def step_for(values: int, wanted: int = FEW) -> int:
    """Of how many hashes one is taken, so that about so many values are; a power of two."""
    return 1 << max(0, (values // wanted).bit_length())


def hashed(value: str, step: int) -> str:
    """SQL that is true of one value in so many, by its hash, wherever it stands."""
    # The low bits choose the partition in which DuckDB keeps a group.
    return "true" if step == 1 else f"(hash({value}) >> 20) % {step} = 0"


def quantiles_of(values: Values) -> tuple[Quantile, ...]:
    """The quantiles of counted values."""
    total = sum(rows for _, _, rows in values)
    upto = list(accumulate(rows for _, _, rows in values))
    found = []
    for share in SHARES:
        at = next((i for i, seen in enumerate(upto) if seen >= share * total), None)
        if at is not None:
            found.append(Quantile(share, values[at][0]))
    return tuple(found)


def histogram_of(column: Column, values: Values) -> tuple[Bin, ...]:
    """The bins of counted values that are finite."""
    finite = [(x, rows) for _, x, rows in values if x is not None]
    if not finite:
        return ()
    low, high = finite[0][0], finite[-1][0]
    unit = grid_of([x for x, _ in finite])
    if unit is None:
        borders, step = edges(low, high, whole=column.kind is Kind.WHOLE), 0
    else:
        # Bins that hold two or three of few values by turns would look like a pattern.
        borders, step = grid_edges(low, high, unit)
    rows_of = [0] * (len(borders) - 1)
    for x, rows in finite:
        at = placed(x, borders) if unit is None else round((x - low) / unit) // step
        rows_of[at] += rows
    return bins_of(column, borders, rows_of)


def bins_of(column: Column, borders: Sequence[float], rows_of: Sequence[int]) -> tuple[Bin, ...]:
    """Bins between borders."""
    shown: list[float | str] = list(borders)
    if column.kind is Kind.MOMENT:
        shown = [moment_text(border) for border in borders]
    pairs = zip(shown, shown[1:], rows_of, strict=False)
    return tuple(Bin(low, high, rows) for low, high, rows in pairs)


def top_of(values: Values) -> tuple[ValueCount, ...]:
    """The most frequent of counted values, if any repeats."""
    first = sorted(values, key=lambda value: -value[2])[:TOP]
    if not first or first[0][2] < 2:
        return ()
    return tuple(ValueCount(text, rows) for text, _, rows in first)
