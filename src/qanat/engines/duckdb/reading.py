"""The rows of a query that no dataset declares, taken as they are computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.types import from_duckdb, literal
from qanat.model.query import SqlQuery
from qanat.model.schema import Field, Schema
from qanat.model.work import Inputs

_CHUNK = 4096
"""Rows that are Python values at a time."""


class DuckDBReading:
    """One query over bound inputs (see `qanat.ports.engine.Reading`).

    Args:
        con: of this query alone, open for as long as its rows are taken.
        scratch: for inputs that have to be copied.
    """

    def __init__(
        self,
        con: DuckDBPyConnection,
        scratch: Path,
        query: SqlQuery,
        inputs: Inputs,
        limit: int | None,
    ) -> None:
        self._con = con
        self._query = query
        with explained(None):
            bindings = Bindings(con, scratch)
            bound = [bindings.bind(name, batch) for name, batch in inputs.items()]
            for name in inputs:
                bindings.define(name)
            self._columns = tuple(c for b in bound for c in con.sql(b.plain).columns)
        # Inside parentheses DuckDB takes nothing but a query, and gives columns of one name
        # different ones. The closing one has its own line: the text may end in a -- comment.
        self._sql = f"FROM (\n{query.sql}\n)"
        if limit is not None:
            self._sql += f" LIMIT {int(limit)}"
        with explained(query, self._columns):
            relation = self._relation()
            pairs = zip(relation.columns, relation.types, strict=True)
            self.schema = Schema(tuple(Field(name, from_duckdb(t)) for name, t in pairs))

    def _relation(self) -> DuckDBPyRelation:
        return self._con.sql(self._sql)

    def chunks(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows as Python values, some thousand at a time."""
        # Of DuckDB's ways only this one gives rows as they are computed: a relation keeps none.
        with explained(self._query, self._columns):
            self._con.execute(self._sql)
        while True:
            with explained(self._query, self._columns):
                rows = self._con.fetchmany(_CHUNK)
            if not rows:
                return
            yield rows

    @contextmanager
    def arrow(self) -> Iterator[DuckDBPyRelation]:
        """The rows as an object with `__arrow_c_stream__`."""
        # DuckDB computes while the stream is read, and raises its errors there.
        with explained(self._query, self._columns):
            yield self._relation()

    def write(self, path: Path) -> int:
        """Write the rows to one Parquet file, which appears when it is whole."""
        with explained(self._query, self._columns):
            target = literal(str(path))
            self._con.execute(
                f"COPY ({self._sql}\n) TO {target} (FORMAT parquet, USE_TMP_FILE true)"
            )
            found = self._con.fetchone()
        return int(found[0]) if found else 0
