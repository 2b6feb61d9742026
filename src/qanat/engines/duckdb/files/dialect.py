"""The dialect of CSV files (delimiter, quotes, header), from the options or by sniffing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import duckdb

from qanat.engines.duckdb.files.cast import Formats
from qanat.errors import OptionError
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.schema import Schema
from qanat.text import literal

_TRUE = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_SEPARATORS = (",", ";", "\t", "|")


class Dialect(Frozen):
    """How a CSV file is written.

    Args:
        delimiter, quote, escape, header, skip, comment, compression: as in DuckDB's
            `read_csv`; an empty `quote`, `escape` or `comment` means that there is none.
        nulls: the texts that mean NULL.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    skip: int = 0
    comment: str = ""
    compression: str | None = None
    nulls: tuple[str, ...] = ("",)

    def options(self, skip: int) -> str:
        """The options of `read_csv` as SQL; `skip` is the number of lines before the first row."""
        nulls = ", ".join(literal(n) for n in self.nulls)
        text = (
            f"auto_detect = false, header = false, skip = {skip}, "
            f"delim = {literal(self.delimiter)}, quote = {literal(self.quote)}, "
            f"escape = {literal(self.escape)}, nullstr = [{nulls}]"
        )
        if self.comment:
            text += f", comment = {literal(self.comment)}"
        if self.compression:
            text += f", compression = {literal(self.compression)}"
        return text


def flag(options: Mapping[str, Any], name: str, default: bool) -> bool:
    """The value of an option that is true or false.

    Raises:
        OptionError: the value is neither.
    """
    value = options.get(name, default)
    if isinstance(value, bool):
        return value
    found = _TRUE.get(str(value).strip().lower())
    if found is None:
        raise OptionError(
            f"option {name!r} of read_files is yes or no", wanted="true or false", got=str(value)
        )
    return found


def infers(options: Mapping[str, Any]) -> bool:
    """True if types are inferred from the values; otherwise every column is text."""
    return flag(options, "infer_schema", True) and not flag(options, "all_varchar", False)


def compression_of(options: Mapping[str, Any]) -> str | None:
    """The compression that the author chose; None if the file's name decides."""
    said = options.get("compression")
    return None if said in (None, "", "auto", "auto_detect") else str(said)


def formats(options: Mapping[str, Any]) -> Formats:
    """The date and timestamp formats that the author chose."""
    return Formats(options.get("date_format"), options.get("timestamp_format"))


def dialect_of(
    con: duckdb.DuckDBPyConnection,
    options: Mapping[str, Any],
    local: str | None,
    head: str,
    wanted: Schema,
    sniff: bool = True,
) -> Dialect:
    """The dialect of a batch's CSV files.

    Args:
        con: a connection, for DuckDB's sniffer.
        options: the author's options.
        local: a file with content to sniff; None if all files are empty.
        head: the beginning of that file.
        wanted: the columns that are already known; a first line that names one is a header.
        sniff: False if the sniffer could only find the standard dialect.

    Raises:
        OptionError: an option has a wrong value.
    """
    null = options.get("null_value", "")
    given = [str(n) for n in (null if isinstance(null, (list, tuple)) else [null])]
    base = Dialect(
        skip=int(options.get("skip", 0)),
        comment=str(options.get("comment") or ""),
        compression=compression_of(options),
        # An empty field is always NULL: no number or date can be empty.
        nulls=tuple(dict.fromkeys([*given, ""])),
    )
    sniffed: dict[str, Any] = {}
    if sniff and local and _must_sniff(options):
        sniffed = _sniff(con, base, options, local)
    delimiter = options.get("delimiter", sniffed.get("delimiter", ","))
    quote = options.get("quote", sniffed.get("quote", '"'))
    escape = options.get("escape", sniffed.get("escape") or quote)
    delimiter, quote, escape = (str(x or "") for x in (delimiter, quote, escape))
    _check(delimiter, quote, escape)
    found = replace(base, delimiter=delimiter, quote=quote, escape=escape)
    if "header" in options:
        header = flag(options, "header", True)
    elif wanted.fields and local:
        header = _names(found, head, wanted) or bool(sniffed.get("header", False))
    else:
        header = bool(sniffed.get("header", True))
    return replace(found, header=header)


def _must_sniff(options: Mapping[str, Any]) -> bool:
    return not {"delimiter", "quote", "header"} <= set(options)


def _check(delimiter: str, quote: str, escape: str) -> None:
    if not delimiter or len(delimiter.encode()) > 4 or "\n" in delimiter or "\r" in delimiter:
        raise OptionError(
            "option 'delimiter' of read_files is one to four bytes", got=repr(delimiter)
        )
    for name, value in (("quote", quote), ("escape", escape)):
        if len(value.encode()) > 1:
            raise OptionError(f"option {name!r} of read_files is one character", got=repr(value))
    if quote and quote == delimiter:
        raise OptionError("delimiter and quote are the same character", got=repr(quote))


def _sniff(
    con: duckdb.DuckDBPyConnection, base: Dialect, options: Mapping[str, Any], local: str
) -> dict[str, Any]:
    text = f"skip = {base.skip}, ignore_errors = true"
    if "delimiter" in options:
        text += f", delim = {literal(str(options['delimiter']))}"
    if "quote" in options:
        text += f", quote = {literal(str(options['quote'] or ''))}"
    if base.compression:
        text += f", compression = {literal(base.compression)}"
    if base.comment:
        text += f", comment = {literal(base.comment)}"
    try:
        [row] = con.execute(
            f"SELECT Delimiter, Quote, Escape, HasHeader FROM sniff_csv(?, {text})", [local]
        ).fetchall()
    except duckdb.InvalidInputException:
        # The sniffer failed: use the standard dialect; lines that do not fit become malformed.
        return {}
    delimiter, quote, escape = ("" if v == "(empty)" else v for v in row[:3])
    # DuckDB's sniffer finds no quote if its sample has none, but later lines may have some.
    quote = quote or '"'
    sniffed = {"quote": quote, "escape": escape or quote, "header": row[3]}
    if delimiter in _SEPARATORS:
        sniffed["delimiter"] = delimiter
    return sniffed


def _names(dialect: Dialect, head: str, wanted: Schema) -> bool:
    """True if the first line names a known column."""
    first: list[str] = next(read_fields(dialect, head), [])
    return any(wanted.get(name.strip()) is not None for name in first)


def read_fields(dialect: Dialect, head: str) -> Iterator[list[str]]:
    """The records of a piece of text, read with Python's `csv`; blank lines are left out."""
    reader = csv.reader(
        io.StringIO(head.replace("\0", ""), newline=""),
        delimiter=dialect.delimiter[:1],
        quotechar=dialect.quote or None,
        doublequote=dialect.escape == dialect.quote,
        escapechar=None if dialect.escape == dialect.quote else dialect.escape or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
    )
    return (row for row in reader if row)


def name_columns(cells: Sequence[str]) -> tuple[str, ...]:
    """Unique column names from a header.

    An empty name becomes `column<n>`, and a repeated name gets a number. Names that differ only by
    case count as repeated: no query could tell them apart.

    >>> name_columns(["a", "", "A", "a_1"])
    ('a', 'column1', 'A_1', 'a_1_1')
    """
    names: list[str] = []
    taken = Names()
    for position, cell in enumerate(cells):
        base = cell.strip() or f"column{position}"
        name, number = base, 0
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names.append(name)
    return tuple(names)
