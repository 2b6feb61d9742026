"""A CSV reader that loses nothing: every byte ends up in a record or in a malformed one.

It reads as Python's `csv` does (with `strict=True`), record by record, in bounded memory, and
tells the line on which each begins. Where `csv` would stop, only the line is malformed: after a
quote that is never closed, or text behind a closing quote, reading goes on with the next line.
DuckDB's reader is many times faster, but not for every file the same (see `trust`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import IO, NamedTuple

from qanat.compression import open_plain
from qanat.engines.duckdb.files.dialect import Dialect

LIMIT = 16 * 1024 * 1024
"""Longest record in bytes; a longer one is malformed."""

RAW_LIMIT = 1024 * 1024
"""How much of a malformed record is kept, in bytes."""

NOT_UTF_8 = "not UTF-8"
"""How the error begins of a record whose text cannot be kept as it is."""

CHUNK = 1 << 20
CR, LF = b"\r", b"\n"
BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """One record of a file (a tuple, because there are millions).

    Args:
        line: 1-based line on which it begins.
        fields: the values as UTF-8, each None for NULL; None when it is malformed.
        raw: its bytes, without the line end (malformed: at most `RAW_LIMIT`).
        error: what is wrong with it; empty when nothing is.
        plain: `raw` is nothing but the fields with delimiters between; `fields` is left out.
    """

    line: int
    fields: tuple[bytes | None, ...] | None
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
        piece = source.read(min(CHUNK, end - start))
        if not piece or b"\n" in piece or b"\r" in piece:
            return True
        start += len(piece)
    return False


def lines(local: str, compression: str | None) -> Generator[bytes, None, None]:
    """The lines of a file without their ends, where no line end stands in quotes.

    Raises:
        OSError, EOFError: as for `open_bytes`.
    """
    end = line_end(local, compression)
    with open_bytes(local, compression) as source:
        for line in split_lines(chunks_of(source), end):
            yield line.removesuffix(CR)


def chunks_of(source: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, a MiB at a time."""
    return iter(lambda: bytes(source.read(CHUNK)), b"")


def line_end(local: str, compression: str | None, quote: bytes = b"") -> bytes:
    """How the lines of a file end: with CR alone (old Macs), or with LF, before which may be a CR.

    Args:
        quote: the character around values, in which a line end says nothing; may be empty.

    Raises:
        OSError, EOFError: as for `open_bytes`.
    """
    with open_bytes(local, compression) as source:
        return first_end(chunks_of(source), quote) or LF


def first_end(chunks: Iterable[bytes], quote: bytes) -> bytes | None:
    r"""The first LF outside quotes, or else CR if one is there; None if neither is.

    A quote that is never closed does not count. No more is read than is needed: of most files
    that is the first line.

    >>> [first_end([text], b'"') for text in (b'a\rb\n', b'"\n"\r1', b'a"\n', b'"\n"')]
    [b'\n', b'\r', b'\n', None]
    """
    inside = False
    found: bytes | None = None
    behind: bytes | None = None  # what stands behind the last quote
    for chunk in chunks:
        for number, segment in enumerate(chunk.split(quote) if quote else (chunk,)):
            if number:
                inside, behind = not inside, None
            end = LF if LF in segment else CR if CR in segment else None
            if end == LF and not inside:
                return LF
            if inside:
                behind = LF if LF in (behind, end) else behind or end
            else:
                found = found or end
    return LF if behind == LF else found or behind


def outside_quotes(head: bytes, quote: bytes) -> bytes:
    """The beginning of a file without what stands in quotes."""
    if not quote or quote not in head:
        return head
    mark = re.escape(quote)
    return re.sub(mark + rb"[^" + mark + rb"]*+" + mark, b"", head)


def split_lines(chunks: Iterator[bytes], end: bytes = LF) -> Iterator[bytes]:
    """The lines of some data, without `end` (a CR before it stays) or byte order mark.

    What goes beyond `LIMIT` is cut off, one byte later: such a line is malformed to every reader
    here.
    """
    rest: list[bytes] = []
    held = 0
    chunk: bytes | None = next(chunks, b"").removeprefix(BOM)
    while chunk is not None:
        *whole, tail = chunk.split(end)
        for piece in whole:
            if rest:
                piece = b"".join((*rest, piece))[: LIMIT + 1]
                rest, held = [], 0
            yield piece
        if held <= LIMIT:
            rest.append(tail)
            held += len(tail)
        chunk = next(chunks, None)
    last = b"".join(rest)[: LIMIT + 1]
    if last:
        yield last


class RecordReader:
    """Splits lines into records of a dialect.

    Args:
        width: how many fields a good record has; None to take what comes. As in DuckDB, fields
            beyond it that mean NULL are left out: they hold nothing.
        end: how lines end (see `split_lines`).
    """

    def __init__(self, dialect: Dialect, width: int | None, end: bytes = LF) -> None:
        self._delimiter = dialect.delimiter.encode()
        self._quote = dialect.quote.encode()
        self._escape = dialect.escape.encode()
        self._comment = dialect.comment.encode()
        self._nulls = frozenset(n.encode() for n in dialect.nulls)
        self._skip = dialect.skip
        self._width = width
        self._end = end
        self._body = self._inside()

    def _inside(self) -> re.Pattern[bytes]:
        quote, escape = re.escape(self._quote or b'"'), re.escape(self._escape)
        if self._escape in (b"", self._quote):
            return re.compile(rb"(?:[^" + quote + rb"]++|" + quote * 2 + rb")*+", re.S)
        return re.compile(rb"(?:[^" + quote + escape + rb"]++|" + escape + rb".)*+", re.S)

    def read(self, source: Iterator[bytes]) -> Iterator[Record]:
        """The records; blank lines are left out, except where they mean NULL in an only column."""
        blank = self._width == 1 and b"" in self._nulls
        ahead: deque[bytes] = deque()
        number = 0
        commas = -1 if self._width is None else self._width - 1
        while True:
            if ahead:
                line = ahead.popleft()
            else:
                following = next(source, None)
                if following is None:
                    return
                line = following
            number += 1
            text = line[:-1] if line.endswith(CR) else line
            if number <= self._skip or not (text or blank):
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
            record, taken = self._record(number, _Cursor(line, ahead, source, self._end))
            yield record
            number += taken

    def _record(self, number: int, cursor: _Cursor) -> tuple[Record, int]:
        """One record, good or malformed, and how many more lines it takes."""
        fields: list[bytes] = []
        quoted: set[int] = set()
        taken = 0
        error = "" if cursor.size > LIMIT else self._parse(cursor, fields, quoted)
        if not error:
            taken = cursor.used
            error = self._wrong(fields, quoted, cursor.size)
        # The lines of a record that was not found stay: they are read again, each for itself.
        raw = cursor.take(taken)
        # Names of columns may be anything: what is not UTF-8 in them is written as `\\xff`.
        if not error and self._width is not None and not raw.isascii():
            try:
                raw.decode()
            except UnicodeDecodeError as problem:
                error = f"{NOT_UTF_8}: {problem.reason} at byte {problem.start + 1}"
        if error:
            return Record(number, None, shorten(raw), error), taken
        nulls = self._nulls
        found = (None if n not in quoted and f in nulls else f for n, f in enumerate(fields))
        return Record(number, tuple(found), raw), taken

    def _parse(self, cursor: _Cursor, fields: list[bytes], quoted: set[int]) -> str:
        """Find the fields, from line to line; returns what is wrong."""
        delimiter, quote, at = self._delimiter, self._quote, 0
        if not quote or quote not in cursor.text:
            fields += cursor.text.split(delimiter)
            return ""
        while True:
            text = cursor.text
            if not text.startswith(quote, at):
                end = text.find(delimiter, at)
                fields.append(text[at:] if end < 0 else text[at:end])
                if end < 0:
                    return ""
                at = end + len(delimiter)
                continue
            quoted.add(len(fields))
            body, at = self._value(cursor, at + 1)
            if body is None:
                return "a quote is opened and never closed"
            fields.append(self._plain(body))
            text = cursor.text
            if at == len(text):
                return ""
            if not text.startswith(delimiter, at):
                return "text follows a closing quote"
            at += len(delimiter)

    def _value(self, cursor: _Cursor, at: int) -> tuple[bytes | None, int]:
        """A quoted value, which may go on over lines, and the place behind its closing quote."""
        pieces: list[bytes] = []
        while True:
            # The pattern matches anything, if only nothing.
            end = self._body.match(cursor.text, at).end()  # type: ignore[union-attr]
            if cursor.text.startswith(self._quote, end):
                pieces.append(cursor.text[at:end])
                return b"".join(pieces), end + 1
            pieces.append(cursor.rest(at))
            if not cursor.advance():
                return None, 0
            at = 0

    def _plain(self, body: bytes) -> bytes:
        if self._escape in (b"", self._quote):
            return body.replace(self._quote * 2, self._quote)
        return re.sub(re.escape(self._escape) + rb"(.)", rb"\1", body, flags=re.S)

    def _wrong(self, fields: list[bytes], quoted: set[int], size: int) -> str:
        """What is wrong with a record whose fields were found; NULLs beyond its width go."""
        if size > LIMIT:
            return f"longer than {LIMIT} bytes"
        width = self._width
        if width is None or len(fields) == width:
            return ""
        count = len(fields)
        while len(fields) > width and fields[-1] in self._nulls and len(fields) - 1 not in quoted:
            fields.pop()
        return "" if len(fields) == width else f"expected {width} columns, found {count}"


class _Cursor:
    """A place in a record that may go on over lines, which wait in `ahead` until they are taken.

    Args:
        used: how many lines of `ahead` belong to the record so far.
        text: the line that is looked at, without its end.
        size: bytes of the record so far.
    """

    def __init__(
        self, line: bytes, ahead: deque[bytes], source: Iterator[bytes], end: bytes
    ) -> None:
        self._first, self._ahead, self._source, self._end = line, ahead, source, end
        self.used, self.size = 0, 0
        self._look(line)

    def _look(self, line: bytes) -> None:
        self._cut = CR if line.endswith(CR) else b""
        self.text = line[: len(line) - len(self._cut)]
        self.size += len(line)

    def rest(self, at: int) -> bytes:
        """What is left of the line, with its end."""
        return self.text[at:] + self._cut + self._end

    def advance(self) -> bool:
        """Go on to the next line; False if there is none, or the record has grown too long."""
        if self.size > LIMIT:
            return False
        if self.used == len(self._ahead):
            following = next(self._source, None)
            if following is None:
                return False
            self._ahead.append(following)
        self._look(self._ahead[self.used])
        self.used += 1
        return True

    def take(self, count: int) -> bytes:
        """Take the record's first line and `count` more; their bytes, without the last end."""
        taken = [self._ahead.popleft() for _ in range(count)]
        return self._end.join((self._first, *taken)).removesuffix(CR)


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
