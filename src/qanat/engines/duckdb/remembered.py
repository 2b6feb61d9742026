"""What the engine remembers, so that it need not be found out again.

The columns of Parquet files: such a file never changes. To see the columns DuckDB opens the
files, in a statement of its own. For a small dataset that is a tenth of all the work, and for a
table of many files each of its readers would do it again.

What the trees of queries tell: to see a tree, the parser must be imported, and that takes as long
as a small update. The session keeps the engine's notes between processes, so that a query is
parsed once for as long as it and the program stay the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, MutableMapping
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import METADATA, SOURCE
from qanat.engines.duckdb.types import to_duckdb
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.query import SqlQuery
from qanat.model.schema import Schema
from qanat.model.staged import StagedTable
from qanat.model.work import Output, TableBatch

_FILES = 10_000
"""Files whose columns are remembered at most, among those that this process wrote."""
_SETS = 100
"""Batches of other processes' files whose columns are remembered at most."""

Types: TypeAlias = Named[str]
"""By name of a column, its type as SQL."""


class Footers:
    """What is known of the columns of files. Safe to use from several threads."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[Schema, bool]] = {}
        self._newest: dict[Path, tuple[Schema, bool]] = {}
        self._described: dict[tuple[tuple[str, ...], tuple[str, ...]], Types] = {}
        self._lock = Lock()

    def remember(self, output: Output, table: StagedTable) -> None:
        """Remember the columns of files that were written."""
        with self._lock:
            known = table.schema, table.by_column
            # One value for all files of a table, not one for each epoch.
            if (before := self._newest.get(output.folder)) == known:
                known = before
            self._newest[output.folder] = known
            for file in table.all_files:
                self._written[str(output.folder / file.path)] = known
            while len(self._written) > _FILES:
                del self._written[next(iter(self._written))]

    def types(self, con: DuckDBPyConnection, batch: TableBatch, scan: str) -> Types:
        """The columns that the files of a batch have together.

        Args:
            scan: SQL for FROM that reads the files.
        """
        found = self._as_written(batch)
        key = batch.files, batch.partition_by
        if found is None:
            found = self._described.get(key)
        if found is None:
            first = con.sql(f"SELECT * FROM {scan} LIMIT 0")
            found = Named((c, str(t)) for c, t in zip(first.columns, first.types, strict=True))
            with self._lock:
                self._described[key] = found
                while len(self._described) > _SETS:
                    del self._described[next(iter(self._described))]
        return found

    def _as_written(self, batch: TableBatch) -> Types | None:
        """The columns of the table, if all files were written here and have exactly those."""
        if batch.partition_by:
            return None  # their files lack the columns that stand in the names of folders
        columns = [(f.name, f.type) for f in batch.schema.fields]
        sourced = False
        # A few schemas stand for thousands of files.
        for known in {id(k): k for k in map(self._written.get, batch.files)}.values():
            if known is None or [(f.name, f.type) for f in known[0].fields] != columns:
                return None
            sourced = sourced or known[1]
        own = [(SOURCE, "BIGINT")] if sourced else []
        return Named([*((name, to_duckdb(type_)) for name, type_ in columns), *own])


class Carried(Frozen):
    """A query that carries hidden columns along.

    Args:
        sql: its text.
        needs: the inputs whose relation must have its hidden columns, by `Read.name`.
        positions: the columns that the result has in front, which tell where each row came from;
            none where the query's rows are not rows of one input.
        scattered: whether the rows may come in another order each time.
    """

    sql: str
    needs: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    scattered: bool = False


class Queries:
    """Answers about queries. Safe to use from several threads.

    Args:
        notes: answers by question; new ones are added.
    """

    def __init__(self, notes: MutableMapping[str, Any]) -> None:
        self._notes = notes

    def reads_once(self, query: SqlQuery) -> bool:
        """True if each row of the query comes from one of its one input, read a single time."""
        question = ("once", *_named(query))
        return bool(
            self._noted(question, lambda: import_module("qanat.planning.levels").reads_once(query))
        )

    def copies_input(self, query: SqlQuery) -> bool:
        """True if the query gives each row of its one input with all columns, and no others."""
        question = ("copies", *_named(query))
        # Imported only here, as below: with it comes the parser.
        return bool(
            self._noted(
                question, lambda: import_module("qanat.planning.levels").copies_input(query)
            )
        )

    def carrying(
        self, query: SqlQuery, hidden: Mapping[str, tuple[str, ...]], positions: bool
    ) -> Carried:
        """The query, made to carry the hidden columns of its inputs.

        Args:
            hidden: the hidden columns that each input can have, by `Read.name`.
            positions: whether the result is to tell where its rows came from.
        """
        if not positions and METADATA not in query.sql.lower():
            return Carried(query.sql)
        question = ("carry", *_named(query), sorted(hidden.items()), positions)
        return Carried(
            *self._noted(
                question,
                lambda: (
                    *import_module("qanat.engines.duckdb.hidden").carry(query, hidden, positions),
                    import_module("qanat.planning.levels").scatters(query),
                ),
            )
        )

    def _noted(self, question: tuple[object, ...], answer: Callable[[], Any]) -> Any:
        key = json.dumps(question)
        found = self._notes.get(key)
        if found is None:
            found = self._notes[key] = answer()
        return found


def _named(query: SqlQuery) -> tuple[object, ...]:
    return query.sql, query.dialect, [read.name for read in query.reads]
