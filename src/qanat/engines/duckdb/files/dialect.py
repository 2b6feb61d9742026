"""How a CSV file is written: delimiter, quotes, header; from the options, else sniffed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from qanat.engines.duckdb.files.cast import Formats
from qanat.engines.duckdb.types import literal
from qanat.errors import OptionError
from qanat.model.schema import Schema

_ENCODINGS = {
    "utf8": "utf-8",
    "utf16": "utf-16",
    "latin1": "latin-1",
    "iso88591": "latin-1",
}
_TRUE = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Args as in DuckDB's `read_csv`; `quote`, `escape` and `comment` may be empty (none)."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    skip: int = 0
    comment: str = ""
    encoding: str = "utf-8"
    compression: str | None = None
    nulls: tuple[str, ...] = ("",)

    def options(self, skip: int) -> str:
        """The options of `read_csv`, with the header counted among the skipped lines."""
        nulls = ", ".join(literal(n) for n in self.nulls)
        text = (
            f"auto_detect = false, header = false, skip = {skip}, "
            f"delim = {literal(self.delimiter)}, quote = {literal(self.quote)}, "
            f"escape = {literal(self.escape)}, nullstr = [{nulls}]"
        )
        if self.comment:
            text += f", comment = {literal(self.comment)}"
        if self.encoding != "utf-8":
            text += f", encoding = {literal(self.encoding)}"
        if self.compression:
            text += f", compression = {literal(self.compression)}"
        return text


def flag(options: Mapping[str, Any], name: str, default: bool) -> bool:
    """A yes-or-no option.

    Raises:
        OptionError: it is neither.
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
    """Whether types are to be told from the values; else every column is text."""
    return flag(options, "infer_schema", True) and not flag(options, "all_varchar", False)


def compression_of(options: Mapping[str, Any]) -> str | None:
    """The compression that the author says; None to go by the file's name."""
    said = options.get("compression")
    return None if said in (None, "", "auto", "auto_detect") else str(said)


def formats(options: Mapping[str, Any]) -> Formats:
    """The author's date and timestamp formats."""
    return Formats(options.get("date_format"), options.get("timestamp_format"))


def dialect_of(
    con: duckdb.DuckDBPyConnection,
    options: Mapping[str, Any],
    local: str | None,
    head: str,
    wanted: Schema,
) -> Dialect:
    """The dialect of a batch.

    Args:
        local: a non-empty file to sniff; None if all are empty.
        head: its first characters.
        wanted: columns known already; a first line that names them is a header.

    Raises:
        OptionError: an option has a value that makes no sense.
    """
    encoding = str(options.get("encoding", "utf-8")).lower()
    encoding = _ENCODINGS.get(encoding.replace("-", "").replace("_", ""), encoding)
    if encoding not in set(_ENCODINGS.values()):
        raise OptionError(
            f"encoding {encoding!r} cannot be read", wanted="utf-8, utf-16 or latin-1"
        )
    null = options.get("null_value", "")
    given = [str(n) for n in (null if isinstance(null, (list, tuple)) else [null])]
    base = Dialect(
        skip=int(options.get("skip", 0)),
        comment=str(options.get("comment") or ""),
        encoding=encoding,
        compression=compression_of(options),
        # An empty field is no value in any case: a number cannot be empty.
        nulls=tuple(dict.fromkeys([*given, ""])),
    )
    sniffed = _sniff(con, base, options, local) if local and _must_sniff(options) else {}
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
    text = f"skip = {base.skip}, encoding = {literal(base.encoding)}, ignore_errors = true"
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
        # Too odd for the sniffer: the standard dialect, and the odd lines become malformed.
        return {}
    delimiter, quote, escape = ("" if v == "(empty)" else v for v in row[:3])
    # Without a quote in the sample the sniffer says "none"; later lines may well have some.
    quote = quote or '"'
    sniffed = {"quote": quote, "escape": escape or quote, "header": row[3]}
    if delimiter in _SEPARATORS:
        sniffed["delimiter"] = delimiter
    return sniffed


def _names(dialect: Dialect, head: str, wanted: Schema) -> bool:
    """Whether the first line names columns that are known."""
    first: list[str] = next(read_fields(dialect, head), [])
    return any(wanted.get(name.strip()) is not None for name in first)


def read_fields(dialect: Dialect, head: str) -> Iterator[list[str]]:
    """Records of a piece of text, by Python's own reader; blank lines are left out."""
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
    """Column names from a header: empty ones get `column<n>`, repeated ones a number.

    Names that differ only by case are repeated names: no query could tell them apart.

    >>> name_columns(["a", "", "A", "a_1"])
    ('a', 'column1', 'A_1', 'a_1_1')
    """
    names: list[str] = []
    taken: set[str] = set()
    for position, cell in enumerate(cells):
        base = cell.strip() or f"column{position}"
        name, number = base, 0
        while name.casefold() in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)
