"""How each CSV file is written (delimiter, quotes, header), told by the file alone.

So a file gives the same rows in whatever company it is read. DuckDB's sniffer takes milliseconds
for a file; it is asked only where a look at the first lines leaves a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import duckdb

from qanat.engines.duckdb.files.dialect import Dialect, chosen
from qanat.engines.duckdb.files.records import BOM, CR, LF, RecordReader
from qanat.model.schema import Schema
from qanat.text import literal

SEPARATORS = (",", ";", "\t", "|")
_ROWS = 50
_QUOTED = re.compile(rb'"[^"]*+"')
_KINDS = (
    ("number", re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)\s*")),
    ("date", re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+)?\s*")),
    ("truth", re.compile(r"\s*(?:true|false)\s*", re.I)),
)
_DIGIT = re.compile(r"[0-9]|\s*(?:true|false|nan|inf|infinity)\s*$", re.I)


class Sniffer:
    """Tells the dialects of a batch's files.

    Args:
        con: a connection, for DuckDB's sniffer.
        options: the author's options; what they say is not sniffed.
        wanted: the columns that are already known; a first line that names one is a header.

    Raises:
        OptionError: an option has a wrong value.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, options: Mapping[str, Any], wanted: Schema
    ) -> None:
        self._con, self._options, self._wanted = con, options, wanted
        self.base = chosen(options)
        self._asked = {"delimiter", "quote", "header"} - set(options)

    def dialect(self, local: str, head: bytes, whole: bool) -> Dialect:
        """The dialect of one file.

        Args:
            local: its path.
            head: its beginning, unpacked.
            whole: True if that is all of it.
        """
        if not self._asked:
            return self.base
        rows = self._rows(head, whole)
        if not any(rows):
            return self.base
        delimiter = self._delimiter(rows)
        found = None if delimiter is None else replace(self.base, delimiter=delimiter)
        sniffed: dict[str, Any] | None = None
        if found is None:
            sniffed = self._sniffed(local)
            found = self._merged(sniffed)
        if "header" not in self._asked:
            return found
        cells = self._cells(found, rows)
        first = next(cells)
        # Only a first row that is in doubt needs the others.
        header = True if self._named(first) or has_names(first) else has_header(first, [*cells])
        if header is None:
            sniffed = self._sniffed(local) if sniffed is None else sniffed
            header = bool(sniffed.get("header", not self._wanted.fields))
        return replace(found, header=header)

    def _rows(self, head: bytes, whole: bool) -> list[bytes]:
        """The lines that tell: whole ones, without those that are skipped."""
        text = head.removeprefix(BOM).replace(CR + LF, LF).replace(CR, LF)
        rows = text.split(LF)
        if not whole and len(rows) > 1:
            rows.pop()
        rows = rows[self.base.skip :]
        comment = self.base.comment.encode()
        return [row for row in rows if row and not (comment and row.startswith(comment))]

    def _delimiter(self, rows: Sequence[bytes]) -> str | None:
        """The delimiter, if it cuts all lines into as many fields; None if there is not one such.

        Other quotes than `"` are thought of only where it does not: they may be part of values.
        """
        text = LF.join(rows)
        if "quote" in self._asked and "escape" not in self._options and b'\\"' in text:
            return None
        if "delimiter" not in self._asked:
            return self.base.delimiter
        if self.base.quote == '"' and b'"' in text:
            text = _QUOTED.sub(b"", text)
            # What is left is the start of a value that goes on behind the head.
            before, quote, _ = text.partition(b'"')
            text = before.rpartition(LF)[0] if quote else text
        lines = [line for line in text.split(LF) if line]
        present = [s for s in SEPARATORS if s.encode() in text]
        if not present:
            return "," if lines else None
        even = [s for s in present if len({line.count(s.encode()) for line in lines}) == 1]
        return even[0] if len(even) == 1 else None

    def _cells(self, dialect: Dialect, rows: Sequence[bytes]) -> Iterator[list[str]]:
        reader = RecordReader(replace(dialect, skip=0, nulls=()), None)
        for record in islice(reader.read(iter(rows)), _ROWS):
            fields = record.fields
            if fields is None:
                fields = tuple(record.raw.split(dialect.delimiter.encode()))
            yield [(f or b"").decode(errors="replace") for f in fields]

    def _named(self, first: Sequence[str]) -> bool:
        return any(self._wanted.get(name.strip()) is not None for name in first)

    def _merged(self, sniffed: Mapping[str, Any]) -> Dialect:
        changes = {k: sniffed[k] for k in self._asked & {"delimiter", "quote"} if k in sniffed}
        quote = changes.get("quote", self.base.quote)
        escape = self.base.escape
        if "escape" not in self._options:
            escape = sniffed.get("escape") or quote
        return replace(self.base, **changes, escape=escape)

    def _sniffed(self, local: str) -> dict[str, Any]:
        """What DuckDB's sniffer finds; nothing if it fails: then the standard dialect is used."""
        base, options = self.base, self._options
        text = f"skip = {base.skip}, ignore_errors = true"
        if "delimiter" in options:
            text += f", delim = {literal(base.delimiter)}"
        if "quote" in options:
            text += f", quote = {literal(base.quote)}"
        if base.compression:
            text += f", compression = {literal(base.compression)}"
        if base.comment:
            text += f", comment = {literal(base.comment)}"
        try:
            [row] = self._con.execute(
                f"SELECT Delimiter, Quote, Escape, HasHeader FROM sniff_csv(?, {text})", [local]
            ).fetchall()
        except duckdb.InvalidInputException:
            return {}
        delimiter, quote, escape = ("" if v == "(empty)" else v for v in row[:3])
        # DuckDB's sniffer finds no quote if its sample has none, but later lines may have some.
        quote = quote or '"'
        sniffed = {"quote": quote, "escape": escape or quote, "header": row[3]}
        if delimiter in SEPARATORS:
            sniffed["delimiter"] = delimiter
        return sniffed


def has_names(first: Sequence[str]) -> bool:
    """True if a first row has nothing but words: then it has the names of columns.

    >>> has_names(["id", "name"]), has_names(["1", "x"])
    (True, False)
    """
    return all(cell.strip() and not _DIGIT.search(cell) for cell in first)


def has_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool | None:
    """Whether another first row has the names of columns; None where only all the types can tell.

    It has not if it has a number or date where the others have nothing else, and no words above
    numbers.

    >>> has_header(["1", "x"], [["2", "y"]])
    False
    """
    if not others or any(len(row) != len(first) for row in others):
        return None
    above = [_kind(cell) for cell in first]
    below = [{_kind(c) for c in column if c} for column in zip(*others, strict=True)]
    if any(kinds and None not in kinds and not a for a, kinds in zip(above, below, strict=True)):
        return None
    return (
        False if any(a and kinds == {a} for a, kinds in zip(above, below, strict=True)) else None
    )


def _kind(cell: str) -> str | None:
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(cell)), None)
