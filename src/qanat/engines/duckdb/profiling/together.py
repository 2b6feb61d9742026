"""Columns that go together, by the sample: correlations of numbers, associations of categories."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.profiling.kinds import Column
from qanat.engines.duckdb.profiling.sample import Sample
from qanat.model.profile import Association, ColumnProfile

_MEASURED, _CATEGORIES = 40, 20
"""Columns at most: the pairs grow with the square."""
_MOST_VALUES = 50
_WEAK, _LEAST_ROWS = 0.3, 20
_SHOWN = 30


def associations(
    con: DuckDBPyConnection,
    sample: Sample,
    columns: Sequence[Column],
    known: Sequence[ColumnProfile],
) -> tuple[Association, ...]:
    """The pairs of columns that go together, strongest first.

    Args:
        known: what is known of each column.
    """
    if sample.rows < _LEAST_ROWS:
        return ()
    pairs = list(zip(columns, known, strict=True))
    measured = [c for c, k in pairs if c.measured and k.distinct > 1][:_MEASURED]
    few = [c for c, k in pairs if not c.measured and 1 < k.distinct <= _MOST_VALUES][:_CATEGORIES]
    found = [*_correlations(con, sample, measured), *_by_chance(con, sample, few)]
    strong = [each for each in found if abs(each.value) >= _WEAK]
    return tuple(sorted(strong, key=lambda a: (-abs(a.value), a.one, a.other))[:_SHOWN])


def _correlations(
    con: DuckDBPyConnection, sample: Sample, columns: Sequence[Column]
) -> list[Association]:
    pairs = list(combinations(columns, 2))
    if not pairs:
        return []
    numbers = ", ".join(f"{c.number(c.name)} AS x{c.at}" for c in columns)
    # Products of larger numbers are infinite, and DuckDB refuses to compute with them.
    asked = ", ".join(f"corr(x{a.at}, x{b.at})" for a, b in pairs)
    sql = f"SELECT {asked} FROM (SELECT {numbers} FROM {sample.name})"
    values: Sequence[float | None] = con.execute(sql).fetchone() or ()
    return [
        Association(a.field.name, b.field.name, "correlation", round(value, 4))
        for (a, b), value in zip(pairs, values, strict=True)
        if value is not None and math.isfinite(value)
    ]


def _by_chance(
    con: DuckDBPyConnection, sample: Sample, columns: Sequence[Column]
) -> list[Association]:
    found = []
    for a, b in combinations(columns, 2):
        cells = con.execute(
            f"SELECT {a.value}, {b.value}, count(*) FROM {sample.name}"
            f" WHERE {a.name} IS NOT NULL AND {b.name} IS NOT NULL GROUP BY ALL"
        ).fetchall()
        value = round(cramers_v(cells), 4)
        found.append(Association(a.field.name, b.field.name, "association", value))
    return found


def cramers_v(cells: Sequence[tuple[object, object, int]]) -> float:
    """Cramér's V with Bergsma's correction, of the rows with each pair of values.

    >>> cramers_v([("a", "x", 50), ("b", "y", 50)])
    1.0
    >>> cramers_v([("a", "x", 25), ("a", "y", 25), ("b", "x", 25), ("b", "y", 25)])
    0.0
    """
    rows, across, total = Counter[object](), Counter[object](), 0
    for one, other, count in cells:
        rows[one] += count
        across[other] += count
        total += count
    r, k = len(rows), len(across)
    if total < 2 or min(r, k) < 2:
        return 0.0
    # The cells without rows are in it as well: this form of the sum needs only the others.
    chi = total * (sum(n * n / (rows[a] * across[b]) for a, b, n in cells) - 1)
    phi = max(0.0, chi / total - (k - 1) * (r - 1) / (total - 1))
    least = min(k - (k - 1) ** 2 / (total - 1), r - (r - 1) ** 2 / (total - 1)) - 1
    return min(1.0, math.sqrt(phi / least)) if least > 0 else 0.0
