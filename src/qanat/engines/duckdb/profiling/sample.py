"""What a sample of the rows tells: quantiles, histograms and frequent values of other columns.

Rows are chosen by their positions, so that the same table gives the same sample. A small table is
its own sample, and then all that is made of it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FILE, RID, ROW
from qanat.engines.duckdb.profiling.bins import edges
from qanat.engines.duckdb.profiling.counted import SHARES, TOP, bins_of
from qanat.engines.duckdb.profiling.kinds import Column, Kind
from qanat.engines.duckdb.profiling.scan import Facts, shown
from qanat.frozen import Frozen
from qanat.model.profile import Bin, Method, Quantile, ValueCount

ROWS = 50_000
WHOLE = 100_000
"""Rows up to which a table is its own sample."""
_CUT = 1000
"""Characters of a text in it at most."""
_NAME = "__sample"
_NAME_LENGTH = 40
"""Of a path, the characters that tell files apart wherever the project lies."""
AT = "__qanat_at"
"""The column of the sample with a row's position."""


class Sample(Frozen):
    """Rows of a table, as a table of the connection.

    Args:
        rows: how many it has; `of` how many.
        cut: whether it has only the beginnings of long texts.
    """

    rows: int
    of: int
    cut: bool = False

    @property
    def whole(self) -> bool:
        """True if it has all rows."""
        return self.rows == self.of

    @property
    def by(self) -> Method:
        """How what it tells was found."""
        return Method.EXACT if self.whole else Method.SAMPLE

    @property
    def name(self) -> str:
        """FROM text."""
        return _NAME

    def scaled(self, rows: int) -> int:
        """As many rows of the table as so many of the sample stand for.

        >>> Sample(10, 1000).scaled(3)
        300
        """
        return rows if self.whole else round(rows * self.of / self.rows)


def sample(
    con: DuckDBPyConnection,
    rows: str,
    columns: Sequence[Column],
    facts: Sequence[Facts],
    total: int,
) -> Sample:
    """Take the sample.

    Args:
        rows: FROM text.
        facts: of each of the columns.
    """
    # Documents of megabytes would make it larger than memory, and their ends tell nothing more.
    long = {c.at for c, f in zip(columns, facts, strict=True) if (f.get("longest") or 0) > _CUT}
    names = ", ".join(_cut(c.name) if c.at in long else c.name for c in columns)
    chosen = ""
    if total > WHOLE:
        # Not by the row's number in the table: that takes a look at all files for each row.
        file = f"right({FILE}, {_NAME_LENGTH})"
        chosen = f" WHERE hash({file}, {ROW}) % {total // ROWS} = 0"
    listed = f"{RID} AS {AT}, {names}"
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_NAME} AS SELECT {listed} FROM {rows}{chosen}")
    (taken,) = con.execute(f"SELECT count(*) FROM {_NAME}").fetchone() or (0,)
    return Sample(taken, total, bool(long))


def _cut(name: str) -> str:
    """The beginning of a long text, and a hash: what tells texts apart may come at their ends."""
    short = f"left({name}, {_CUT}) || hash({name})"
    return f"CASE WHEN length({name}) > {_CUT} THEN {short} ELSE {name} END AS {name}"


def quantiles(con: DuckDBPyConnection, sample: Sample, column: Column) -> tuple[Quantile, ...]:
    """The quantiles of numbers and moments."""
    text = f"quantile_disc({column.name}, {list(SHARES)})"
    sql = f"SELECT list_transform({text}, lambda v: {shown('v')}) FROM {sample.name}"
    (values,) = con.execute(sql).fetchone() or (None,)
    pairs = zip(SHARES, values or (), strict=False)
    return tuple(Quantile(share, value) for share, value in pairs if value is not None)


def histogram(
    con: DuckDBPyConnection, sample: Sample, column: Column, low: float | None, high: float | None
) -> tuple[Bin, ...]:
    """Bins from the lowest to the highest finite value of the table.

    Args:
        low, high: of the table; None: those of the sample.
    """
    number = column.number(column.name)
    if low is None or high is None:
        ends = con.execute(f"SELECT min({number}), max({number}) FROM {sample.name}").fetchone()
        low, high = ends or (None, None)
    if low is None or high is None:
        return ()
    borders = edges(low, high, whole=column.kind is Kind.WHOLE)
    last, width = len(borders) - 2, borders[1] - borders[0]
    at = "0"
    if width > 0:
        at = f"greatest(0, least({last}, floor((x - {borders[0]!r}) / {width!r})))"
    found = con.execute(
        f"SELECT CAST({at} AS INTEGER) AS b, count(*) FROM (SELECT {number} AS x FROM"
        f" {sample.name}) WHERE x IS NOT NULL GROUP BY b"
    ).fetchall()
    rows_of = [0] * (last + 1)
    for bin_, rows in found:
        rows_of[bin_] = sample.scaled(rows)
    return bins_of(column, borders, rows_of)


def top(con: DuckDBPyConnection, sample: Sample, column: Column) -> tuple[ValueCount, ...]:
    """The most frequent values; none if hardly any repeats in the sample."""
    found = con.execute(
        f"SELECT {shown('v')}, n FROM (SELECT {column.value} AS v, count(*) AS n"
        f" FROM {sample.name} GROUP BY v) WHERE v IS NOT NULL AND n > {1 if sample.whole else 4}"
        f" ORDER BY n DESC, 1 LIMIT {TOP}"
    ).fetchall()
    return tuple(ValueCount(value, sample.scaled(rows)) for value, rows in found)


def direction(con: DuckDBPyConnection, sample: Sample, column: Column) -> str | None:
    """`increasing` or `decreasing`, if values are in order from the first row to the last."""
    c = column.name
    found = con.execute(
        f"SELECT bool_and(v >= p), bool_and(v <= p), bool_and(v = p) FROM (SELECT {c} AS v,"
        f" lag({c}) OVER (ORDER BY {AT}) AS p FROM {sample.name} WHERE {c} IS NOT NULL)"
        " WHERE p IS NOT NULL"
    ).fetchone()
    up, down, same = found or (None, None, None)
    if same is None or same:
        return None
    return "increasing" if up else "decreasing" if down else None
