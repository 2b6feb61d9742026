"""Columns whose values no two rows share: candidate keys of up to three columns.

Whether values repeat cannot be told from a sample of rows: two equal ones are rarely both in it.
So rows are chosen by the hash of one column, the anchor: all rows with the same value of it are
compared, and with it all that might be equal in it and others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.profiling.counted import Distinct, hashed
from qanat.engines.duckdb.profiling.kinds import Column, Kind
from qanat.model.profile import CandidateKey, ColumnProfile, Method

_ANCHORS, _PARTS = 2, 12
"""Columns that are tried as an anchor, and as another part."""
_ROWS, _VERIFIED = 50_000, 1_000_000
"""Rows that candidates are looked for in, and those that they are verified with."""
_SHOWN = 5
_TABLE = "__anchored"
_KINDS = (Kind.WHOLE, Kind.TEXT, Kind.MOMENT, Kind.OTHER)
"""Of parts of a compound key: measures are different often enough, but identify nothing."""
_LONGEST = 64
"""Characters of the longest text of a column that may be part of a compound key."""


def candidate_keys(
    con: DuckDBPyConnection,
    rows: str,
    total: int,
    columns: Sequence[Column],
    known: Sequence[ColumnProfile],
    distinct: dict[int, Distinct],
) -> tuple[CandidateKey, ...]:
    """The candidate keys, the shortest first.

    Args:
        rows: FROM text; `total` of them.
        known: what is known of each column.
        distinct: of columns that have many values.
    """
    if total < 2:
        return ()
    found, single = [], set[int]()
    for column, profile in zip(columns, known, strict=True):
        if profile.nulls or profile.distinct < total:
            continue
        examined = distinct[column.at].examined if column.at in distinct else total
        single.add(column.at)
        if column.kind in _KINDS:
            found.append(CandidateKey((column.field.name,), examined, profile.distinct_by))
    parts = [(c, k) for c, k in zip(columns, known, strict=True) if _may_be_part(c, k, single)]
    parts.sort(key=lambda pair: -pair[1].distinct)
    if not found:
        found = _compound(con, rows, total, parts[:_PARTS])
    return tuple(found[:_SHOWN])


def _may_be_part(column: Column, known: ColumnProfile, single: set[int]) -> bool:
    short = known.texts is None or known.texts.longest <= _LONGEST
    identifies = column.kind in _KINDS and column.at not in single
    return identifies and short and not known.nulls and known.distinct > 1


def _compound(
    con: DuckDBPyConnection,
    rows: str,
    total: int,
    parts: Sequence[tuple[Column, ColumnProfile]],
) -> list[CandidateKey]:
    found: dict[frozenset[int], list[Column]] = {}
    for at, (anchor, known) in enumerate(parts[:_ANCHORS]):
        # Of an anchor with few values any one may have too many rows to compare.
        step = max(1, min(total // _ROWS, known.distinct // 64))
        names = ", ".join(c.name for c, _ in parts)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {_TABLE} AS SELECT {names} FROM {rows}"
            f" WHERE {hashed(anchor.value, step)} LIMIT {4 * _ROWS}"
        )
        others = [part for i, part in enumerate(parts) if i != at]
        for columns in _combinations(con, total, anchor, others, known):
            numbers = frozenset(c.at for c in columns)
            if not any(shorter <= numbers for shorter in found):
                found[numbers] = columns
    # Longer ones beside shorter ones are mostly chance.
    shortest = min(map(len, found.values()), default=0)
    kept = [columns for columns in found.values() if len(columns) == shortest]
    return [key for columns in kept[:_SHOWN] if (key := _verified(con, rows, total, columns))]


def _combinations(
    con: DuckDBPyConnection,
    total: int,
    anchor: Column,
    parts: Sequence[tuple[Column, ColumnProfile]],
    known: ColumnProfile,
) -> list[list[Column]]:
    """Columns that tell the chosen rows apart, with the anchor first."""
    found: list[list[Column]] = []
    for size in (1, 2):
        for chosen in combinations(parts, size):
            columns = [anchor, *(c for c, _ in chosen)]
            numbers = {c.at for c in columns}
            possible = _most(known)
            for _, each in chosen:
                possible *= _most(each)
            if possible < total or any({c.at for c in f} <= numbers for f in found):
                continue
            if _tell_apart(con, _TABLE, columns)[1]:
                found.append(columns)
    return found


def _most(known: ColumnProfile) -> float:
    """How many values a column may have: an estimate may be too low."""
    return known.distinct * (1.0 if known.distinct_by is Method.EXACT else 1.1)


def _tell_apart(con: DuckDBPyConnection, rows: str, columns: Sequence[Column]) -> tuple[int, bool]:
    """How many rows there are, and whether no two are equal in these columns."""
    values = ", ".join(c.value for c in columns)
    groups = f"SELECT count(*) AS n FROM {rows} GROUP BY hash({values})"
    sql = f"SELECT coalesce(sum(n), 0)::BIGINT, count(*) FROM ({groups})"
    many, different = con.execute(sql).fetchone() or (0, 0)
    return many, many == different


def _verified(
    con: DuckDBPyConnection, rows: str, total: int, columns: Sequence[Column]
) -> CandidateKey | None:
    """The key, if it holds for many more rows as well."""
    step = max(1, total // _VERIFIED)
    chosen = f"{rows} WHERE {hashed(columns[0].value, step)}"
    examined, holds = _tell_apart(con, chosen, columns)
    by = Method.EXACT if examined == total else Method.HASHED
    names = tuple(c.field.name for c in sorted(columns, key=lambda c: c.at))
    return CandidateKey(names, examined, by) if holds else None
