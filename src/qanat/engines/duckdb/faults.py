"""DuckDB's errors as ours: the author's file and line instead of generated SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb

from qanat.errors import (
    AdapterError,
    ColumnNotFoundError,
    ContractError,
    DatasetNotFoundError,
    FileUnreadableError,
    FunctionNotFoundError,
    QanatError,
    QueryError,
    StorageFullError,
    nearest,
)
from qanat.model.location import Location
from qanat.model.query import Query, SqlQuery

_COLUMN = re.compile(
    r'(?:Referenced column|Column with name|column named) "(?P<name>[^"]+)"'
    r'|Table "(?P<table>[^"]+)" does not have a column named "(?P<name2>[^"]+)"'
    r'|Values list "[^"]+" does not have a column named "(?P<name3>[^"]+)"'
)
_CANDIDATES = re.compile(r"Candidate (?:bindings|Entries|columns|functions): *:?(?P<list>[^\n]+)")
_FUNCTION = re.compile(
    r"(?:Scalar|Table|Aggregate|Table Macro|Macro)?\s*Function with name \"?(?P<name>[\w.]+)\"?"
    r" does not exist",
    re.IGNORECASE,
)
_SUGGESTED = re.compile(r'Did you mean "(?P<name>[^"]+)"')
_TABLE = re.compile(r"Table with name (?P<name>\S+) does not exist")
_FULL = re.compile(
    r"no space left on device|disk full|failed to offload|max_temp_directory_size", re.I
)


def locate(query: Query, name: str) -> Location:
    """Where a name stands in the author's text; the query's own place if it does not."""
    if not isinstance(query, SqlQuery):
        return query.location
    match = re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", query.text, re.IGNORECASE)
    where = query.location
    if match is None or where.line is None:
        return where
    before = query.text[: match.start()]
    line = where.line + before.count("\n")
    column = match.start() - (before.rfind("\n") + 1) + 1
    if "\n" not in before and where.column is not None:
        column += where.column - 1
    return Location(where.file, line, column)


@contextmanager
def explained(query: Query | None, columns: Iterable[str] = ()) -> Iterator[None]:
    """Turn any DuckDB error inside into the QanatError it means.

    Args:
        query: whose text the error is about; None when it is not the author's.
        columns: names that would have been right, for the nearest one.
    """
    try:
        yield
    except duckdb.Error as error:
        raise translate(error, query, columns) from error


def translate(error: duckdb.Error, query: Query | None, columns: Iterable[str]) -> QanatError:
    """The error that a DuckDB error means to the author or operator."""
    text = str(error)
    first = text.split("\n", 1)[0]
    for prefix in ("Binder Error: ", "Catalog Error: ", "Parser Error: ", "Conversion Error: "):
        first = first.removeprefix(prefix)
    if _FULL.search(text):
        return StorageFullError(
            "no space left for temporary or staged files",
            got=first,
            hint="free space below the project's storage and run again; nothing was published",
        )
    match error:
        case duckdb.OutOfMemoryException():
            return AdapterError(
                "the query needs more memory than the limit allows",
                location=query.location if query else None,
                got=first,
                hint="raise `memory_limit` in qanat.yml, or make the epoch smaller"
                " (maxFilesPerTrigger)",
            )
        case duckdb.IOException() | duckdb.PermissionException():
            return FileUnreadableError("a file cannot be read or written", got=first)
        case duckdb.InterruptException():
            return AdapterError("interrupted; nothing was published")
    if query is None:
        return AdapterError("DuckDB refused an internal statement", got=text)
    return _author(error, text, first, query, columns)


def _author(
    error: duckdb.Error, text: str, first: str, query: Query, columns: Iterable[str]
) -> QanatError:
    found = _COLUMN.search(text)
    if found:
        name = found["name"] or found["name2"] or found["name3"]
        listed = _CANDIDATES.search(text)
        known = re.findall(r'"([^"]+)"', listed["list"]) if listed else []
        known = [k.rpartition(".")[2] for k in known]
        visible = [k for k in (*columns, *known) if not k.startswith("__qanat")]
        return ColumnNotFoundError(
            f"no column {name!r}",
            location=locate(query, name),
            wanted=", ".join(dict.fromkeys(visible)) or None,
            nearest=nearest(name, visible),
        )
    found = _FUNCTION.search(text)
    if found:
        suggested = _SUGGESTED.search(text)
        return FunctionNotFoundError(
            f"no function {found['name']!r}",
            location=locate(query, found["name"]),
            nearest=suggested["name"] if suggested else None,
        )
    found = _TABLE.search(text)
    if found:
        return DatasetNotFoundError(
            f"no dataset {found['name']!r}", location=locate(query, found["name"])
        )
    match error:
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            return ContractError(
                "a value does not fit the type it is cast to",
                location=query.location,
                got=first,
                hint="use TRY_CAST and an expectation (… IS NOT NULL) ON VIOLATION QUARANTINE"
                " ROW, so that one bad value does not stop the rest",
            )
    return QueryError(
        "DuckDB refuses the query", location=query.location, got=text.split("\n\nLINE", 1)[0]
    )
