"""Which rows of two relations need a second look: sums of digests in buckets of keys.

Both sides are read once. Rows fall into buckets by their keys, and of each bucket the digests of
its rows are added up, with those of the other side taken away. What is left of a bucket is zero
where both sides have the same rows there, in whichever order.

Reading texts again costs more than all else, and most changes are in few columns. So wide columns
have digests of their own, in a few groups: where those are the same in all buckets, nobody need
read their columns again.

Rows of which only their digests of 63 bits are the same count as the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.pairing import Column, Pairs

BUCKETS = "__qanat_buckets"
_ROWS_IN_BUCKET = 16
_MOST_BITS = 21
"""Two million buckets take about 150 MB, and 40 MB more for each group."""
_LEAST_BITS = 10
_UNKNOWN = 1 << 22
"""Rows, where DuckDB has no idea how many there are."""
_NEIGHBOURS = 5
"""Bits of a whole number that do not choose its bucket: rows that lie side by side often have keys
that follow on one another, and sums of one bucket are added to faster than those of many."""
_GROUPS = 3
_NULLS = -1
"""The bucket of rows with a NULL in their key."""
_DIFFERS = "(digest <> 0 OR more <> 0)"


class Buckets:
    """The sums of one comparison, in a temporary table of its connection.

    Args:
        sides: what `normal` gives of either.
    """

    def __init__(self, con: DuckDBPyConnection, pairs: Pairs, sides: tuple[str, str]) -> None:
        self._con = con
        self._sides = sides
        self._keys = names("k", pairs.keys)
        self._values = names("c", pairs.columns)
        self._narrow = [at for at, column in enumerate(pairs.columns) if column.narrow]
        wide = [at for at, column in enumerate(pairs.columns) if not column.narrow]
        self._groups = [wide[n::_GROUPS] for n in range(min(_GROUPS, len(wide)))]
        rows = max(_estimated(con, sql) for sql in sides)
        bits = min(max((rows // _ROWS_IN_BUCKET).bit_length(), _LEAST_BITS), _MOST_BITS)
        last = f"{self._keys[-1]} >> {_NEIGHBOURS}" if pairs.keys[-1].whole else self._keys[-1]
        number = f"hash({', '.join((*self._keys[:-1], last))}) & {(1 << bits) - 1}"
        null = " OR ".join(f"{k} IS NULL" for k in self._keys)
        self._bucket = f"CASE WHEN {null} THEN {_NULLS} ELSE ({number})::INTEGER END"

    def add_up(self) -> None:
        """Read both sides: for each bucket how many rows there are, and their digests."""
        every = " UNION ALL ".join(map(self._digested, self._sides, ("", "-")))
        groups = "".join(f", bit_xor(g{n}) AS g{n}" for n in range(len(self._groups)))
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE {BUCKETS} AS SELECT bucket, sum(digest) AS digest, "
            f"sum(sign)::BIGINT AS more, count(*) AS rows{groups} FROM ({every}) GROUP BY bucket"
        )

    def _digested(self, rows: str, sign: str) -> str:
        narrow = [self._values[at] for at in self._narrow]
        groups = [f"g{n}" for n in range(len(self._groups))]
        digests = "".join(
            f", hash({', '.join((*self._keys, *(self._values[at] for at in group)))}) AS {name}"
            for name, group in zip(groups, self._groups, strict=True)
        )
        inner = f"SELECT {', '.join((*self._keys, *narrow))}{digests} FROM ({rows})"
        whole = f"(hash({', '.join((*self._keys, *narrow, *groups))}) >> 1)::BIGINT"
        columns = "".join(f", {name}" for name in groups)
        return (
            f"SELECT {self._bucket} AS bucket, {sign}{whole} AS digest, "
            f"{sign}1::TINYINT AS sign{columns} FROM ({inner})"
        )

    def counted(self, sign: int) -> tuple[int, int]:
        """How many rows one side has, and how many of them have a NULL in their key.

        Args:
            sign: 1 for the left side, -1 for the right.
        """
        read = f"(rows + {sign} * more) // 2"
        rows, nulls = self._one(
            f"SELECT coalesce(sum({read}), 0)::BIGINT, "
            f"coalesce(sum({read}) FILTER (bucket = {_NULLS}), 0)::BIGINT FROM {BUCKETS}"
        )
        return rows, nulls

    def changed(self) -> tuple[int, ...] | None:
        """The columns whose values may differ somewhere, by number; None if no bucket differs."""
        groups = "".join(f", bool_or(g{n} <> 0)" for n in range(len(self._groups)))
        some, *differ = self._one(f"SELECT count(*){groups} FROM {BUCKETS} WHERE {_DIFFERS}")
        if not some:
            return None
        groups_ = (group for group, read in zip(self._groups, differ, strict=True) if read)
        return tuple(sorted((*self._narrow, *(at for group in groups_ for at in group))))

    def differing(self, side: int, columns: Sequence[int]) -> str:
        """SELECT text of the keys and some columns of the rows in buckets that differ.

        Args:
            side: 0 for the left side, 1 for the right.
            columns: by their numbers.
        """
        every = ", ".join((*self._keys, *(self._values[at] for at in columns)))
        some = f"SELECT bucket FROM {BUCKETS} WHERE {_DIFFERS}"
        return f"SELECT {every} FROM ({self._sides[side]}) WHERE {self._bucket} IN ({some})"

    def _one(self, sql: str) -> tuple[int, ...]:
        return self._con.execute(sql).fetchone() or ()


def _estimated(con: DuckDBPyConnection, sql: str) -> int:
    """About how many rows a SELECT text has; of Parquet files alone DuckDB knows it exactly."""
    ((_, plan),) = con.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()
    about: Mapping[str, str] = json.loads(plan)[0].get("extra_info", {})
    return int(about.get("Estimated Cardinality", _UNKNOWN))


def names(letter: str, columns: Sequence[Column]) -> list[str]:
    """What columns are called within a comparison: whatever their own names are."""
    return [f"{letter}{at}" for at in range(len(columns))]


def normal(sql: str, pairs: Pairs, side: int) -> str:
    """SELECT text of a side with columns of the same names and types as the other."""

    def parts() -> Iterator[str]:
        for letter, columns in (("k", pairs.keys), ("c", pairs.columns)):
            for name, column in zip(names(letter, columns), columns, strict=True):
                yield f"{column.right if side else column.left} AS {name}"

    return f"SELECT {', '.join(parts())} FROM ({sql})"
