"""Whether DuckDB reads a CSV file as Python's `csv` does; told by a look at all of its bytes.

DuckDB 2.0 takes spaces around quotes away, ends a line at a CR that stands alone, cuts off what
follows a comment's character, and stops at line ends of two kinds. Looking for these bytes takes a
small part of the time that reading takes. What looks like trouble and is none costs only speed:
the file is read with care.
"""

from __future__ import annotations

from collections.abc import Iterator

from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import BOM, CR, LF, chunks_of, open_bytes
from qanat.frozen import Frozen


class Look(Frozen):
    """What the bytes of a file tell.

    Args:
        quotes: True if it has any.
        end: how its lines end, as `new_line` of `read_csv` has it.
        spans: True if a value may go on over lines. Threads of DuckDB 2.0 that begin in the middle
            of such a value take its lines for rows, so that one has to read the whole file.
        even: True if every line is a row.
        trusted: True if DuckDB reads it as `csv` does, or says that it cannot.
    """

    quotes: bool
    end: str
    spans: bool
    even: bool
    trusted: bool


def look(local: str, dialect: Dialect) -> Look:
    """Look at a file.

    Raises:
        OSError, EOFError: it cannot be opened or decompressed.
    """
    with open_bytes(local, dialect.compression) as source:
        marks = _Marks(dialect)
        for chunk in chunks_of(source):
            marks.add(chunk)
    returns = marks.both > 0
    trusted = not marks.alone and not marks.comments
    if trusted and marks.doubtful:
        with open_bytes(local, dialect.compression) as source:
            chunks = chunks_of(source)
            found = line_ends(chunks, dialect, returns) if marks.quotes else None
        trusted, returns = found is not None, found == CR + LF
    end = "\\r\\n" if returns else "\\n"
    return Look(marks.quotes, end, marks.spans, not (marks.spans or marks.skips), trusted)


class _Marks:
    """Counts of the bytes that may mean trouble, piece by piece."""

    def __init__(self, dialect: Dialect) -> None:
        self._quote = dialect.quote.encode()
        self._comment = dialect.comment.encode()
        self._last = LF
        self._before = LF  # the last two bytes
        self._returns = self._feeds = self.both = 0
        self._spaces = False
        self._line = b""
        self._others = bytes(set(range(256)) - set(self._quote + LF))
        self.quotes = False
        self.spans = False
        """True if a line has an odd number of quotes."""
        self.comments = False
        """True if a comment's character stands elsewhere than at the start of a line."""
        self.skips = False
        """True if a line is blank or a comment."""

    def add(self, chunk: bytes) -> None:
        if CR in chunk or self._last == CR:
            self._returns += chunk.count(CR)
            self.both += chunk.count(CR + LF) + (self._last == CR and chunk.startswith(LF))
        self._feeds += chunk.count(LF)
        quote = self._quote
        if quote and quote in chunk:
            self.quotes = True
            ends = self._last == b" " and chunk.startswith(quote)
            begins = self._last == quote and chunk.startswith(b" ")
            self._spaces |= ends or begins or b" " + quote in chunk or quote + b" " in chunk
        elif quote and self._last == quote and chunk.startswith(b" "):
            self._spaces = True
        if self.quotes and not self.spans:
            # Only quotes and line ends are left; of an even number of quotes, none.
            left = self._line + chunk.translate(None, self._others)
            lines, _, self._line = left.rpartition(LF)
            self.spans = quote in lines.replace(quote + quote, b"")
        mark = self._comment
        if mark and mark in chunk:
            starts = chunk.count(LF + mark) + (self._last == LF and chunk.startswith(mark))
            self.comments |= chunk.count(mark) != starts
            self.skips = True
        seam = self._before + chunk[:2]
        self.skips = self.skips or any(LF + end in part for end in (LF, CR + LF)
                                       for part in (seam, chunk))  # fmt: skip
        self._before = seam[-2:] if len(chunk) < 2 else chunk[-2:]
        self._last = chunk[-1:]

    @property
    def alone(self) -> bool:
        """True if a CR stands alone, be it in quotes or not."""
        return self._returns != self.both

    @property
    def doubtful(self) -> bool:
        """True if only the place of the quotes can tell."""
        return self._spaces or 0 < self.both < self._feeds


def line_ends(chunks: Iterator[bytes], dialect: Dialect, returns: bool = True) -> bytes | None:
    r"""How the lines end, outside quotes; None if not all alike, or if quotes stand elsewhere.

    Quotes belong around fields, or are doubled.

    Args:
        chunks: of the file.
        dialect: how it is written.
        returns: False if there is no CR: then all lines end alike, and none need be counted.

    >>> [line_ends(iter([text]), Dialect()) for text in (b'1,"a ""b"" "', b'1, "a"')]
    [b'\n', None]
    """
    if dialect.escape not in ("", dialect.quote):
        return None
    quote, delimiter = dialect.quote.encode(), dialect.delimiter.encode()
    begins = (delimiter, LF, CR + LF)
    ends = (delimiter, LF)
    inside, behind = False, False
    feeds = both = 0
    rest = next(chunks, b"").removeprefix(BOM)
    chunk: bytes | None = b""
    while chunk is not None:
        *segments, rest = (rest + chunk).split(quote)
        for segment in segments:
            if not inside and segment:
                if (behind and not segment.startswith(begins)) or not segment.endswith(ends):
                    return None
                if returns:
                    feeds, both = feeds + segment.count(LF), both + segment.count(CR + LF)
            inside, behind = not inside, True
        chunk = next(chunks, None)
    feeds, both = feeds + rest.count(LF), both + rest.count(CR + LF)
    if inside or (rest and not rest.startswith(begins)) or both not in (0, feeds):
        return None
    return CR + LF if both else LF
