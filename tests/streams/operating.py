"""An operator with a state, run by itself: its state is in a table of the same connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from qanat.engines.duckdb.state.kind import GONE, Moment
from qanat.engines.duckdb.state.operators import keeping
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.errors import Location
from qanat.model.query import EventTime, Read, SqlQuery, dataset_ref
from qanat.model.stateful import GROUP, LEAVES, OutputMode, Stateful
from qanat.planning.eventtime import stateful_of
from qanat.text import quote

HERE = Location("all.sql", 1, 1)


def query_of(
    sql: str, streams: Sequence[str], watermarks: Mapping[str, tuple[str, int]] | None = None
) -> SqlQuery:
    """A query over streams by these names, of which some have watermarks: column and delay."""
    times = {
        name: EventTime(column, delay, HERE)
        for name, (column, delay) in (watermarks or {}).items()
    }
    reads = tuple(Read(n, dataset_ref(n), True, HERE, times.get(n)) for n in streams)
    return SqlQuery(sql, sql, "duckdb", reads, HERE)


class Running:
    """A query over streams that takes one epoch after the other."""

    def __init__(
        self,
        query: SqlQuery,
        mode: OutputMode | None = None,
        con: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        self.con = duckdb.connect() if con is None else con
        self.con.execute("SET TimeZone = 'UTC'; SET threads = 1")
        found = stateful_of(query, frozenset(r.name for r in query.reads if r.streaming), mode)
        assert found is not None
        self.stateful: Stateful = found
        self.query = query
        self.epoch = 0
        self.newest: dict[str, int] = {}
        self.watermark: int | None = None
        self.rows: list[tuple[Any, ...]] = []
        self.groups: dict[str, list[tuple[Any, ...]]] = {}
        self.late = 0
        self.has_state = False

    def take(self, new: Mapping[str, str]) -> list[tuple[Any, ...]]:
        """Take an epoch's rows: SELECT text by stream; gives the result rows that it adds."""
        con, stateful = self.con, self.stateful
        self.epoch += 1
        for name, select in new.items():
            con.execute(f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {select}")
        inputs = {i.name: i.query.sql for i in stateful.inputs}
        names = con.sql(f"{stateful.named}").columns if stateful.named else []
        operator = keeping(con, stateful, inputs, names)
        before = self.watermark
        after = self._advance()
        moment = Moment(self.epoch, before, after)
        state = None
        if self.has_state:
            condition = " AND ".join(
                f"s.{quote(k)} IS NOT DISTINCT FROM t.{quote(k)}" for k in operator.found_by
            )
            # No more than what it asks for.
            due = (
                f" OR {operator.closes} <= {after}"
                if operator.closes and after is not None
                else ""
            )
            touched = operator.touched(moment)
            state = (
                f"SELECT * FROM state AS s WHERE EXISTS (FROM ({touched}) AS t WHERE {condition})"
                f"{due}"
            )
        advance = operator.advance(state, moment)
        for late in advance.late.values():
            self.late += len(con.sql(late).fetchall())
        output = con.sql(advance.output)
        rows = self._publish(output.columns, output.fetchall())
        self._keep(operator, advance.state)
        return rows

    def state_rows(self) -> int:
        """How many rows the state has."""
        found = (
            self.con.execute("SELECT count(*) FROM state").fetchone() if self.has_state else None
        )
        return int(found[0]) if found else 0

    def result(self) -> list[tuple[Any, ...]]:
        """All result rows so far, sorted."""
        rows = [*self.rows, *(r for rows in self.groups.values() for r in rows)]
        return sorted(rows, key=repr)

    def _advance(self) -> int | None:
        found = []
        for each in self.stateful.watermarks:
            row = self.con.execute(each.newest).fetchone()
            if row and row[0] is not None:
                latest = int(row[0]) - each.delay_us
                self.newest[each.read] = max(latest, self.newest.get(each.read, latest))
            found.append(self.newest.get(each.read))
        known = [f for f in found if f is not None]
        if known and len(known) == len(found):
            self.watermark = max(min(known), self.watermark or min(known))
        return self.watermark

    def _publish(self, columns: list[str], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if not self.stateful.changes:
            self.rows += rows
            return rows
        group, leaves = columns.index(GROUP), columns.index(LEAVES)
        new: dict[str, list[tuple[Any, ...]]] = {}
        for row in rows:
            plain = tuple(v for n, v in enumerate(row) if n not in (group, leaves))
            mine = new.setdefault(row[group], [])
            if not row[leaves]:
                mine.append(plain)
            else:
                assert not mine
        self.groups.update(new)
        return [r for rows in new.values() for r in rows]

    def _keep(self, operator: Any, changed: str) -> None:
        con, schema = self.con, operator.columns
        listed = ", ".join(f"{quote(f.name)} {to_duckdb(f.type)}" for f in schema.fields)
        if not self.has_state:
            con.execute(f"CREATE OR REPLACE TABLE state ({listed})")
            self.has_state = True
        con.execute(f"CREATE OR REPLACE TEMP TABLE changed AS {changed}")
        keys = ", ".join(map(quote, operator.keys))
        twice = con.sql(f"SELECT 1 FROM changed GROUP BY {keys} HAVING count(*) > 1").fetchall()
        assert not twice
        same = " AND ".join(
            f"state.{quote(k)} IS NOT DISTINCT FROM c.{quote(k)}" for k in operator.keys
        )
        con.execute(f"DELETE FROM state WHERE EXISTS (FROM changed AS c WHERE {same})")
        columns = ", ".join(map(quote, schema.names))
        con.execute(f"INSERT INTO state SELECT {columns} FROM changed WHERE NOT {GONE}")


def batch(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query, sorted."""
    return sorted(con.sql(sql).fetchall(), key=repr)
