"""Which columns the Parquet files of tables have, remembered: such a file never changes.

To see the columns DuckDB opens the files, in a statement of its own. For a small dataset that is
a tenth of all the work, and for a table of many files each of its readers would do it again.
"""

from __future__ import annotations

from threading import Lock
from typing import TypeAlias

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.types import to_duckdb
from qanat.model.name import Named
from qanat.model.schema import Schema
from qanat.model.work import Output, StagedTable, TableBatch

_FILES = 10_000
"""Files whose columns are remembered at most, among those that this process wrote."""
_SETS = 100
"""Batches of other processes' files whose columns are remembered at most."""

Types: TypeAlias = Named[str]
"""By name of a column, its type as SQL."""


class Footers:
    """What is known of the columns of files. Safe to use from several threads."""

    def __init__(self) -> None:
        self._written: dict[str, Schema] = {}
        self._described: dict[tuple[tuple[str, ...], tuple[str, ...]], Types] = {}
        self._lock = Lock()

    def remember(self, output: Output, table: StagedTable) -> None:
        """Remember the columns of files that were written."""
        with self._lock:
            for file in table.files:
                self._written[str(output.folder / file.path)] = table.schema
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
        # A few schemas stand for thousands of files.
        for schema in {id(s): s for s in map(self._written.get, batch.files)}.values():
            if schema is None or [(f.name, f.type) for f in schema.fields] != columns:
                return None
        return Named((name, to_duckdb(type_)) for name, type_ in columns)
