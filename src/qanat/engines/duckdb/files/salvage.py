"""Normalised copies of text files that DuckDB would not read as the careful reader does."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, TextIO

from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import (
    LF,
    LIMIT,
    Record,
    RecordReader,
    chunks_of,
    line_end,
    open_bytes,
    readable,
    split_lines,
)
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.frozen import Frozen
from qanat.text import literal

SMALL = 16 * 1024
"""Bytes of a file that is cheaper to copy together with others than to have DuckDB open it …"""

MANY = 200
"""… when there are so many of them."""


class Manner(Frozen):
    """How one file is written.

    Args:
        end: see `records.line_end`; None to look.
        header: the line on which the header begins; 0 if there is none.
    """

    dialect: Dialect
    end: bytes | None = None
    header: int = 0


class Salvage:
    """Writes normalised copies (`,`, `"`, LF, UTF-8, with file and line as last columns) of files.

    In a copy, NULL is an empty field without quotes, and the empty text one with quotes.

    Args:
        dialect: how the originals are written, apart from those that `manners` has.
        manners: by file.
    """

    def __init__(
        self, table: FileTable, scratch: Path, dialect: Dialect,
        manners: Mapping[int, Manner] | None = None,
    ) -> None:  # fmt: skip
        self._table, self._scratch = table, scratch
        self._other, self._manners = Manner(dialect), manners or {}
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
        manner = self._manners.get(index, self._other)
        dialect = manner.dialect
        # Bytes can go as they are where the dialects agree and nothing is quoted. Where lines end
        # with CR, a value may have LF in it.
        same = dialect.delimiter == "," and dialect.nulls == ("",) and manner.end == LF
        good = 0
        with closing(_records(file.local, manner, width)) as records:
            for record in records:
                if record.line <= manner.header:
                    continue
                if record.fields is None:
                    self.malformed(index, record.line, record.raw, record.error)
                    continue
                good += 1
                raw = record.raw
                if len(raw) > self.longest:
                    self.longest = len(raw)
                if record.plain and same and b'"' not in raw and b"\r" not in raw:
                    out.write(b"%b,%d,%d\n" % (raw, index, record.line))
                else:
                    out.write(copied(record, dialect, index, record.line))
        return good

    def malformed(self, index: int, row: int, raw: bytes, error: str) -> None:
        """Put a malformed record aside.

        Args:
            index: of its file in the batch.
            row: its 1-based place in the file.
            raw: its bytes, at most `RAW_LIMIT`.
            error: what is wrong with it.
        """
        if self._bad is None:
            path = self._scratch / f"{self._table.name}_malformed.csv"
            self._bad = self._open.enter_context(path.open("w", encoding="utf-8", newline=""))
        self._bad.write(f"{index},{row},{quoted(readable(raw))},{quoted(error)}\n")

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


def lines_of(
    local: str, manner: Manner, width: int, first: int, numbers: Iterable[int]
) -> dict[int, int]:
    """The lines on which rows of a file begin, by their numbers, if none of the rows is malformed.

    Args:
        width: how many columns a row has.
        first: the number of the first row, and the first line that may be one.

    Raises:
        OSError, EOFError: the file cannot be read.
    """
    wanted, found = set(numbers), dict[int, int]()
    with closing(_records(local, manner, width)) as records:
        rows = (r for r in records if r.line >= first)
        for number, row in zip(range(first, max(wanted, default=0) + 1), rows, strict=False):
            if number in wanted:
                found[number] = row.line
    return found


def _records(local: str, manner: Manner, width: int) -> Generator[Record, None, None]:
    dialect, end = manner.dialect, manner.end
    if end is None:
        end = line_end(local, dialect.compression, dialect.quote.encode())
    with open_bytes(local, dialect.compression) as source:
        yield from RecordReader(dialect, width, end).read(split_lines(chunks_of(source), end))


def _fields(record: Record, dialect: Dialect) -> Sequence[bytes | None]:
    if record.fields is None or not record.plain:
        return record.fields or ()
    nulls = {n.encode() for n in dialect.nulls}
    fields = record.raw.split(dialect.delimiter.encode())
    return [None if f in nulls else f for f in fields]


def copied(record: Record, dialect: Dialect, index: int, line: int) -> bytes:
    """A good record as a line of a normalised copy."""
    cells = ",".join(map(_cell, _fields(record, dialect)))
    return f"{cells},{index},{line}\n".encode()


def quoted(text: str) -> str:
    """A field of a normalised copy that is not NULL."""
    return '"' + text.replace('"', '""') + '"'


def _cell(field: bytes | None) -> str:
    return "" if field is None else quoted(field.decode())
