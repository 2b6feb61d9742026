"""Rewrite a file that DuckDB stumbled over: its good records, clean, and the malformed apart."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

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


class Salvage:
    """Writes normalised copies (`,`, `"`, LF, UTF-8, the line as last column) of files.

    Args:
        dialect: how the originals are written.
    """

    def __init__(self, table: FileTable, scratch: Path, dialect: Dialect) -> None:
        self._table, self._scratch, self._dialect = table, scratch, dialect
        self._bad: TextIO | None = None
        self._open = ExitStack()
        self.longest = 0

    def rewrite(self, index: int, width: int) -> str | None:
        """Copy the good records of a file; None if it has none.

        Args:
            index: of the file in the batch.
            width: how many columns a record has.
        """
        file = self._table.files[index]
        target = self._scratch / f"{self._table.name}_copy{index}.csv"
        # Bytes can go as they are where the dialects agree and nothing is quoted.
        same = self._dialect.delimiter == ","
        mark = (self._dialect.quote or '"').encode()
        header = self._dialect.header
        good = 0
        with (
            open_bytes(file.local, self._dialect.compression) as source,
            target.open("wb", buffering=1 << 20) as out,
        ):
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
                self.longest = max(self.longest, len(raw))
                if same and mark not in raw and b'"' not in raw and b"\r" not in raw:
                    out.write(b"%b,%d\n" % (raw, record.line))
                else:
                    cells = ",".join(quoted(f.decode()) for f in record.fields)
                    out.write(f"{cells},{record.line}\n".encode())
        return str(target) if good else None

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
