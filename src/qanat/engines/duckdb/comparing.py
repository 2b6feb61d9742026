"""Two relations compared by keys, with little memory.

Both sides are read once for digests: rows fall into buckets by their keys, and of each bucket the
digests of its rows are added up, with those of the other side taken away. What is left of a bucket
is zero where both sides have the same rows there, in whichever order. Only the rows of other
buckets are read again, and joined by their keys. So where few rows differ, no join ever sees the
others; where many do, DuckDB's join spills.

That two different buckets come to the same number has a chance of one in 2^63.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.pairing import Column, Pairs, Side, bound, paired
from qanat.model.comparison import (
    Change,
    Closeness,
    ColumnChanges,
    Compared,
    Comparing,
    Differences,
    Relation,
)

_ROWS_IN_BUCKET = 32
_MOST_BITS = 21
"""Two million sums take about 150 MB."""
_LEAST_BITS = 10
_UNKNOWN = 1 << 22
"""Rows, where it is not known how many there are."""
_NULLS = -1
"""The bucket of rows with a NULL in their key."""
_AT_ONCE = 100
"""Columns whose changes one statement counts."""


def compare(
    con: DuckDBPyConnection, scratch: Path, left: Relation, right: Relation, how: Comparing
) -> Differences:
    """What two relations have that the other has not (see `qanat.ports.engine.Engine`)."""
    sides = (
        bound(con, scratch, "left", left, how),
        bound(con, scratch, "right", right, how),
    )
    with explained(None):
        pairs = paired(con, *sides, how)
        rows = max(r.rows or _UNKNOWN for r in (left, right))
        bits = min(max((rows // _ROWS_IN_BUCKET).bit_length(), _LEAST_BITS), _MOST_BITS)
        comparison = _Comparison(con, pairs, sides, bits, how)
        comparison.add_up()
        comparison.take_different()
        return comparison.found()


class _Comparison:
    """One comparison on one connection, of which the temporary tables are its own."""

    def __init__(
        self,
        con: DuckDBPyConnection,
        pairs: Pairs,
        sides: tuple[Side, Side],
        bits: int,
        how: Comparing,
    ) -> None:
        self._con = con
        self._pairs = pairs
        self._how = how
        self._keys = [f"k{at}" for at in range(len(pairs.keys))]
        self._values = [f"c{at}" for at in range(len(pairs.columns))]
        self._mask = (1 << bits) - 1
        self._rows = [self._normal(side.sql, at) for at, side in enumerate(sides)]

    def _normal(self, sql: str, side: int) -> str:
        """A side with columns of the same names and types as the other."""

        def value(column: Column) -> str:
            return column.right if side else column.left

        keys = zip(self._keys, self._pairs.keys, strict=True)
        values = zip(self._values, self._pairs.columns, strict=True)
        every = ", ".join(f"{value(c)} AS {name}" for name, c in (*keys, *values))
        return f"SELECT {every} FROM ({sql})"

    @property
    def _bucket(self) -> str:
        null = " OR ".join(f"{k} IS NULL" for k in self._keys)
        number = f"(hash({', '.join(self._keys)}) & {self._mask})::INTEGER"
        return f"CASE WHEN {null} THEN {_NULLS} ELSE {number} END"

    @property
    def _digest(self) -> str:
        return f"(hash({', '.join((*self._keys, *self._values))}) >> 1)::BIGINT"

    def add_up(self) -> None:
        """Read both sides once: for each bucket how many rows there are, and their digests."""
        parts = " UNION ALL ".join(
            f"SELECT {self._bucket} AS bucket, {sign}{self._digest} AS digest, "
            f"{sign}1::TINYINT AS sign FROM ({rows})"
            for sign, rows in zip(("", "-"), self._rows, strict=True)
        )
        self._con.execute(
            "CREATE OR REPLACE TEMP TABLE __buckets AS SELECT bucket, sum(digest) AS digest, "
            f"sum(sign)::BIGINT AS more, count(*) AS rows FROM ({parts}) GROUP BY bucket"
        )

    def take_different(self) -> None:
        """Read the rows of buckets that differ again, and keep those that the other side lacks."""
        some = "(SELECT bucket FROM __buckets WHERE digest <> 0 OR more <> 0)"
        for name, rows in zip("lr", self._rows, strict=True):
            self._con.execute(
                f"CREATE OR REPLACE TEMP TABLE __{name} AS SELECT *, {self._digest} AS digest "
                f"FROM ({rows}) WHERE {self._bucket} IN {some}"
            )
        self._duplicates = [self._repeated(name) for name in "lr"]
        if any(self._duplicates):
            self._number()
        by = (*self._keys, *(["place"] if any(self._duplicates) else []))
        on = " AND ".join(f"l.{k} IS NOT DISTINCT FROM r.{k}" for k in by)
        keys = ", ".join(f"coalesce(l.{k}, r.{k}) AS {k}" for k in self._keys)
        values = "".join(f", l.{c} AS l{c}, r.{c} AS r{c}" for c in self._values)
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE __different AS SELECT {keys}{values}, "
            "CASE WHEN r.digest IS NULL THEN 'l' WHEN l.digest IS NULL THEN 'r' ELSE 'b' END "
            f"AS side FROM __l AS l FULL JOIN __r AS r ON {on} "
            "WHERE l.digest IS DISTINCT FROM r.digest"
        )

    def _repeated(self, name: str) -> int:
        key = f"hash({', '.join(self._keys)})"
        return int(self._one(f"SELECT count(*) - count(DISTINCT {key}) FROM __{name}")[0])

    def _number(self) -> None:
        """Give rows with one key places, so that each has at most one partner.

        Rows that are the same on both sides are partners first, and leave; the others are matched
        in the order of their digests.
        """
        keys = ", ".join(self._keys)
        for name in "lr":
            self._con.execute(
                f"CREATE OR REPLACE TEMP TABLE __{name} AS SELECT *, row_number() OVER "
                f"(PARTITION BY {keys}, digest) AS place FROM __{name}"
            )
        on = " AND ".join(f"a.{k} IS NOT DISTINCT FROM b.{k}" for k in (*self._keys, "place"))
        for name, other in ("lr", "rl"):
            self._con.execute(
                f"CREATE OR REPLACE TEMP TABLE __{name}_left AS SELECT * EXCLUDE (place), "
                f"row_number() OVER (PARTITION BY {keys} ORDER BY digest) AS place "
                f"FROM __{name} AS a WHERE NOT EXISTS "
                f"(FROM __{other} AS b WHERE {on} AND a.digest = b.digest)"
            )
        for name in "lr":
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE __{name} AS FROM __{name}_left")

    def found(self) -> Differences:
        """Counts and samples of what differs."""
        differs = [self._differs(at) for at in range(len(self._values))]
        counts = self._counts(differs)
        any_ = " OR ".join(differs) or "false"
        row = self._one(
            "SELECT count(*) FILTER (side = 'l'), count(*) FILTER (side = 'r'), "
            f"count(*) FILTER (side = 'b' AND ({any_})) FROM __different"
        )
        most = sorted((at for at, n in enumerate(counts) if n), key=lambda at: -counts[at])
        return Differences(
            keys=tuple(c.name for c in self._pairs.keys),
            columns=tuple(c.name for c in self._pairs.columns),
            left=self._side(0, row[0]),
            right=self._side(1, row[1]),
            changed=row[2],
            changes=tuple(
                ColumnChanges(
                    self._pairs.columns[at].name, counts[at], self._changes(at, differs[at])
                )
                for at in most
            ),
            only_left=self._pairs.only_left,
            only_right=self._pairs.only_right,
            types=self._pairs.types,
        )

    def _side(self, side: int, only: int) -> Compared:
        sign = "-" if side else "+"
        read, nulls = self._one(
            f"SELECT coalesce(sum((rows {sign} more) // 2), 0)::BIGINT, coalesce(sum("
            f"(rows {sign} more) // 2) FILTER (bucket = {_NULLS}), 0)::BIGINT FROM __buckets"
        )
        name = "lr"[side]
        samples: Sequence[tuple[Any, ...]] = ()
        if only:
            columns = ", ".join((*self._keys, *(f"{name}{c}" for c in self._values)))
            samples = self._first(columns, f"side = '{name}'")
        return Compared(read, nulls, self._duplicates[side], only, samples)

    def _changes(self, at: int, differs: str) -> tuple[Change, ...]:
        columns = ", ".join((*self._keys, f"l{self._values[at]}", f"r{self._values[at]}"))
        rows = self._first(columns, f"side = 'b' AND {differs}")
        return tuple(Change(row[:-2], row[-2], row[-1]) for row in rows)

    def _first(self, columns: str, where: str) -> Sequence[tuple[Any, ...]]:
        order = ", ".join(self._keys)
        sql = f"SELECT {columns} FROM __different WHERE {where} ORDER BY {order} "
        return self._con.execute(f"{sql} LIMIT {int(self._how.samples)}").fetchall()

    def _counts(self, differs: Sequence[str]) -> list[int]:
        """In how many rows each column differs."""
        return [*self._counted(differs)]

    def _counted(self, differs: Sequence[str]) -> Iterator[int]:
        for start in range(0, len(differs), _AT_ONCE):
            each = ", ".join(f"count(*) FILTER ({d})" for d in differs[start : start + _AT_ONCE])
            yield from self._one(f"SELECT {each} FROM __different WHERE side = 'b'")

    def _differs(self, at: int) -> str:
        left, right = f"l{self._values[at]}", f"r{self._values[at]}"
        differs = f"{left} IS DISTINCT FROM {right}"
        if not (self._how.tolerance and self._pairs.columns[at].fraction):
            return f"({differs})"
        return f"({differs} AND {_beyond(left, right, self._how.tolerance)})"

    def _one(self, sql: str) -> tuple[Any, ...]:
        return self._con.execute(sql).fetchone() or ()


def _beyond(left: str, right: str, tolerance: Closeness) -> str:
    """SQL that is true of two numbers that are further apart than is tolerated, or not numbers."""
    allowed = f"{tolerance.absolute!r}::DOUBLE"
    if tolerance.relative:
        larger = f"greatest(abs({left}::DOUBLE), abs({right}::DOUBLE))"
        allowed = f"greatest({allowed}, {tolerance.relative!r}::DOUBLE * {larger})"
    # An infinity is as far from any number as from another one; NaN is above everything.
    near = f"isfinite({left}::DOUBLE) AND isfinite({right}::DOUBLE) AND "
    near += f"abs({left}::DOUBLE - {right}::DOUBLE) <= {allowed}"
    return f"(({near}) IS NOT TRUE)"
