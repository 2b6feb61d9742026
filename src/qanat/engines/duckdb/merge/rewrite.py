"""The files of a table with a row that is another one afterwards, written again without it.

Files that lie next to each other by their keys become one, up to a size: so they grow together
where they are small, and whoever looks for a key still has few files to open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID, ROW_BITS
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.pieces import columns_in, count_of, part_of
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.engines.duckdb.write import check_rewritten, write
from qanat.frozen import Frozen
from qanat.model.schema import Schema
from qanat.model.staged import DataFile
from qanat.model.work import Output, TableBatch

FILE_BYTES = 128 * 1024 * 1024
"""How large files become."""
_FILE, _ROW = f"{RID} >> {ROW_BITS}", (1 << ROW_BITS) - 1
_OUT = "__qanat_out"


class Rewriting(Frozen):
    """The rewriting of some files of one table.

    Args:
        batch: all files of the table, with hidden columns among its own.
        key: the first of the keys, by which files are next to each other.
        gone: name of a table with the places (`RID`) of rows that are not there afterwards.
        fresh: name of a table of new rows, with the place of that which each replaces.
        columns: those that are written.
        output: of the table.
    """

    con: DuckDBPyConnection
    bindings: Bindings
    batch: TableBatch
    key: str
    gone: str
    fresh: str
    columns: Schema
    output: Output

    def rewrite(self) -> tuple[tuple[str, ...], tuple[DataFile, ...], int]:
        """Stage the files anew; the files that they replace, the new ones, and the rows of those.

        Raises:
            InvariantError: a row would be lost or doubled.
        """
        touched = self._numbers(f"SELECT DISTINCT {_FILE} FROM {self.gone}")
        written: list[DataFile] = []
        rows = 0
        # Each file is opened three times, and never changes: DuckDB keeps its footer meanwhile.
        self.con.execute("SET SESSION parquet_metadata_cache = true")
        for number, group in enumerate(self._groups(touched)):
            one = replace(self.output, prefix=f"{self.output.prefix}-m{number:05d}")
            files, before = self._rewrite(group, one)
            written += files
            rows += before
        # Files of sources may change: theirs are read each time.
        self.con.execute("RESET SESSION parquet_metadata_cache")
        return tuple(self.batch.files[n] for n in sorted(touched)), tuple(written), rows

    def recast(self, removed: Sequence[str]) -> tuple[DataFile, ...]:
        """Stage all other files with the columns that the table has by now.

        Args:
            removed: those that `rewrite` has replaced.

        Raises:
            InvariantError: a row would be lost or doubled.
        """
        touched = set(removed)
        rest = [n for n, path in enumerate(self.batch.files) if path not in touched]
        written: list[DataFile] = []
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {_OUT} ({RID} BIGINT)")
        for number, group in enumerate(self._together(rest)):
            one = replace(self.output, prefix=f"{self.output.prefix}-w{number:05d}")
            written += self._write(group, one, "")[0]
        return tuple(written)

    def _rewrite(self, group: list[int], output: Output) -> tuple[tuple[DataFile, ...], int]:
        # Rows are numbered by the place of their file among those that are read.
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE {_OUT} AS SELECT "
            f"((list_position(?, {_FILE}) - 1)::BIGINT << {ROW_BITS}) + ({RID} & {_ROW}) AS {RID} "
            f"FROM {self.gone} WHERE {_FILE} IN (SELECT unnest(?))",
            [group, group],
        )
        new = f"{self.fresh} WHERE {_FILE} IN ({', '.join(map(str, group))})"
        return self._write(group, output, new)

    def _write(
        self, group: list[int], output: Output, new: str
    ) -> tuple[tuple[DataFile, ...], int]:
        """Write the rows of files that stay; what was written, and how many rows they had.

        Args:
            new: what stands behind FROM: rows that come beside them; empty: none.
        """
        name = f"__qanat_group_{group[0]}"
        bound = self.bindings.bind(name, part_of(self.batch, [self.batch.files[n] for n in group]))
        columns = columns_in(self.columns.names)
        stay = f"FROM ({bound.full}) AS r WHERE r.{RID} NOT IN (SELECT {RID} FROM {_OUT})"
        select = f"SELECT {columns} {stay}"
        if new:
            select += f" UNION ALL SELECT {columns} FROM {new}"
        table = write(self.con, select, self.columns, output)
        before, gone = count_of(self.con, f"({bound.plain})"), count_of(self.con, _OUT)
        check_rewritten(table.rows, before - gone + (count_of(self.con, new) if new else 0))
        return table.files, before

    def _groups(self, touched: list[int]) -> Iterator[list[int]]:
        """The files that become one, each by its number."""
        chosen = set(touched)
        some: list[int] = []
        size = 0
        for number in self._in_order(touched):
            # A file that stays as it is lies in between.
            if some and (number not in chosen or size >= FILE_BYTES):
                yield some
                some, size = [], 0
            if number in chosen:
                some.append(number)
                size += self._size(number)
        if some:
            yield some

    def _together(self, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Files in their order, as many at a time as become one."""
        some: list[int] = []
        for number in numbers:
            if some and sum(map(self._size, some)) >= FILE_BYTES:
                yield some
                some = []
            some.append(number)
        if some:
            yield some

    def _size(self, number: int) -> int:
        return Path(self.batch.files[number]).stat().st_size

    def _in_order(self, touched: list[int]) -> list[int]:
        """The files by their smallest key, as far as their footers tell it."""
        if len(touched) < 2:
            return touched
        type_ = to_duckdb(next(f.type for f in self.columns.fields if f.name == self.key))
        low = f"min(TRY_CAST(coalesce(stats_min_value, stats_min) AS {type_}))"
        found = self.con.execute(
            f"SELECT file_name FROM parquet_metadata(?) WHERE path_in_schema = ? "
            f"GROUP BY file_name ORDER BY {low}, file_name",
            [list(self.batch.files), self.key],
        ).fetchall()
        numbers = {path: number for number, path in enumerate(self.batch.files)}
        told = [numbers[path] for (path,) in found if path in numbers]
        return [*told, *(n for n in touched if n not in set(told))]

    def _numbers(self, select: str) -> list[int]:
        return [int(number) for (number,) in self.con.execute(select).fetchall()]
