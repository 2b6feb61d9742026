"""Rewrite a file that DuckDB stumbled over: its good records, clean, and the malformed apart."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TextIO

from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import (
    LIMIT,
    RecordReader,
    lines,
    open_bytes,
    quoted,
    readable,
)
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.engines.duckdb.types import literal

SMALL = 16 * 1024
"""Bytes of a file that is cheaper to copy together with others than to have DuckDB open it …"""

MANY = 200
"""… when there are so many of them."""


class Salvage:
    """Writes normalised copies (`,`, `"`, LF, UTF-8, with file and line as last columns) of files.

    Args:
        dialect: how the originals are written.
    """

    def __init__(self, table: FileTable, scratch: Path, dialect: Dialect) -> None:
        self._table, self._scratch, self._dialect = table, scratch, dialect
        self._bad: TextIO | None = None
        self._open = ExitStack()
        self._copies = 0
        self.longest = 0

    def rewrite(self, indexes: Iterable[int], width: int) -> str | None:
        """Copy the good records of some files into one; None if there are none.

        Args:
            indexes: of the files in the batch.
            width: how many columns a record has.
        """
        target = self._scratch / f"{self._table.name}_copy{self._copies}.csv"
        self._copies += 1
        with target.open("wb", buffering=1 << 20) as out:
            good = sum(self._append(index, width, out) for index in indexes)
        return str(target) if good else None

    def _append(self, index: int, width: int, out: IO[bytes]) -> int:
        file = self._table.files[index]
        # Bytes can go as they are where the dialects agree and nothing is quoted.
        same = self._dialect.delimiter == ","
        delimiter = self._dialect.delimiter.encode()
        header = self._dialect.header
        good = 0
        with open_bytes(file.local, self._dialect.compression) as source:
            reader = RecordReader(self._dialect, width)
            for record in reader.read(lines(source, self._dialect.encoding)):
                if header:
                    header = False
                    continue
                if record.fields is None:
                    self._malformed(index, record.line, record.raw, record.error)
                    continue
                good += 1
                raw = record.raw
                if len(raw) > self.longest:
                    self.longest = len(raw)
                if record.plain and same and b'"' not in raw and b"\r" not in raw:
                    out.write(b"%b,%d,%d\n" % (raw, index, record.line))
                else:
                    fields = raw.split(delimiter) if record.plain else record.fields
                    cells = ",".join(quoted(f.decode()) for f in fields)
                    out.write(f"{cells},{index},{record.line}\n".encode())
        return good

    def _malformed(self, index: int, row: int, raw: bytes, error: str) -> None:
        if self._bad is None:
            path = self._scratch / f"{self._table.name}_malformed.csv"
            self._bad = self._open.enter_context(path.open("w", encoding="utf-8", newline=""))
        text = quoted(readable(raw)) or '""'
        self._bad.write(f"{index},{row},{text},{quoted(error)}\n")

    def finish(self) -> list[str]:
        """Close; the Parquet files of malformed records."""
        if self._bad is None:
            return []
        written = self._bad.name
        self._open.close()
        target = str(self._scratch / f"{self._table.name}_malformed.parquet")
        self._table.con.execute(
            f"COPY (SELECT * FROM read_csv({literal(written)}, auto_detect = false, "
            "header = false, delim = ',', quote = '\"', escape = '\"', new_line = '\\n', "
            "columns = {'file': 'INTEGER', 'row': 'BIGINT', 'raw': 'VARCHAR', "
            "'error': 'VARCHAR'}, nullstr = ['\\x00'], "
            f"max_line_size = {4 * LIMIT}, buffer_size = {8 * LIMIT})) "
            f"TO {literal(target)} ({OPTIONS})"
        )
        return [target]
