"""CSV files that are read together, and SQL for what stands in their columns."""

from __future__ import annotations

from qanat.engines.duckdb.files.dialect import Dialect
from qanat.frozen import Frozen
from qanat.text import literal


class Group(Frozen):
    """Files of one dialect with one header, that one `read_csv` reads.

    Args:
        names: columns in the files' order.
        dialect: how the files are written.
        skip: lines before the first row.
        files: (index in the batch, path to read).
        end: how lines end, as `new_line` of `read_csv` has it.
        quoted: the files that may have quotes, by index.
        underscores: whether a file may have one.
        parallel: whether several threads may read one file.
        careful: the one path is a normalised copy of all, with file and line as last columns.
        strict: whether a record that DuckDB refuses ends the reading; else it is put aside. A
            line that is longer than its buffer (32 MB) is skipped by DuckDB 2.0, not put aside.
    """

    names: tuple[str, ...]
    dialect: Dialect
    skip: int
    files: tuple[tuple[int, str], ...]
    end: str = "\\n"
    quoted: frozenset[int] = frozenset()
    underscores: bool = True
    parallel: bool = True
    careful: bool = False
    strict: bool = False

    @property
    def has_quotes(self) -> bool:
        """True if a value may stand in quotes."""
        return self.careful or any(index in self.quoted for index, _ in self.files)


def present(text: str, group: Group) -> str:
    """SQL for a value that is no text; NULL if it is empty, or means NULL, though in quotes."""
    nulls = group.dialect.nulls
    absent = {"", *(nulls if group.has_quotes else ())}
    if not group.has_quotes and "" in nulls:
        return text
    for null in sorted(absent):
        text = f"nullif({text}, {literal(null)})"
    return text


def sought(text: str, group: Group) -> str:
    """The same for a value that is to be cast: an empty one may stay, as it fits no type."""
    return text if group.dialect.nulls == ("",) else present(text, group)


def raw(d: Dialect, width: int) -> str:
    """The record written again: not byte by byte as it was, but with the same values."""
    null = literal(d.nulls[0] if d.nulls else "")
    cell = f"coalesce(x, {null})"
    if d.quote:
        quote_, escaped = literal(d.quote), literal((d.escape or d.quote) + d.quote)
        cell = (
            f"CASE WHEN contains(x, {literal(d.delimiter)}) OR contains(x, {quote_}) "
            f"OR contains(x, chr(10)) OR contains(x, chr(13)) OR x = {null} "
            f"THEN {quote_} || replace(x, {quote_}, {escaped}) || {quote_} ELSE {cell} END"
        )
    # One expression for all cells: one for each of 2,000 takes DuckDB 2.0 a second to compile.
    cells = f"list_transform([{', '.join(f'c{i}' for i in range(width))}], lambda x: {cell})"
    return f"array_to_string({cells}, {literal(d.delimiter)})"
