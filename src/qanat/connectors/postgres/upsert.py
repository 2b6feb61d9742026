"""Changes of a table on their way into another: rows are set and deleted by their keys.

All changes of an epoch lie in a temporary table first. Of each key the newest version counts
(`_commit_version`), and within it the row that is there afterwards: a version may delete a row and
insert it anew. What an update found there (`update_preimage`) counts as deleted, so that a row
whose key was updated goes from its old one.
"""

from __future__ import annotations

from collections.abc import Sequence

from qanat.connectors.postgres.bookkeeping import Books
from qanat.connectors.postgres.server import Bulk, ask
from qanat.connectors.postgres.target import Transfer
from qanat.errors import ColumnNotFoundError, SchemaMismatchError, nearest
from qanat.model.feed import (
    CHANGE_FIELDS,
    CHANGE_TYPE,
    COMMIT_VERSION,
    DELETE,
    INSERT,
    UPDATE_AFTER,
    UPDATE_BEFORE,
)
from qanat.model.name import Names
from qanat.model.schema import Schema
from qanat.text import literal, quote

_LAST = "_qanat_last"
"""The temporary table with what became of each key."""
_STAYS = f"({literal(INSERT)}, {literal(UPDATE_AFTER)})"
_GOES = f"({literal(DELETE)}, {literal(UPDATE_BEFORE)})"

TOLD = tuple(Transfer(f.name, f.name, f.type) for f in CHANGE_FIELDS[:2])
"""What says of a row what became of it, and when."""


def rows_of(schema: Schema, keys: Sequence[str], table: str) -> Schema:
    """The columns of the rows that are changed, without those that say what became of them.

    Raises:
        SchemaMismatchError: the rows that come are no changes.
        ColumnNotFoundError: they have no such key.
    """
    for name in (CHANGE_TYPE, COMMIT_VERSION):
        if schema.get(name) is None:
            raise SchemaMismatchError(
                f"a sink with `keys` takes changes, and rows for {table} have no column {name}",
                hint="read changes in its flow: SELECT * FROM STREAM table_changes('…'); or leave"
                " out `keys`, and rows are added",
            )
    told = Names(f.name for f in CHANGE_FIELDS)
    fields = tuple(f for f in schema.fields if f.name not in told)
    names = [f.name for f in fields]
    for key in keys:
        if key not in Names(names):
            raise ColumnNotFoundError(
                f"the rows for {table} have no column {key!r}, which `keys` names",
                nearest=nearest(key, names),
            )
    return Schema(fields)


def apply(
    cursor: Bulk, books: Books, columns: Sequence[Transfer], keys: Sequence[str], staged: str
) -> None:
    """Set and delete the rows of a table.

    Args:
        columns: of the table's rows; of those that are `keys`, each of them in any case.
        staged: a temporary table with `columns` and `TOLD`.

    Raises:
        SchemaMismatchError: a key is NULL, or does not tell rows apart; or a row is no change.
    """
    named = Names(keys)
    by = [quote(c.target) for c in columns if c.source in named]
    kind, version = quote(CHANGE_TYPE), quote(COMMIT_VERSION)
    _check(cursor, books, by, staged)
    values = ", ".join(
        quote(c.target) + (f"::{c.cast} AS {quote(c.target)}" if c.cast else "") for c in columns
    )
    cursor.execute(
        f"CREATE TEMPORARY TABLE {_LAST} ON COMMIT DROP AS SELECT DISTINCT ON ({', '.join(by)})"
        f" {values}, {kind} IN {_GOES} AS _qanat_goes FROM {staged}"
        f" ORDER BY {', '.join(by)}, {version} DESC, {kind} IN {_GOES}"
    )
    same = " AND ".join(f"t.{k} = l.{k}" for k in by)
    names = [quote(c.target) for c in columns]
    others = [n for n in names if n not in by]
    cursor.execute(
        f"DELETE FROM {books.table} AS t USING {_LAST} AS l WHERE {same} AND l._qanat_goes"
    )
    if others:
        sets = ", ".join(f"{n} = l.{n}" for n in others)
        cursor.execute(
            f"UPDATE {books.table} AS t SET {sets} FROM {_LAST} AS l"
            f" WHERE {same} AND NOT l._qanat_goes"
        )
    listed = ", ".join(names)
    cursor.execute(
        f"INSERT INTO {books.table} ({listed}) SELECT {listed} FROM {_LAST} AS l"
        f" WHERE NOT l._qanat_goes AND NOT EXISTS (SELECT FROM {books.table} AS t WHERE {same})"
    )


def _check(cursor: Bulk, books: Books, by: Sequence[str], staged: str) -> None:
    kind, version = quote(CHANGE_TYPE), quote(COMMIT_VERSION)
    odd = ask(
        cursor,
        f"SELECT {kind} FROM {staged} WHERE {version} IS NULL OR {kind} IS NULL"
        f" OR NOT ({kind} IN {_STAYS} OR {kind} IN {_GOES}) LIMIT 1",
    )
    if odd:
        raise SchemaMismatchError(
            f"a row for {books.table} is no change of another table",
            wanted=f"a {CHANGE_TYPE} of {INSERT}, {UPDATE_BEFORE}, {UPDATE_AFTER} or {DELETE}, and"
            f" a {COMMIT_VERSION}",
            got=f"{CHANGE_TYPE} {odd[0][0]}",
        )
    nulls = " OR ".join(f"{k} IS NULL" for k in by)
    if ask(cursor, f"SELECT 1 FROM {staged} WHERE {nulls} LIMIT 1"):
        raise SchemaMismatchError(
            f"a key of a row for {books.table} is NULL, so that nothing tells which row it is",
            wanted=f"a value in {', '.join(by)}",
            hint=f"leave such rows out in the flow's query: WHERE {by[0]} IS NOT NULL",
        )
    listed = ", ".join(by)
    twice = ask(
        cursor,
        f"SELECT {', '.join(f'{k}::text' for k in by)} FROM (SELECT {listed}, {kind},"
        f" rank() OVER (PARTITION BY {listed} ORDER BY {version} DESC) AS age FROM {staged}) AS s"
        f" WHERE age = 1 AND {kind} IN {_STAYS} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1",
    )
    if twice:
        raise SchemaMismatchError(
            f"several rows for {books.table} have the same key",
            got=", ".join(f"{k} {v}" for k, v in zip(by, twice[0], strict=True)),
            hint="name all columns in `keys` that tell rows apart (of SCD type 2, __START_AT too)",
        )
