"""All that is known of the keys that an epoch touches, as one relation of events.

New ones come from the query. What happened before is told by the rows of the table, and by the
events that earlier epochs kept because no row tells them; those count where the two differ.
"""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.pieces import SEQUENCE, columns_in, count_of, make
from qanat.engines.duckdb.merge.shape import (
    DELETE,
    KIND,
    SINCE,
    TRUNCATE,
    UPSERT,
    Shape,
)
from qanat.engines.duckdb.tables import in_wider
from qanat.engines.duckdb.typenames import from_duckdb
from qanat.errors import HistoryMismatchError, Location, SequenceTieError, full_refresh
from qanat.model.changes import END_AT, START_AT
from qanat.model.schema import Field, Schema
from qanat.model.work import Batch
from qanat.text import quote

NEW, OLD, ALL, ONCE, ROWS, TOUCHED, EMPTIED, KEPT = (
    f"__qanat_{name}"
    for name in ("new", "old", "events", "once", "rows", "touched", "emptied", "kept_events")
)
"""Names of temporary tables: new events, those known before, both, and each of them once; rows of
the table that may change; the keys that are touched; when it was last emptied. `KEPT` is bound."""
_LAST = "__qanat_last"


class Events:
    """The events of one epoch and what is known of their keys.

    Args:
        bindings: of the epoch; what is stored is bound there.
        kept: events that earlier epochs kept beside the table; None if there are none.
        at_us: now, microseconds since 1970 (UTC).

    Attributes:
        every: name of the relation of all events of the keys that are touched.
        emptied: SQL of the sequence at which the table was last emptied; NULL if it never was.
    """

    def __init__(
        self,
        con: DuckDBPyConnection,
        bindings: Bindings,
        shape: Shape,
        kept: Batch | None,
        at_us: int,
    ) -> None:
        self._con, self._shape, self._at_us = con, shape, at_us
        self._kept = None if kept is None else self._as_events(bindings.bind(KEPT, kept).plain)
        self.every = ALL
        self.emptied = "NULL"

    def take(self, select: str) -> int:
        """Take the rows of a query as new events; how many there are."""
        shape = self._shape
        make(self._con, NEW, f"SELECT {shape.events} FROM (SELECT {shape.given} FROM ({select}))")
        self.touch()
        return count_of(self._con, NEW)

    def touch(self) -> None:
        """Note the keys of the new events."""
        keys = columns_in(self._shape.keys)
        make(self._con, TOUCHED, f"SELECT DISTINCT {keys} FROM {NEW} WHERE {KIND} <> {TRUNCATE}")

    def remember(self, stored: str | None) -> None:
        """Add what is known of the keys already.

        Args:
            stored: SELECT text of the rows of the table, with the sequence and their places; None
                if there are none.

        Raises:
            HistoryMismatchError: rows do not tell from which change they are.
        """
        shape, con = self._shape, self._con
        data = columns_in(shape.data.names)
        before = f"SELECT {data}, {SEQUENCE}, {KIND}, {SINCE}"
        make(
            con,
            OLD,
            f"SELECT {data}, {SEQUENCE}, {KIND}, 0::BIGINT AS {SINCE} FROM {NEW} WHERE false",
        )
        if self._kept is not None:
            insert = f"INSERT INTO {OLD} {before} FROM ({self._kept}) AS r WHERE {KIND}"
            con.execute(f"{insert} = {TRUNCATE}")
        self._find_emptied()
        if self._kept is not None:
            self._touch_emptied(self._kept)
            con.execute(f"{insert} <> {TRUNCATE} AND {self._is_touched()}")
        if stored is not None:
            self._find_rows(stored)
            if count_of(self._con, f"{ROWS} WHERE {SEQUENCE} IS NULL"):
                raise HistoryMismatchError(
                    "rows of the table do not tell from which change they are: another tool has"
                    " written them, or they were there before its flows had changes",
                    hint=f"start over: {full_refresh()}",
                )
            con.execute(f"INSERT INTO {OLD} {before} FROM ({self._told()})")
        make(
            con,
            ALL,
            kind="VIEW",
            select=f"SELECT * FROM {OLD} WHERE {KIND} <> {TRUNCATE} "
            f"UNION ALL BY NAME SELECT *, {self._at_us} AS {SINCE} FROM {NEW} "
            f"WHERE {KIND} <> {TRUNCATE}",
        )

    def settle_ties(self, where: Location, dataset: str) -> None:
        """Leave each event there once; refuse two that differ and have one sequence.

        Raises:
            SequenceTieError: there are some.
        """
        shape = self._shape
        by = columns_in((*shape.keys, SEQUENCE))
        twice = f"SELECT {by} FROM {ALL} GROUP BY ALL HAVING count(*) > 1"
        if self._con.execute(f"{twice} LIMIT 1").fetchone() is None:
            return
        told = ", ".join(f"{quote(n)} := {quote(n)}" for n in (*shape.data.names, KIND))
        same = " AND ".join(f"t.{quote(n)} = e.{quote(n)}" for n in (*shape.keys, SEQUENCE))
        ties = (
            f"SELECT {by} FROM {ALL} AS e WHERE EXISTS (SELECT 1 FROM ({twice}) AS t "
            f"WHERE {same}) GROUP BY ALL HAVING count(DISTINCT struct_pack({told})) > 1"
        )
        found = self._con.execute(f"SELECT * FROM ({ties}) ORDER BY ALL LIMIT 1").fetchone()
        if found is not None:
            *keys, sequence = map(str, found)
            named = ", ".join(f"{k} = {v}" for k, v in zip(shape.keys, keys, strict=True))
            raise SequenceTieError(
                f"two changes of {dataset} with {named} have the same sequence, and differ",
                location=where,
                got=sequence,
                hint="nothing was published; leave one of them out: FROM (SELECT … WHERE …); or"
                " let SEQUENCE BY have another value that tells which comes first, such as"
                " SEQUENCE BY (updated_at, version), with which a table that has rows starts over:"
                f" {full_refresh(dataset)}",
            )
        make(
            self._con,
            ONCE,
            f"SELECT * FROM {ALL} "
            f"QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY {SINCE}) = 1",
        )
        self.every = ONCE

    def late(self) -> int:
        """How many new events came after a later one of their key."""
        shape = self._shape
        keys = columns_in(shape.keys)
        known = (
            f"SELECT {keys}, max({SEQUENCE}) AS {_LAST} FROM {OLD} WHERE {KIND} <> {TRUNCATE} "
            "GROUP BY ALL"
        )
        emptied = f"SELECT max({SEQUENCE}) FROM {OLD} WHERE {KIND} = {TRUNCATE}"
        return count_of(
            self._con,
            f"(SELECT n.{SEQUENCE} FROM {NEW} AS n LEFT JOIN ({known}) AS k USING ({keys}) "
            f"WHERE n.{SEQUENCE} <= k.{_LAST} OR n.{SEQUENCE} <= ({emptied}))",
        )

    def emptying(self) -> str:
        """SELECT text of the event that last emptied the table, if there is one."""
        columns = columns_in(self._shape.kept.names)
        every = f"SELECT *, {self._at_us} AS {SINCE} FROM {NEW} UNION ALL BY NAME FROM {OLD}"
        return (
            f"FROM (SELECT {columns} FROM ({every}) WHERE {KIND} = {TRUNCATE} "
            f"AND {SEQUENCE} = {self.emptied} LIMIT 1)"
        )

    def others(self) -> str | None:
        """SELECT text of events that were kept of keys which this epoch does not touch."""
        if self._kept is None:
            return None
        mine = f"{KIND} <> {TRUNCATE} AND NOT {self._is_touched()}"
        return f"SELECT * FROM ({self._kept}) AS r WHERE {mine}"

    # -- parts -----------------------------------------------------------------------------

    def _as_events(self, bound: str) -> str:
        """SELECT text of events that were kept, in the columns that the table has by now."""
        relation = self._con.sql(f"{bound} LIMIT 0")
        types = zip(relation.columns, map(from_duckdb, relation.types), strict=True)
        have = Schema(tuple(Field(name, type_) for name, type_ in types))
        columns = ", ".join(in_wider(f, have.get(f.name)) for f in self._shape.kept.fields)
        return f"SELECT {columns} FROM ({bound})"

    def _find_emptied(self) -> None:
        """When the table was last emptied, by an event of this epoch or of an earlier one."""
        where = f"WHERE {KIND} = {TRUNCATE}"
        last = (
            f"SELECT max({SEQUENCE}) AS {_LAST} FROM (SELECT {SEQUENCE} FROM {NEW} {where} "
            f"UNION ALL SELECT {SEQUENCE} FROM {OLD} {where})"
        )
        make(self._con, EMPTIED, last)
        if self._con.execute(f"SELECT 1 FROM {EMPTIED} WHERE {_LAST} IS NOT NULL").fetchone():
            self.emptied = f"(SELECT {_LAST} FROM {EMPTIED})"

    def _touch_emptied(self, kept: str) -> None:
        """Have keys touched of which the emptying takes away a part of what their row is made of.

        The row itself may be from a later event, which had NULL where an earlier value is kept.
        """
        if self.emptied != "NULL":
            gone = f"{KIND} <> {TRUNCATE} AND {SEQUENCE} <= {self.emptied}"
            self._con.execute(
                f"INSERT INTO {TOUCHED} SELECT DISTINCT {columns_in(self._shape.keys)} "
                f"FROM ({kept}) AS r WHERE {gone} AND NOT {self._is_touched()}"
            )

    def _find_rows(self, stored: str) -> None:
        """The rows of the table that may change."""
        chosen = self._is_touched()
        if self.emptied != "NULL":
            chosen = f"({chosen} OR {SEQUENCE} <= {self.emptied})"
        make(self._con, ROWS, f"SELECT * FROM ({stored}) AS r WHERE {chosen}")

    def _is_touched(self) -> str:
        same = " AND ".join(f"t.{quote(k)} = r.{quote(k)}" for k in self._shape.keys)
        return f"EXISTS (SELECT 1 FROM {TOUCHED} AS t WHERE {same})"

    def _told(self) -> str:
        """SELECT text of the events that rows of the table tell."""
        shape = self._shape
        data = columns_in(shape.data.names, "r")
        same = " AND ".join(f"k.{quote(n)} = r.{quote(n)}" for n in (*shape.keys, SEQUENCE))
        rows = (
            f"SELECT {data}, r.{SEQUENCE}, {UPSERT} AS {KIND}, 0 AS {SINCE} FROM {ROWS} AS r "
            f"WHERE NOT EXISTS (SELECT 1 FROM {OLD} AS k WHERE {same})"
        )
        if not shape.versions:
            return rows
        nothing = ", ".join(
            f"r.{quote(f.name)}" if f.name in shape.keys else f"NULL AS {quote(f.name)}"
            for f in shape.data.fields
        )
        key = " AND ".join(f"k.{quote(n)} = r.{quote(n)}" for n in shape.keys)
        ends = (
            f"SELECT {nothing}, r.{END_AT} AS {SEQUENCE}, {DELETE} AS {KIND}, 0 AS {SINCE} "
            f"FROM {ROWS} AS r WHERE r.{END_AT} IS NOT NULL AND NOT EXISTS "
            f"(SELECT 1 FROM {ROWS} AS k WHERE {key} AND k.{START_AT} = r.{END_AT})"
        )
        return f"{rows} UNION ALL {ends}"


def places(shape: Shape, rows: str) -> str:
    """SELECT text of rows of the table with their sequence and places.

    Args:
        rows: SELECT text of the table's files, with hidden columns.
    """
    columns = columns_in(shape.schema.names)
    sequence = SEQUENCE if shape.told is None else f"{shape.told} AS {SEQUENCE}"
    return f"SELECT {columns}, {sequence}, {RID} FROM ({rows})"
