"""Whether DuckDB reads a CSV file as Python's `csv` does; told by a look at all of its bytes.

DuckDB 2.0 takes spaces around quotes away, ends a line at a CR that stands alone, cuts off what
follows a comment's character, and stops at line ends of two kinds. Looking for these bytes takes a
small part of the time that reading takes. What looks like trouble and is none costs only speed:
the file is read with care.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import BOM, CHUNK, CR, LF, chunks_of, open_bytes
from qanat.frozen import Frozen

_BLANK = re.compile(rb"\n\r?\n")


class Look(Frozen):
    """What the bytes of a file tell.

    Args:
        quotes: True if it has any.
        end: how its lines end, as `new_line` of `read_csv` has it.
        spans: True if a value may go on over lines. Threads of DuckDB 2.0 that begin in the middle
            of such a value take its lines for rows, so that one has to read the whole file.
        even: True if it is known that every line is a row.
        trusted: True if DuckDB reads it as `csv` does, or says that it cannot.
        underscores: True if a row may have some.
    """

    quotes: bool
    end: str
    spans: bool
    even: bool
    trusted: bool
    underscores: bool = True


def look(local: str, dialect: Dialect, skip: int = 0, lines: bool = True) -> Look:
    """Look at a file.

    Args:
        local: its path.
        dialect: how it is written.
        skip: the number of lines before the first row; names of columns often have underscores.
        lines: whether to find out if every line is a row, for half as much again.

    Raises:
        OSError, EOFError: it cannot be opened or decompressed.
    """
    with open_bytes(local, dialect.compression) as source:
        marks = _Marks(dialect, skip, lines)
        for chunk in chunks_of(source):
            marks.add(chunk)
    marks.quotes.finish()
    returns = marks.both > 0
    trusted = not marks.alone and not marks.comments
    if trusted and marks.doubtful:
        with open_bytes(local, dialect.compression) as source:
            chunks = chunks_of(source)
            found = line_ends(chunks, dialect, returns) if marks.quotes.any else None
        trusted, returns = found is not None, found == CR + LF
    return Look(
        quotes=marks.quotes.any,
        end="\\r\\n" if returns else "\\n",
        spans=marks.quotes.spans,
        even=lines and not (marks.quotes.spans or marks.skips),
        trusted=trusted,
        underscores=marks.underscores,
    )


class _Marks:
    """Counts of the bytes that may mean trouble, piece by piece.

    Bytes are looked for one by one: for two in a row, Python takes 40 times as long.
    """

    def __init__(self, dialect: Dialect, skip: int, lines: bool) -> None:
        self.quotes = _Quotes(dialect)
        self._comment = dialect.comment.encode()
        self._skip, self._lines = skip, lines
        self._before = LF  # the last two bytes
        self._returns = self._feeds = self.both = 0
        self._bare = False
        """True if a piece without any CR has a line end."""
        self.comments = False
        """True if a comment's character stands elsewhere than at the start of a line."""
        self.skips = False
        """True if a line is blank or a comment; blank lines are looked for only if it matters."""
        self.underscores = False

    def add(self, chunk: bytes) -> None:
        last = self._before[-1:]
        if CR in chunk or last == CR:
            self._returns += chunk.count(CR)
            self._feeds += chunk.count(LF)
            self.both += chunk.count(CR + LF) + (last == CR and chunk.startswith(LF))
        elif LF in chunk:
            self._bare = True
        self.quotes.add(chunk)
        mark = self._comment
        if mark and mark in chunk:
            starts = chunk.count(LF + mark) + (last == LF and chunk.startswith(mark))
            self.comments |= chunk.count(mark) != starts
            self.skips = True
        if not self.underscores:
            rows = chunk.split(LF, self._skip)[-1] if self._skip else chunk
            self.underscores = b"_" in rows
            self._skip = 0
        seam = self._before + chunk[:2]
        if self._lines and not self.skips:
            self.skips = any(_BLANK.search(part) for part in (seam, chunk))
        self._before = seam[-2:] if len(chunk) < 2 else chunk[-2:]

    @property
    def alone(self) -> bool:
        """True if a CR stands alone, be it in quotes or not."""
        return self._returns != self.both

    @property
    def doubtful(self) -> bool:
        """True if only the place of the quotes can tell."""
        mixed = self.both > 0 and (self._bare or self.both < self._feeds)
        return mixed or self.quotes.spaces


class _Quotes:
    """What the quotes of a file tell, piece by piece.

    Where there are few, each is seen to stand around a field that ends on its line. From a piece
    on that has many, or one for which this is not so, it is only looked for spaces beside quotes
    and for lines with an odd number of them.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._quote = dialect.quote.encode()
        self._others = bytes(set(range(256)) - set(self._quote + LF))
        self._field = _quoted_field(dialect)
        self._rest = LF  # what is behind the last line end, with the byte before it
        self._last = b""
        self._inside = False
        self.any = False
        self.spaces = False
        """True if there may be a space beside a quote that does not belong to a value."""
        self.spans = False
        """True if a line has an odd number of quotes."""

    def add(self, chunk: bytes) -> None:
        if not self._quote:
            return
        if self._field is None:
            self._count(chunk)
        elif self._quote not in chunk and self._quote not in self._rest:
            self._rest = chunk[-1:]
        else:
            begin, end = chunk.find(LF) + 1, chunk.rfind(LF) + 1
            line, last = self._rest + chunk[:begin], chunk[end - 1 :]
            if begin == 0:
                line, last = b"", self._rest + chunk
            around = self._around(line, 0, len(line)) and self._around(chunk, begin, end)
            if around and len(last) <= CHUNK:
                self.any, self._rest = True, last
            else:
                self._field = None
                self._count(self._rest + chunk)

    def finish(self) -> None:
        """Look at the last line, too."""
        if self._field is not None and self._quote and self._quote in self._rest:
            line = self._rest + LF
            self.any = True
            if not self._around(line, 0, len(line)):
                self._count(self._rest)

    def _around(self, lines: bytes, begin: int, end: int) -> bool:
        """True if there are few quotes, and each stands around a field, or is doubled."""
        found = self._field.findall(lines, begin, end) if self._field else [self._quote]
        return self._quote not in found and len(found) <= _FEW + (end - begin) // _APART

    def _count(self, chunk: bytes) -> None:
        quote, last = self._quote, self._last
        self._last = chunk[-1:]
        self.spaces |= last == quote and chunk.startswith(b" ")
        if quote not in chunk:
            self.spans |= self._inside and LF in chunk
            return
        self.any = True
        self.spaces |= last == b" " and chunk.startswith(quote)
        self.spaces = self.spaces or b" " + quote in chunk or quote + b" " in chunk
        if self.spans:
            return
        # Only quotes and line ends are left; of an even number of quotes, none.
        left = quote * self._inside + chunk.translate(None, self._others)
        lines, _, line = left.rpartition(LF)
        self.spans = quote in lines.replace(quote + quote, b"")
        self._inside = line.count(quote) % 2 == 1


_FEW, _APART = 100, 64
"""So many fields in quotes are few: these, and one more for so many bytes."""


def _quoted_field(dialect: Dialect) -> re.Pattern[bytes] | None:
    """A pattern of a field in quotes, on one line, or of a part of it up to a doubled quote.

    Of any other quote it matches only this byte. That it begins with it makes it quick. None if
    there may be other fields in quotes.
    """
    quote, delimiter = dialect.quote.encode(), dialect.delimiter.encode()
    if not quote or len(delimiter) > 1 or dialect.escape not in ("", dialect.quote):
        return None
    q, d = re.escape(quote), re.escape(delimiter)
    pattern = rb"%b(?:(?<=[%b\n%b]%b)[^%b\n]*%b(?=[%b\r\n%b]))?" % (q, d, q, q, q, q, d, q)
    return re.compile(pattern)


def _placed(parts: Sequence[bytes], inside: bool, behind: bool, delimiter: bytes) -> bool:
    """True if all quotes that end a part stand around fields, or are doubled.

    Args:
        parts: what stands between quotes; the last may go on.
        inside: whether the first part is in quotes; the others are in turns.
        behind: whether the first part is behind a quote.
    """
    outside = [part for part in parts[inside:-1:2] if part]
    starts = outside if behind or inside or not parts[0] else outside[1:]
    ends = (delimiter, LF)
    return all(part.endswith(ends) for part in outside) and all(
        part.startswith((*ends, CR + LF)) for part in starts
    )


def _closed(part: bytes, inside: bool, delimiter: bytes) -> bool:
    """True if a file may end with this part behind its last quote."""
    return not inside and (not part or part.startswith((delimiter, LF, CR + LF)))


def _ends(part: bytes) -> bytes:
    """A part cut down to what tells how it begins and ends: a delimiter has up to four bytes."""
    return part if len(part) <= 8 else part[:4] + part[-4:]


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
    inside = behind = False
    feeds = both = 0
    rest = b""
    for chunk in chain([next(chunks, b"").removeprefix(BOM)], chunks):
        parts = chunk.split(quote)
        if returns:
            # No CR stands alone.
            feeds += sum(part.count(LF) for part in parts[inside::2])
            both += sum(part.count(CR) for part in parts[inside::2])
        parts[0] = rest + parts[0]
        if not _placed(parts, inside, behind, delimiter):
            return None
        rest = _ends(parts[-1])
        behind |= len(parts) > 1
        inside ^= len(parts) % 2 == 0
    if not _closed(rest, inside, delimiter) or both not in (0, feeds):
        return None
    return CR + LF if both else LF
