"""The dialect of CSV files (delimiter, quotes, header), and what the options say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qanat.engines.duckdb.files.cast import Formats
from qanat.errors import OptionError
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.text import literal

_TRUE = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


class Dialect(Frozen):
    """How a CSV file is written.

    Args:
        delimiter, quote, escape, header, skip, comment, compression: as in DuckDB's
            `read_csv`; an empty `quote`, `escape` or `comment` means that there is none.
        nulls: the texts that mean NULL where they stand without quotes.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    skip: int = 0
    comment: str = ""
    compression: str | None = None
    nulls: tuple[str, ...] = ("",)

    def options(self, skip: int, end: str | None = None) -> str:
        r"""The options of `read_csv` as SQL.

        Args:
            skip: the number of lines before the first row.
            end: how lines end, written `\n` or `\r\n`; None to let DuckDB look. Where it looks, it
                fails at a CR in a quoted value.
        """
        nulls = ", ".join(literal(n) for n in self.nulls)
        text = (
            f"auto_detect = false, header = false, skip = {skip}, "
            f"delim = {literal(self.delimiter)}, quote = {literal(self.quote)}, "
            f"escape = {literal(self.escape)}, nullstr = [{nulls}], allow_quoted_nulls = false"
        )
        if end:
            text += f", new_line = {literal(end)}"
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


def chosen(options: Mapping[str, Any]) -> Dialect:
    """The dialect that the options tell; what they do not say is as in most files.

    Raises:
        OptionError: an option has a wrong value.
    """
    null = options.get("null_value", "")
    quote = str(options.get("quote", '"') or "")
    found = Dialect(
        delimiter=str(options.get("delimiter", ",") or ""),
        quote=quote,
        escape=str(options.get("escape", quote) or ""),
        header=flag(options, "header", True),
        skip=int(options.get("skip", 0)),
        comment=str(options.get("comment") or ""),
        compression=compression_of(options),
        nulls=tuple(str(n) for n in (null if isinstance(null, (list, tuple)) else [null])),
    )
    _check(found.delimiter, found.quote, found.escape)
    return found


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
