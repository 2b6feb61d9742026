"""The queries of one epoch over its bound inputs, compiled and not yet computed."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import duckdb
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from qanat.engines.duckdb.casts import compiled
from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.files.bound import FILE, RESERVED, RID
from qanat.engines.duckdb.functions import run_function
from qanat.engines.duckdb.inputs import Bindings, file_name
from qanat.engines.duckdb.order import in_order, keeping_order, keeps_first
from qanat.engines.duckdb.places import PLACE, Placed, in_places
from qanat.engines.duckdb.remembered import Carried, Footers, Queries
from qanat.engines.duckdb.tables import in_file
from qanat.engines.duckdb.types import Result, may_be_numbered
from qanat.errors import (
    FileUnreadableError,
    FileVanishedError,
    InvariantError,
    SchemaDriftError,
    located,
)
from qanat.model.query import Computation, FunctionQuery, Query, SqlQuery
from qanat.model.work import ViewBatch, Work
from qanat.text import literal

T = TypeVar("T")
_ABOUT_FILES = (FileUnreadableError, FileVanishedError, SchemaDriftError)


@dataclass(slots=True)
class Querying:
    """The queries of one `Work` on one connection.

    Args:
        footers: what is known of the files of tables.
        queries: what is known of queries.
        stopping: set when functions are to be given up.
    """

    con: DuckDBPyConnection
    work: Work
    footers: Footers
    queries: Queries
    stopping: threading.Event
    bindings: Bindings = field(init=False)

    def __post_init__(self) -> None:
        work = self.work
        self.bindings = Bindings(
            self.con, work.scratch, self.footers, sourced=work.sourced, widens=work.widens
        )

    @property
    def _views(self) -> tuple[Query, ...]:
        return tuple(v.query for v in self.work.views)

    def _bind_inputs(self) -> None:
        for name, batch in self.work.inputs.items():
            if not isinstance(batch, ViewBatch):
                self._bind(name)

    def _query(self, name: str, query: Computation, positions: bool) -> Result:
        """Bind a query's inputs and describe its result."""
        self._bind_reads(query)
        if not isinstance(query, SqlQuery):
            return self._function(name, query)
        with explained(query, self._names(query)):
            reads = dict.fromkeys(r.name for r in query.reads)
            carried = self.queries.carrying(query, self.bindings.hidden, positions)
            try:
                select, relation = self._over(carried, reads)
            except duckdb.BinderException:
                # Without positions the query is what its author wrote: if that is right, rows
                # are told apart by numbers given to the result.
                if not carried.positions:
                    raise
                carried = self.queries.carrying(query, self.bindings.hidden, False)
                select, relation = self._over(carried, reads)
            names = relation.columns
            if may_be_numbered(names):
                # Below another SELECT DuckDB tells equal names apart by itself, silently.
                for read_name in reads:
                    self.bindings.define(read_name, read_name in carried.needs)
                names = self.con.sql(carried.sql).columns
        skip = len(carried.positions)
        if FILE in carried.positions and keeps_first(self.work):
            if self._sort_inputs(query, carried.positions):
                return self._query(name, query, positions)
            placed = PLACE in carried.positions
            if carried.scattered:
                batches = self.work.inputs.values()
                select = in_order(self.con, select, names[skip:], batches, placed)
            elif placed and RID not in carried.positions:
                select = in_places(select)
        return Result(select, names[skip:], relation.types[skip:], carried.positions)

    def _over(self, carried: Carried, reads: Iterable[str]) -> tuple[str, DuckDBPyRelation]:
        over = partial(self.bindings.over, names=reads, full=carried.needs)
        select, relation = compiled(self.con, carried.sql, over)
        shown = relation.columns[len(carried.positions) :]
        if carried.needs and any(name.startswith(RESERVED) for name in shown):
            raise duckdb.BinderException("a star that was not seen shows hidden columns")
        return select, relation

    def _sort_inputs(self, query: Computation, positions: Collection[str]) -> bool:
        """Have inputs in the order of their tables, if rows of the result tell no places.

        Returns:
            True if there was one to sort.
        """
        found = self.bindings.bound
        names = {r.name for r in query.reads if PLACE in found[r.name].hidden}
        if PLACE in positions or not names:
            return False
        for name in names:
            path = self.work.scratch / f"{file_name(name)}-sorted.parquet"
            found[name] = in_file(self.con, found[name], path)
        return True

    def _bind_reads(self, query: Computation) -> None:
        for read in query.reads:
            if read.name not in self.bindings.bound:
                self._bind(read.name)

    def _bind(self, name: str) -> None:
        """Bind an input; what is wrong with its files is told where they are read."""
        with self._located(name):
            placed = Placed.IF_TOLD if keeps_first(self.work) else Placed.NO
            self.bindings.bind(name, self.work.inputs[name], placed=placed)

    def _located(self, name: str) -> AbstractContextManager[None]:
        queries = (self.work.query, *(v.query for v in self.work.views))
        places = (r.location for q in queries for r in q.reads if r.name == name)
        return located(next(places, None), *_ABOUT_FILES)

    def _names(self, query: Query) -> Iterator[str]:
        """The columns of a query's inputs, for messages."""
        for read in query.reads:
            yield from self.con.sql(f"{self.bindings.bound[read.name].plain} LIMIT 0").columns

    def _function(self, name: str, query: Computation) -> Result:
        if not isinstance(query, FunctionQuery):
            raise InvariantError("rows that are stored already are not staged like this")
        self._sort_inputs(query, ())
        path = self.work.scratch / f"{file_name(name)}-result.parquet"
        relations = tuple(self.bindings.bound[r.name].plain for r in query.reads)
        run_function(self.con, query, relations, path, self.stopping)
        relation = self.con.sql(f"SELECT * FROM read_parquet({literal(str(path))}) LIMIT 0")
        select = f"SELECT *, file_row_number AS {RID} FROM read_parquet({literal(str(path))})"
        return Result(select, relation.columns, relation.types, (RID,))

    def _materialize(self, name: str, result: Result) -> Result:
        """Compute once what would differ, or cost too much, if computed again per pass."""
        path = literal(str(self.work.scratch / f"{file_name(name)}-rows.parquet"))
        keeping = keeping_order(self.con) if keeps_first(self.work) else nullcontext()
        with keeping:
            self.con.execute(f"COPY ({result.select}) TO {path} (FORMAT parquet, COMPRESSION lz4)")
        select = f"SELECT *, file_row_number AS {RID} FROM read_parquet({path})"
        return replace(result, select=select, hidden=(*result.hidden, RID))
