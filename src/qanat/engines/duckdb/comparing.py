"""Two relations compared by keys, with little memory.

`buckets` finds where they differ with one read of both sides. Only the rows of these buckets are
read again, without columns that are the same everywhere, and joined by their keys. So where few
rows differ, no join ever sees the others; where many do, DuckDB's tables and joins spill to disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.buckets import BUCKETS, Buckets, names, normal
from qanat.engines.duckdb.faults import explained, explained_condition
from qanat.engines.duckdb.pairing import Pairs, Side, bound, paired
from qanat.model.comparison import (
    Change,
    Closeness,
    ColumnChanges,
    Compared,
    Comparing,
    Differences,
    Relation,
)

_FRUGAL = 640_000_000
"""Bytes that a comparison holds before it spills, if they are enough for it."""
_AT_ONCE = 100
"""Columns whose changes one statement counts."""
_ROWS = ("__qanat_left", "__qanat_right")
_DIFFERENT = "__qanat_different"


def compare(
    con: DuckDBPyConnection,
    scratch: Path,
    left: Relation,
    right: Relation,
    how: Comparing,
    limit: int,
) -> Differences:
    """What two relations have that the other has not (see `qanat.ports.engine.Engine`).

    Args:
        limit: bytes that DuckDB may hold; a comparison spills earlier if it can.
    """
    sides = (
        bound(con, scratch, "left", left, how),
        bound(con, scratch, "right", right, how),
    )
    with explained(None), explained_condition(how.where, sides[0].types):
        try:
            with _frugal(con, limit):
                return compare_sides(con, sides, how)
        except duckdb.OutOfMemoryException:
            # Very wide rows need more of it at a time.
            return compare_sides(con, sides, how)


@contextmanager
def _frugal(con: DuckDBPyConnection, limit: int) -> Iterator[None]:
    """Spill early while the block runs: tables are compared beside other work."""
    con.execute(f"SET memory_limit = '{min(limit, _FRUGAL) // 1024}KiB'")
    try:
        yield
    finally:
        con.execute(f"SET memory_limit = '{limit // 1024}KiB'")


def compare_sides(
    con: DuckDBPyConnection, sides: tuple[Side, Side], how: Comparing
) -> Differences:
    """The same of two SELECT texts.

    Raises:
        ColumnNotFoundError: a key or column is not on both sides, or no column tells rows apart.
    """
    comparison = _Comparison(con, paired(con, *sides, how), sides, how)
    try:
        return comparison.run()
    finally:
        for table in (BUCKETS, *_ROWS, _DIFFERENT):
            con.execute(f"DROP TABLE IF EXISTS {table}")


class _Comparison:
    """One comparison on one connection, of which the temporary tables are its own."""

    def __init__(
        self, con: DuckDBPyConnection, pairs: Pairs, sides: tuple[Side, Side], how: Comparing
    ) -> None:
        self._con = con
        self._pairs = pairs
        self._how = how
        self._keys = names("k", pairs.keys)
        self._values = names("c", pairs.columns)
        left, right = sides
        self._buckets = Buckets(
            con, pairs, (normal(left.sql, pairs, 0), normal(right.sql, pairs, 1))
        )
        self._read: Sequence[int] = ()
        self._repeated = (0, 0)

    def run(self) -> Differences:
        """Compare, and tell what was found."""
        self._buckets.add_up()
        changed = self._buckets.changed()
        if changed is None:
            return self._told((0, 0, 0), (), ((), ()))
        self._take(changed)
        if any(self._repeated):
            # Digests of columns alone do not tell which values belong together in one row.
            self._take(range(len(self._values)))
            self._pair()
        self._join()
        return self._found()

    def _take(self, columns: Sequence[int]) -> None:
        """Read rows that may differ, of both sides."""
        self._read = columns
        for side, name in enumerate(_ROWS):
            rows = self._buckets.differing(side, columns)
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {rows}")
        key = f"hash({', '.join(self._keys)})"
        left, right = (
            int(self._one(f"SELECT count(*) - count(DISTINCT {key}) FROM {name}")[0])
            for name in _ROWS
        )
        self._repeated = left, right

    def _pair(self) -> None:
        """Give rows with one key places, so that each has at most one partner.

        Rows that are the same on both sides are partners first, and leave; the others are matched
        in the order of their values, so that those within a tolerance find each other.
        """
        keys = ", ".join(self._keys)
        every = (*self._keys, *self._values)
        exact_first = sorted(
            self._values, key=lambda c: self._pairs.columns[self._values.index(c)].fraction
        )
        order = f" ORDER BY {', '.join(exact_first)}" if exact_first else ""
        on = " AND ".join(f"a.{k} IS NOT DISTINCT FROM b.{k}" for k in (*every, "place"))
        for name in _ROWS:
            self._con.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT *, row_number() OVER "
                f"(PARTITION BY {', '.join(every)}) AS place FROM {name}"
            )
        for name, other in (_ROWS, reversed(_ROWS)):
            self._con.execute(
                f"CREATE OR REPLACE TEMP TABLE {name}_rest AS SELECT * EXCLUDE (place), "
                f"row_number() OVER (PARTITION BY {keys}{order}) "
                f"AS place FROM {name} AS a WHERE NOT EXISTS (FROM {other} AS b WHERE {on})"
            )
        for name in _ROWS:
            self._con.execute(f"DROP TABLE {name}")
            self._con.execute(f"ALTER TABLE {name}_rest RENAME TO {name}")

    def _join(self) -> None:
        """Match the rows of both sides; those that differ stay."""
        by = (*self._keys, *(["place"] if any(self._repeated) else []))
        on = " AND ".join(f"l.{k} IS NOT DISTINCT FROM r.{k}" for k in by)
        keys = ", ".join(f"coalesce(l.{k}, r.{k}) AS {k}" for k in self._keys)
        read = [self._values[at] for at in self._read]
        values = "".join(f", l.{c} AS l{c}, r.{c} AS r{c}" for c in read)
        differs = "".join(f" OR l.{c} IS DISTINCT FROM r.{c}" for c in read)
        left, right = (f"(SELECT *, true AS here FROM {name})" for name in _ROWS)
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE {_DIFFERENT} AS SELECT {keys}{values}, "
            "CASE WHEN r.here IS NULL THEN 'l' WHEN l.here IS NULL THEN 'r' ELSE 'b' END AS side "
            f"FROM {left} AS l FULL JOIN {right} AS r ON {on} "
            f"WHERE l.here IS NULL OR r.here IS NULL{differs}"
        )

    def _found(self) -> Differences:
        """Counts and samples of what differs."""
        differs = {at: self._differs(at) for at in self._read}
        counts = dict(zip(differs, self._counted([*differs.values()]), strict=True))
        any_ = " OR ".join(differs.values()) or "false"
        left, right, changed = self._one(
            "SELECT count(*) FILTER (side = 'l'), count(*) FILTER (side = 'r'), "
            f"count(*) FILTER (side = 'b' AND ({any_})) FROM {_DIFFERENT}"
        )
        most = sorted((at for at, n in counts.items() if n), key=lambda at: -counts[at])
        changes = tuple(
            ColumnChanges(self._pairs.columns[at].name, counts[at], self._changes(at, differs[at]))
            for at in most
        )
        samples = self._samples("l", left), self._samples("r", right)
        return self._told((left, right, changed), changes, samples)

    def _told(
        self,
        rows: tuple[int, int, int],
        changes: tuple[ColumnChanges, ...],
        samples: tuple[Sequence[tuple[Any, ...]], Sequence[tuple[Any, ...]]],
    ) -> Differences:
        """The result.

        Args:
            rows: how many are only left, only right, and changed.
        """
        left, right = (
            Compared(*self._buckets.counted(sign), self._repeated[at], rows[at], samples[at])
            for at, sign in enumerate((1, -1))
        )
        return Differences(
            keys=tuple(c.name for c in self._pairs.keys),
            columns=tuple(c.name for c in self._pairs.columns),
            left=left,
            right=right,
            changed=rows[2],
            changes=changes,
            only_left=self._pairs.only_left,
            only_right=self._pairs.only_right,
            types=self._pairs.types,
        )

    def _samples(self, side: str, only: int) -> Sequence[tuple[Any, ...]]:
        """The first rows that only one side has."""
        if not only:
            return ()
        # Columns that were not read are the same in all rows that both have: no row is alone.
        columns = ", ".join((*self._keys, *(f"{side}{self._values[at]}" for at in self._read)))
        return self._first(columns, f"side = '{side}'")

    def _changes(self, at: int, differs: str) -> tuple[Change, ...]:
        columns = ", ".join((*self._keys, f"l{self._values[at]}", f"r{self._values[at]}"))
        rows = self._first(columns, f"side = 'b' AND {differs}")
        return tuple(Change(row[:-2], row[-2], row[-1]) for row in rows)

    def _first(self, columns: str, where: str) -> Sequence[tuple[Any, ...]]:
        order = ", ".join(self._keys)
        sql = f"SELECT {columns} FROM {_DIFFERENT} WHERE {where} ORDER BY {order} "
        return self._con.execute(f"{sql} LIMIT {int(self._how.samples)}").fetchall()

    def _counted(self, differs: Sequence[str]) -> Iterator[int]:
        for start in range(0, len(differs), _AT_ONCE):
            each = ", ".join(f"count(*) FILTER ({d})" for d in differs[start : start + _AT_ONCE])
            yield from self._one(f"SELECT {each} FROM {_DIFFERENT} WHERE side = 'b'")

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
