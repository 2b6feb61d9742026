"""JSON texts, one a row, with file and line: from lines, from arrays, from documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import LIMIT, RAW_LIMIT, open_bytes
from qanat.engines.duckdb.files.salvage import MANY, SMALL, Salvage
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.engines.duckdb.types import literal, quote

# A control character cannot stand in JSON unescaped: only garbage has it, and is told apart.
_NEVER = "\x01"
_OBJECT_LIMIT = 4 * LIMIT


@dataclass(slots=True)
class Texts:
    """Parquet files with (text, file, line); line is NULL in those of `placed`, where the
    row's place in the file tells it."""

    table: FileTable
    scratch: Path
    compression: str | None
    paths: list[str] = field(default_factory=list)
    salvage: Salvage = field(init=False)

    def __post_init__(self) -> None:
        dialect = Dialect("\n", "", "", False, compression=self.compression)
        self.salvage = Salvage(self.table, self.scratch, dialect)

    def add_lines(self, indexes: Sequence[int]) -> None:
        """Take each line of files as a text."""
        small = [i for i in indexes if self.table.files[i].size <= SMALL]
        quick = set(small if len(small) >= MANY else ())
        careful = [i for i in indexes if i in quick or self._mixed(i)]
        left = [i for i in indexes if i not in set(careful)]
        if left:
            careful += self._fast(left)
        copy = self.salvage.rewrite(careful, 1) if careful else None
        if copy is not None:
            self._copy(
                f"SELECT r.text, r.file, r.line FROM read_csv({literal(copy)}, "
                "columns = {'text': 'VARCHAR', 'file': 'INTEGER', 'line': 'BIGINT'}, "
                f"{Dialect().options(0)}, max_line_size = {_OBJECT_LIMIT}, "
                f"buffer_size = {2 * _OBJECT_LIMIT}) AS r"
            )

    def _mixed(self, index: int) -> bool:
        with open_bytes(self.table.files[index].local, self.compression) as source:
            prefix = bytes(source.read(65536))
        feeds, both, returns = prefix.count(b"\n"), prefix.count(b"\r\n"), prefix.count(b"\r")
        cut = prefix.endswith(b"\r")
        return 0 < both < feeds or (returns - both - cut > 0 and feeds > 0)

    def _fast(self, indexes: list[int]) -> list[int]:
        """Read files with DuckDB; those in which it met trouble, to be read carefully."""
        tables = self.table.rejects
        for name in tables:
            self.table.con.execute(f"DROP TABLE IF EXISTS {quote(name)}")
        files = self._files([self.table.files[i].local for i in indexes])
        dialect = Dialect(_NEVER, "", "", False, compression=self.compression)
        path = self._target()
        try:
            self.table.con.execute(
                f"COPY (SELECT r.text, {self._index(indexes)} AS file, "
                f"CAST(NULL AS BIGINT) AS line FROM read_csv({files}, "
                f"columns = {{'text': 'VARCHAR'}}, {dialect.options(0)}, "
                f"max_line_size = {LIMIT}, store_rejects = true, rejects_limit = 0, "
                f"rejects_table = {literal(tables[0])}, rejects_scan = {literal(tables[1])}"
                f") AS r) TO {literal(path)} ({OPTIONS})"
            )
        except duckdb.InvalidInputException:
            return indexes
        met = self.table.con.execute(f"SELECT DISTINCT file_id FROM {quote(tables[0])}").fetchall()
        for name in tables:
            self.table.con.execute(f"DROP TABLE IF EXISTS {quote(name)}")
        dirty = {indexes[file_id] for (file_id,) in met}
        if not dirty:
            self._number(path, indexes)
        elif len(dirty) < len(indexes):
            # Rare: read the clean ones again, by themselves.
            dirty |= set(self._fast([i for i in indexes if i not in dirty]))
        return sorted(dirty)

    def _number(self, path: str, indexes: Sequence[int]) -> None:
        """Give each row of a spool of lines its line."""
        found = self.table.con.execute(
            f"SELECT file, min(file_row_number) FROM read_parquet({literal(path)}) GROUP BY file"
        ).fetchall()
        firsts = [0] * len(self.table.files)
        for file, first in found:
            firsts[file] = first
        base = self.table.at(f"first{len(self.paths)}", firsts, "BIGINT", "s.file")
        # A view of the spool is enough: the numbers cost nothing until they are asked for.
        self.paths.append(
            f"SELECT s.text, s.file, s.file_row_number - {base} + 1 AS line "
            f"FROM read_parquet({literal(path)}) AS s WHERE s.text IS NOT NULL"
        )

    def add_documents(self, indexes: Sequence[int], shape: str) -> list[tuple[int, str]]:
        """Take each element of arrays, or each document of files with several, as a text.

        Args:
            shape: `array` or `unstructured`.

        Returns:
            The files that are malformed, and how.
        """
        if not indexes:
            return []
        try:
            self._documents(indexes, shape)
        except duckdb.InvalidInputException as error:
            if len(indexes) == 1:
                return [(indexes[0], str(error).split("\n", 1)[0])]
            # Somewhere among them: halving finds the bad ones in few steps.
            half = len(indexes) // 2
            return [
                *self.add_documents(indexes[:half], shape),
                *self.add_documents(indexes[half:], shape),
            ]
        return []

    def _documents(self, indexes: Sequence[int], shape: str) -> None:
        more = f", compression = {literal(self.compression)}" if self.compression else ""
        path = self._target()
        self.table.con.execute(
            f"COPY (SELECT CAST(r.json AS VARCHAR) AS text, {self._index(indexes)} AS file FROM "
            f"read_json_objects({self._files([self.table.files[i].local for i in indexes])}, "
            f"format = {literal(shape)}, maximum_object_size = {_OBJECT_LIMIT}{more}) AS r) "
            f"TO {literal(path)} ({OPTIONS})"
        )
        self._number(path, indexes)

    def _copy(self, source: str) -> None:
        path = self._target()
        self.table.con.execute(f"COPY ({source}) TO {literal(path)} ({OPTIONS})")
        self.paths.append(
            f"SELECT text, file, line FROM read_parquet({literal(path)}) WHERE text IS NOT NULL"
        )

    def _target(self) -> str:
        number = len(list(self.scratch.glob(f"{self.table.name}_texts*")))
        return str(self.scratch / f"{self.table.name}_texts{number}.parquet")

    def _files(self, paths: Sequence[str]) -> str:
        return self.table.variable("read", paths, "VARCHAR")

    def _index(self, indexes: Sequence[int]) -> str:
        return self.table.at("index", indexes, "INTEGER", "r.file_index")

    def raw(self, index: int) -> str:
        """The beginning of a file, for a document that could not be parsed."""
        with open_bytes(self.table.files[index].local, self.compression) as source:
            data = bytes(source.read(RAW_LIMIT + 1))
        text = data[:RAW_LIMIT].decode(errors="backslashreplace")
        return text + " [truncated]" if len(data) > RAW_LIMIT else text
