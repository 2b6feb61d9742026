"""Set rows aside that the queries of an epoch cannot compute, so that all others can be.

Nothing here runs before the engine has refused a value: then the queries are asked one after the
other which rows of which input they fail for, and each input goes on without those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.faults import BY_DATA
from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.quarantine import failed_rows
from qanat.engines.duckdb.remembered import Queries
from qanat.engines.duckdb.rowwise import RowWise, needed_of, reason, row_wise
from qanat.engines.duckdb.tables import Bound
from qanat.engines.duckdb.types import Fitted, Result
from qanat.model.name import Names
from qanat.model.query import Computation, SqlQuery
from qanat.model.schema import Schema
from qanat.model.work import ViewBatch, Work
from qanat.planning.levels import levels
from qanat.planning.stateful import tree_of
from qanat.text import quote


@dataclass(slots=True)
class RowsAside:
    """Rows that fail, by input.

    Args:
        bindings: the inputs of `work`, bound; each that may lose rows is bound anew without them.
        queries: what is known of queries.
    """

    con: DuckDBPyConnection
    work: Work
    bindings: Bindings
    queries: Queries
    _whole: dict[str, Bound] = field(default_factory=dict)
    _origins: dict[str, str] = field(default_factory=dict)
    _joined: set[str] = field(default_factory=set)  # Views in which rows may appear repeatedly.

    def __post_init__(self) -> None:
        for name in tuple(self._candidates()):
            bound = self.bindings.bound[name]
            self._whole[name] = bound
            self.con.execute(
                f"CREATE OR REPLACE TEMP TABLE {_table(name)} (rid BIGINT, reason VARCHAR)"
            )
            full = (
                f"SELECT * FROM ({bound.full}) WHERE {RID} NOT IN (SELECT rid FROM {_table(name)})"
            )
            hidden = ", ".join(bound.hidden)
            plain = f"SELECT * EXCLUDE ({hidden}) FROM ({full})"
            self.bindings.bound[name] = replace(bound, plain=plain, full=full, whole=bound.full)

    def _candidates(self) -> Iterator[str]:
        """The inputs whose rows can be told apart, and computed again later.

        A row of a stream is read once. To compute it again later, it has to be clear what else
        its epoch would have to read: nothing, if there is one stream.
        """
        queries = _queries(self.work)
        views = {n for n, b in self.work.inputs.items() if isinstance(b, ViewBatch)}
        streams = {r.name for q in queries for r in q.reads if r.streaming} - views
        for name, bound in self.bindings.bound.items():
            if RID in bound.hidden and name not in views and streams <= {name}:
                yield name

    def look(self, query: Computation, strictly: bool, view: str = "") -> None:
        """Find the rows that a query fails for.

        Args:
            query: its inputs are bound.
            strictly: whether what may not matter must not fail either.
            view: what it defines; empty: the result.
        """
        if not isinstance(query, SqlQuery):
            return
        names = [r.name for r in query.reads]
        carried = self.queries.carrying(query, self.bindings.hidden, True)
        needed = self._needed(view) if view else None
        asked = row_wise(query, carried.sql, needed) if carried.positions else []
        origin = self._origin(asked[0].source) if asked else None
        if origin is None:
            return
        source = asked[0].source
        batch = self.work.inputs[source]
        repeated = isinstance(batch, ViewBatch) and batch.view in self._joined
        self._origins[_result(view)] = origin
        if asked[-1].joined or repeated:
            self._joined.add(view)
        readers = sum(r.name == source for q in _queries(self.work) for r in q.reads)
        alone = readers == 1 and not repeated
        for level in asked:
            self._look(level, names, origin, alone, strictly)

    def _needed(self, view: str) -> Names | None:
        """The columns of a view that its readers may need; None: all."""
        found: list[str] = []
        for query in _queries(self.work):
            for read in query.reads:
                batch = self.work.inputs[read.name]
                if isinstance(batch, ViewBatch) and batch.view == view:
                    needed = needed_of(tree_of(query)) if isinstance(query, SqlQuery) else None
                    if needed is None:
                        return None
                    found += needed
        return Names(found)

    def _look(
        self, level: RowWise, names: Sequence[str], origin: str, alone: bool, strictly: bool
    ) -> None:
        def over(sql: str) -> str:
            return self.bindings.over(sql, names, (level.source,))

        def compiles(sql: str) -> bool:
            try:
                self.con.sql(f"SELECT * FROM ({over(sql)}) LIMIT 0")
            except duckdb.Error:
                return False
            return True

        if not compiles(level.relation):
            return
        columns = self._columns(over(level.relation))
        key = self._key(origin)
        found = [level.failing(compiles, columns, key, alone, strictly)]
        if strictly:
            found.append(level.failing_below(compiles, columns, key, alone))
        for failing in found:
            if failing is not None and compiles(failing):
                self._add(origin, over(failing))

    def look_at_casts(self, result: Result, fitted: Fitted) -> None:
        """Find the rows whose values do not fit the columns that the table has."""
        origin = self._origins.get(_result(""))
        if origin is None or not set(self._key(origin)) <= set(result.hidden) or not fitted.casts:
            return
        reasons = ", ".join(
            f"CASE WHEN {c.fails} THEN {reason(c.text, (c.column,))} END" for c in fitted.casts
        )
        key = ", ".join(self._key(origin))
        each = f"SELECT {key}, nullif(concat_ws('; ', {reasons}), '') AS reason"
        failing = f"FROM ({each} FROM ({result.select})) WHERE reason IS NOT NULL"
        self._add(origin, f"SELECT {key}, min(reason) AS reason {failing} GROUP BY {key}")

    def _key(self, origin: str) -> tuple[str, ...]:
        """The columns that tell the rows of an input apart, also behind joins."""
        placed = {FILE, ROW} <= set(self._whole[origin].hidden)
        return (FILE, ROW) if placed else (RID,)

    def reasons(self, name: str) -> str:
        """SELECT text of `rid` and `reason` of the rows of an input that fail."""
        return f"SELECT rid, reason FROM {_table(name)} WHERE reason IS NOT NULL"

    @property
    def total(self) -> int:
        """How many rows were found."""
        rows = (
            self.con.execute(f"SELECT count(*) FROM {_table(n)}").fetchone() for n in self._whole
        )
        return sum(int(row[0]) for row in rows if row)

    def rows(self, schema: Schema) -> Iterator[str]:
        """SELECT texts of the rows, in the columns of a quarantine, and `__qanat_rid`."""
        mentioned = any(
            METADATA in q.sql.lower() for q in _queries(self.work) if isinstance(q, SqlQuery)
        )
        for name, whole in self._whole.items():
            columns = self._columns(whole.plain)
            if mentioned and METADATA in whole.hidden:
                columns.append(METADATA)
            yield failed_rows(whole.full, _table(name), columns, schema)

    def _origin(self, name: str) -> str | None:
        """The input that the rows of a relation come from, one by one."""
        batch = self.work.inputs.get(name)
        if isinstance(batch, ViewBatch):
            return self._origins.get(_result(batch.view))
        return name if name in self._whole else None

    def _columns(self, select: str) -> list[str]:
        return list(self.con.sql(f"SELECT * FROM ({select}) LIMIT 0").columns)

    def _add(self, origin: str, failing: str) -> None:
        # A join repeats rows of its input, and carries their places, but not their identifiers.
        key = self._key(origin)
        places = (
            f"SELECT {', '.join(dict.fromkeys((*key, RID)))} FROM ({self._whole[origin].full})"
        )
        found = f"({places}) JOIN ({failing}) USING ({', '.join(key)})"
        try:
            self.con.execute(f"INSERT INTO {_table(origin)} SELECT {RID}, reason FROM {found}")
        except BY_DATA:
            return  # what fails is none of the expressions that were asked, such as that of a join


def source_of(work: Work) -> str | None:
    """The input whose rows those of the result come from, one by one."""
    views = {v.name: v.query for v in work.views}
    query: Computation | None = work.query
    while isinstance(query, SqlQuery) and (passing := levels(query)):
        batch = work.inputs.get(passing[0].relation)
        if not isinstance(batch, ViewBatch):
            return passing[0].relation
        query = views.get(batch.view)
    return None


def _queries(work: Work) -> tuple[Computation, ...]:
    return (*(v.query for v in work.views), work.query)


def _result(view: str) -> str:
    """The key of a query's result, which no input is named like."""
    return f"\0{view}"


def _table(name: str) -> str:
    return quote(f"__qanat_failed_{name}")
