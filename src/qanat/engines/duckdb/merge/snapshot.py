"""A snapshot as events: how its rows differ from those that the table has.

A row that the table lacks, or has otherwise, is an upsert; a key that the snapshot lacks is a
deletion; all happen at the version of the snapshot. What is the same is no event.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.by_events import ByEvents
from qanat.engines.duckdb.merge.events import NEW, Events
from qanat.engines.duckdb.merge.kind import Given, Taken
from qanat.engines.duckdb.merge.pieces import SEQUENCE, columns_in, count_of, make
from qanat.engines.duckdb.merge.shape import DELETE, KIND, Shape
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.errors import HistoryMismatchError, SequenceTieError, full_refresh
from qanat.model.changes import END_AT, START_AT, Expression
from qanat.model.schema import Schema
from qanat.model.snapshots import Snapshots, Version
from qanat.model.work import Batch, Merge, Work
from qanat.text import count, literal, quote

_ALL, _CURRENT, _KEYS, _ABSENT = (
    f"__qanat_{name}" for name in ("snapshot", "current", "snapshot_keys", "absent")
)
"""Names of temporary tables: the rows of the snapshot that rules have kept; those of the table;
the keys of all rows of the snapshot; the rows of the table whose keys are not among these."""


class BySnapshots(ByEvents):
    """Rows that are those of a snapshot: what differs happened at its version.

    Args:
        changes: the keys, and how versions of rows are kept.
    """

    def __init__(
        self,
        con: DuckDBPyConnection,
        bindings: Bindings,
        work: Work,
        merge: Merge,
        changes: Snapshots,
    ) -> None:
        sequence = (Expression(_literal(merge.version), "duckdb"),)
        super().__init__(con, bindings, work, merge, replace(changes, sequence=sequence))

    def untold(self) -> tuple[str, Schema] | None:
        """Nothing: no snapshot comes late, so that the rows tell all that a later one needs."""
        return None

    @property
    def _kept(self) -> Batch | None:
        return None

    def _take(self, events: Events, select: str, stored: str | None, given: Given) -> Taken:
        change = Snapshot(self.con, self._known, self.work, self.merge, given)
        rows = change.take(select, stored)
        events.touch()
        return Taken(rows, notes=change.notes)


def _literal(version: Version | None) -> str:
    """SQL of a version; without one, of the type that moments have."""
    if version is None:
        return "CAST(NULL AS TIMESTAMPTZ)"
    if isinstance(version, datetime):
        zone = "" if version.tzinfo is None else "TZ"
        return f"CAST({literal(version.isoformat(' '))} AS TIMESTAMP{zone})"
    if isinstance(version, date):
        return f"CAST({literal(version.isoformat())} AS DATE)"
    if isinstance(version, str):
        return literal(version)
    return (
        f"CAST({literal(repr(version))} AS {'BIGINT' if isinstance(version, int) else 'DOUBLE'})"
    )


class Snapshot:
    """The rows of one snapshot, on their way into events.

    Args:
        given: what its rows were made from.

    Attributes:
        notes: what to tell of it.
    """

    def __init__(
        self, con: DuckDBPyConnection, shape: Shape, work: Work, merge: Merge, given: Given
    ) -> None:
        self._con, self._shape, self._work, self._given = con, shape, work, given
        self._version = f"CAST({_literal(merge.version)} AS {to_duckdb(shape.sequence_type)})"
        self.notes: tuple[str, ...] = ()

    def take(self, select: str, stored: str | None) -> int:
        """Make events of a snapshot.

        Args:
            select: SELECT text of its rows.
            stored: SELECT text of the rows of the table, with their sequence; None if it has none.

        Returns:
            How many rows the snapshot has.

        Raises:
            SequenceTieError: two of its rows have one key.
            HistoryMismatchError: the table has rows of a later snapshot, or of this one.
        """
        shape, con = self._shape, self._con
        events = f"SELECT {shape.events} FROM (SELECT {shape.given} FROM ({select}))"
        make(con, _ALL, events)
        self._check_keys()
        if stored is None:
            make(con, NEW, f"SELECT * FROM {_ALL}", kind="VIEW")
            return count_of(con, _ALL)
        self._check_later(stored)
        columns = columns_in((*shape.data.names, SEQUENCE))
        now = f" WHERE {END_AT} IS NULL" if shape.versions else ""
        make(con, _CURRENT, f"SELECT {columns} FROM ({stored}){now}")
        self._find_absent()
        make(con, NEW, f"{self._differing()} UNION ALL BY NAME {self._deletions()}")
        return count_of(con, _ALL)

    # -- parts -----------------------------------------------------------------------------

    def _check_keys(self) -> None:
        keys = columns_in(self._shape.keys)
        twice = f"SELECT {keys} FROM {_ALL} GROUP BY ALL HAVING count(*) > 1"
        found = self._con.execute(f"{twice} ORDER BY ALL LIMIT 1").fetchone()
        if found is not None:
            pairs = zip(self._shape.keys, map(str, found), strict=True)
            named = ", ".join(f"{key} = {value}" for key, value in pairs)
            raise SequenceTieError(
                f"a snapshot of {self._work.dataset} has several rows with {named}",
                location=self._work.query.location,
                wanted=f"one row for each ({', '.join(self._shape.keys)})",
                hint="nothing was published; if each file is a snapshot of its own, let a function"
                " in Python give one after the other; else let KEYS name all columns that tell"
                " rows apart, or leave rows out before: FROM SNAPSHOT (SELECT DISTINCT …)",
            )

    def _check_later(self, stored: str) -> None:
        last = f"max({SEQUENCE})"
        if self._shape.versions:
            last = f"greatest(max({START_AT}), max({END_AT}))"
        late = f"SELECT last, {self._version} FROM (SELECT {last} AS last FROM ({stored}))"
        found = self._con.execute(f"{late} WHERE last >= {self._version}").fetchone()
        if found is not None:
            raise HistoryMismatchError(
                f"{self._work.dataset} has rows of a snapshot that is no earlier than this one",
                location=self._work.query.location,
                wanted=f"a version after {found[0]}",
                got=str(found[1]),
                hint=f"start over: {full_refresh(self._work.dataset)}",
            )

    def _find_absent(self) -> None:
        """The rows of the table whose keys no row of the snapshot has, kept or not."""
        shape = self._shape
        keys = ", ".join(
            f"TRY_CAST({quote(f.name)} AS {to_duckdb(f.type)}) AS {quote(f.name)}"
            for f in shape.data.fields
            if f.name in shape.keys
        )
        make(self._con, _KEYS, f"SELECT DISTINCT {keys} FROM ({self._given.select})")
        make(
            self._con,
            _ABSENT,
            f"SELECT * FROM {_CURRENT} AS c WHERE NOT EXISTS "
            f"(SELECT 1 FROM {_KEYS} AS k WHERE {_same(shape.keys, '=', 'k', 'c')})",
        )
        unknown = " OR ".join(f"{quote(k)} IS NULL" for k in shape.keys)
        lost = self._given.lost + count_of(self._con, f"{_KEYS} WHERE {unknown}")
        absent = count_of(self._con, _ABSENT) if lost else 0
        if absent:
            self._con.execute(f"DELETE FROM {_ABSENT}")
            stay = "stays" if absent == 1 else "stay"
            note = f"{count(absent, 'row')} that the snapshot lacks {stay}"
            self.notes = (f"{note}: rows in quarantine do not tell their keys, and may be these",)

    def _differing(self) -> str:
        """SELECT text of the rows of the snapshot that the table lacks, or has otherwise."""
        shape = self._shape
        rest = [n for n in shape.data.names if n not in shape.keys]
        same = _same(shape.keys, "=", "s", "c")
        if rest:
            same += f" AND {_same(rest, 'IS NOT DISTINCT FROM', 's', 'c')}"
        return (
            f"SELECT * FROM {_ALL} AS s WHERE NOT EXISTS "
            f"(SELECT 1 FROM {_CURRENT} AS c WHERE {same})"
        )

    def _deletions(self) -> str:
        shape = self._shape
        columns = (
            quote(f.name)
            if f.name in shape.keys
            else f"CAST(NULL AS {to_duckdb(f.type)}) AS {quote(f.name)}"
            for f in shape.data.fields
        )
        return (
            f"SELECT {', '.join(columns)}, {self._version} AS {SEQUENCE}, "
            f"CAST({DELETE} AS BIGINT) AS {KIND} FROM {_ABSENT}"
        )


def _same(names: tuple[str, ...] | list[str], how: str, one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quote(n)} {how} {other}.{quote(n)}" for n in names)
