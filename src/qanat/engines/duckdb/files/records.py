"""A CSV reader that loses nothing: every byte ends up in a record or in a malformed one.

DuckDB's reader is many times faster, but after a lone quote it may skip lines without a trace,
and it gives up on files with mixed line ends. Files in which it met any trouble are read here:
record by record, in bounded memory, each with the line on which it begins. After a quote that
is never closed only the line with the quote is malformed; reading goes on with the next line.
The good records are written to a clean file, and the malformed apart.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple, TextIO

from qanat.compression import open_plain
from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.text import literal

LIMIT = 16 * 1024 * 1024
"""Longest record in bytes; a longer one is malformed."""

RAW_LIMIT = 1024 * 1024
"""How much of a malformed record is kept, in bytes."""

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20


class Record(NamedTuple):
    """One record of a file (a tuple, because there are millions).

    Args:
        line: 1-based line on which it begins.
        fields: the values as UTF-8; None when it is malformed.
        raw: its bytes, without the line end (malformed: at most `RAW_LIMIT`).
        error: what is wrong with it; empty when nothing is.
        plain: `raw` is nothing but the fields with delimiters between; `fields` is left out.
    """

    line: int
    fields: tuple[bytes, ...] | None
    raw: bytes
    error: str = ""
    plain: bool = False


def open_bytes(local: str, compression: str | None) -> IO[bytes]:
    """Open a file for reading, decompressed (by option, else by its name's ending).

    Raises:
        OSError, EOFError: it cannot be opened, or what is read of it is damaged.
    """
    packed = _packing(local, compression)
    if packed is None:
        return open(local, "rb")  # noqa: PTH123 - ten thousand Path objects cost half a second
    return open_plain(local, packed)


def _packing(local: str, compression: str | None) -> str | None:
    ending = local[local.rfind(".") + 1 :].lower()
    return compression or {"gz": "gzip", "zst": "zstd"}.get(ending)


def may_have_long_lines(local: str, compression: str | None, size: int) -> bool:
    """True if a file may have a line longer than `LIMIT`, told by a look into it here and there.

    Of a packed file that would take a whole reading; it may.

    Args:
        size: of the file, in bytes.
    """
    if _packing(local, compression) is not None:
        return True
    if size <= LIMIT:
        return False
    step = LIMIT // 2
    with open_bytes(local, None) as source:
        # Any stretch of twice the length covers one of these whole.
        starts = range(0, size - step + 1, step)
        return not all(_has_line_end(source, at, at + step) for at in starts)


def _has_line_end(source: IO[bytes], start: int, end: int) -> bool:
    source.seek(start)
    while start < end:
        piece = source.read(min(_CHUNK, end - start))
        if not piece or b"\n" in piece or b"\r" in piece:
            return True
        start += len(piece)
    return False


def lines(source: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; see `split_lines`."""
    return split_lines(iter(lambda: bytes(source.read(_CHUNK)), b""))


def split_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of some data, without ends or byte order mark.

    A line ends with LF or CR LF; with CR in a file whose first MiB has no LF. What goes beyond
    `LIMIT` is cut off, one byte later: such a line is malformed to every reader here.
    """
    first = next(chunks, b"").removeprefix(_BOM)
    end = b"\r" if b"\n" not in first and b"\r" in first else b"\n"
    rest: list[bytes] = []
    held = 0
    chunk: bytes | None = first
    while chunk is not None:
        *whole, tail = chunk.split(end)
        for piece in whole:
            if rest:
                piece = b"".join((*rest, piece))[: LIMIT + 1]
                rest, held = [], 0
            yield piece.removesuffix(b"\r")
        if held <= LIMIT:
            rest.append(tail)
            held += len(tail)
        chunk = next(chunks, None)
    last = b"".join(rest)[: LIMIT + 1]
    if last:
        yield last.removesuffix(b"\r")


class RecordReader:
    """Splits lines into records of a dialect.

    Args:
        width: how many fields a good record has; None to take what comes.
    """

    def __init__(self, dialect: Dialect, width: int | None) -> None:
        self._delimiter = dialect.delimiter.encode()
        self._quote = dialect.quote.encode()
        self._escape = dialect.escape.encode()
        self._comment = dialect.comment.encode()
        self._skip = dialect.skip
        self._width = width
        self._body = self._inside() if self._quote else None

    def _inside(self) -> re.Pattern[bytes]:
        quote, escape = re.escape(self._quote), re.escape(self._escape)
        if self._escape in (b"", self._quote):
            return re.compile(rb"(?:[^" + quote + rb"]++|" + quote * 2 + rb")*+", re.S)
        return re.compile(rb"(?:[^" + quote + escape + rb"]++|" + escape + rb".)*+", re.S)

    def read(self, source: Iterator[bytes]) -> Iterator[Record]:
        """The records; blank lines are left out, except where a record has one field."""
        ahead: deque[bytes] = deque()
        number = 0
        commas = -1 if self._width is None else self._width - 1
        while True:
            if ahead:
                text = ahead.popleft()
            else:
                following = next(source, None)
                if following is None:
                    return
                text = following
            number += 1
            if number <= self._skip or (not text and self._width != 1):
                continue
            if self._comment and text.startswith(self._comment):
                continue
            if (
                text.count(self._delimiter) == commas
                and text.isascii()
                and len(text) <= LIMIT
                and not (self._quote and self._quote in text)
            ):
                yield Record(number, (), text, "", True)
                continue
            fields, used, error = self._parse(text, ahead, source)
            if used and fields is not None:
                # The record took lines that were looked at ahead.
                taken = [ahead.popleft() for _ in range(used)]
                raw = b"\n".join((text, *taken))
            else:
                used, raw = 0, text
            yield self._judge(number, fields, raw, error)
            number += used

    def _parse(
        self, text: bytes, ahead: deque[bytes], source: Iterator[bytes]
    ) -> tuple[tuple[bytes, ...] | None, int, str]:
        """Fields (None if malformed), how many lines of `ahead` they took, and the error."""
        if self._body is None or self._quote not in text:
            return tuple(text.split(self._delimiter)), 0, ""
        fields: list[bytes] = []
        used, at = 0, 0
        while True:
            if not text.startswith(self._quote, at):
                end = text.find(self._delimiter, at)
                fields.append(text[at:] if end < 0 else text[at:end])
                if end < 0:
                    return tuple(fields), used, ""
                at = end + len(self._delimiter)
                continue
            start = scan = at + 1
            while True:
                found = self._body.match(text, scan)
                scan = found.end() if found else scan
                if text.startswith(self._quote, scan):
                    break
                # The quote is still open: the value goes on, up to a line that has a quote.
                longer = self._up_to_quote(text, ahead, used, source)
                if longer is None:
                    return None, 0, "a quote is opened and never closed"
                text, used = longer
            fields.append(self._plain(text[start:scan]))
            at = scan + 1
            if at == len(text):
                return tuple(fields), used, ""
            if not text.startswith(self._delimiter, at):
                return None, 0, "text follows a closing quote"
            at += len(self._delimiter)

    def _up_to_quote(
        self, text: bytes, ahead: deque[bytes], used: int, source: Iterator[bytes]
    ) -> tuple[bytes, int] | None:
        """The text with the lines that follow, to the first that has a quote; None if none has."""
        pieces, size = [text], len(text)
        while size <= LIMIT and self._look(ahead, used, source):
            pieces.append(ahead[used])
            size += len(pieces[-1]) + 1
            used += 1
            if self._quote in pieces[-1]:
                return b"\n".join(pieces), used
        return None

    def _look(self, ahead: deque[bytes], used: int, source: Iterator[bytes]) -> bool:
        if used < len(ahead):
            return True
        following = next(source, None)
        if following is None:
            return False
        ahead.append(following)
        return True

    def _plain(self, body: bytes) -> bytes:
        if self._escape in (b"", self._quote):
            return body.replace(self._quote * 2, self._quote)
        return re.sub(re.escape(self._escape) + rb"(.)", rb"\1", body, flags=re.S)

    def _judge(
        self, line: int, fields: tuple[bytes, ...] | None, raw: bytes, error: str
    ) -> Record:
        if len(raw) > LIMIT:
            fields, error = None, f"longer than {LIMIT} bytes"
        elif fields is not None and self._width is not None and len(fields) != self._width:
            error = f"expected {self._width} columns, found {len(fields)}"
            fields = None
        if fields is not None and not raw.isascii():
            try:
                raw.decode()
            except UnicodeDecodeError as problem:
                fields, error = None, f"not UTF-8: {problem.reason} at byte {problem.start + 1}"
        return Record(line, fields, raw if fields is not None else shorten(raw), error)


def shorten(raw: bytes) -> bytes:
    """At most `RAW_LIMIT` bytes, with a note when there were more."""
    if len(raw) <= RAW_LIMIT:
        return raw
    return raw[:RAW_LIMIT] + b" [truncated]"


def readable(raw: bytes) -> str:
    r"""Bytes as text that any reader takes: what is not UTF-8 is written as `\xff`.

    >>> readable(b"caf\xe9")
    'caf\\xe9'
    """
    return raw.decode(errors="backslashreplace")


def quoted(field: str) -> str:
    """A field of the normalised copy (`,` and `"`); an empty one stays bare, it is no value."""
    return '"' + field.replace('"', '""') + '"' if field else ""


def text_of(lines_: Iterator[bytes], most: int = 65536) -> str:
    """The first lines as one text, to look at how a file is written."""
    out = io.StringIO()
    for line in lines_:
        out.write(readable(line) + "\n")
        if out.tell() > most:
            break
    return out.getvalue()


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
            for record in reader.read(lines(source)):
                if header:
                    header = False
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
                    fields = raw.split(delimiter) if record.plain else record.fields
                    cells = ",".join(quoted(f.decode()) for f in fields)
                    out.write(f"{cells},{index},{record.line}\n".encode())
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
