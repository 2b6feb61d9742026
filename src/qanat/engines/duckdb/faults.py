"""DuckDB's errors as ours: the author's file and line instead of generated SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

import duckdb

from qanat.errors import (
    AdapterError,
    FileUnreadableError,
    Location,
    NotAllowedError,
    QanatError,
    StorageFullError,
)
from qanat.model.expectation import Expectation
from qanat.model.query import Computation, SqlQuery
from qanat.model.rule import Predicate

QUOTING = (duckdb.ConversionException, duckdb.OutOfRangeException)
"""What DuckDB raises about one value, which it quotes: its text may say anything."""
BY_DATA = (*QUOTING, duckdb.InvalidInputException)
"""What DuckDB raises because of a value, not because of the query."""
_DAMAGED = re.compile(r"failed to read file \"([^\"]+)\": (.+)", re.IGNORECASE | re.DOTALL)
_DENIED = re.compile(r"Cannot access file \"([^\"]+)\" - file system operations are disabled")
_PREFIX = re.compile(r"^(?:[A-Z][A-Za-z]*(?: [A-Za-z]+){0,3} Error: )+")
_TYPES = {
    "INTEGER_LITERAL": "INTEGER",
    "STRING_LITERAL": "VARCHAR",
    "INT8": "TINYINT",
    "INT16": "SMALLINT",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "INT128": "HUGEINT",
}
_TYPE = re.compile(rf"\b(?:{'|'.join(_TYPES)})\b")
# Advice to change DuckDB's settings is no way out: they are Qanat's.
_SETTING = re.compile(r",? or SET \w+\s*=.*|\s*Use \"SET .*", re.DOTALL)
_FULL = re.compile(
    r"no space left on device|disk full|disk quota exceeded|file too large"
    r"|failed to offload|max_temp_directory_size",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """The first thing that a message of DuckDB says, without what only DuckDB's authors need.

    >>> plain("Conversion Error: Could not convert string 'x' to INT32\\n\\nLINE 1: SELECT …")
    "could not convert string 'x' to INTEGER"
    """
    first = _inner(text).split("\n", 1)[0].strip()
    first = _SETTING.sub("", _PREFIX.sub("", first)).rstrip("!.")
    if first[:1].isupper() and first[1:2].islower():
        first = first[0].lower() + first[1:]
    return _TYPE.sub(lambda found: _TYPES[found.group()], first)


def is_full(error: BaseException) -> bool:
    """True if an error means that no more can be written (also: a limit on file sizes)."""
    return not isinstance(error, QUOTING) and _FULL.search(str(error)) is not None


def by_data(error: BaseException | None) -> bool:
    """True if an error of DuckDB, or one of ours that it means, is about a value."""
    return isinstance(error, BY_DATA) or (error is not None and by_data(error.__cause__))


def _inner(text: str) -> str:
    """The message inside the JSON that errors of background writes come as."""
    start = text.find('{"exception_type"')
    if start < 0:
        return text
    try:
        document = json.JSONDecoder().raw_decode(text[start:])[0]
    except ValueError:
        return text
    return str(document.get("exception_message", text))


def condition(sql: str) -> SqlQuery:
    """A condition that a user has typed, as a query that an error is about."""
    return SqlQuery(sql, sql, "duckdb", (), Location("--where", 1, 1))


@contextmanager
def explained(
    query: Computation | None,
    columns: Iterable[str] = (),
    rule: Expectation | None = None,
    views: tuple[Computation, ...] = (),
) -> Iterator[None]:
    """Turn any DuckDB error inside into the QanatError it means.

    Args:
        query: whose text the error is about; None when it is not the author's.
        columns: names that would have been right, for the nearest one; looked at only if
            there is an error.
        rule: the expectation that `query` is the text of.
        views: the queries of views that `query` reads: the error may be in theirs.
    """
    try:
        yield
    except duckdb.Error as error:
        raise translate(error, query, columns, rule, views) from error


@contextmanager
def ctrl_c_kept() -> Iterator[None]:
    """Raise KeyboardInterrupt for a Ctrl-C of which DuckDB 2.0 has made a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from error


@contextmanager
def explained_condition(where: Predicate | None, columns: Iterable[str]) -> Iterator[None]:
    """Blame a user's condition for values that it cannot be computed of.

    DuckDB tells so only where rows are read, in statements that are not the user's.

    Args:
        where: the condition; without one nothing is blamed.
        columns: as for `explained`.
    """
    try:
        yield
    except BY_DATA as error:
        if where is None:
            raise
        raise translate(error, condition(where.sql), columns) from error


def translate(
    error: duckdb.Error,
    query: Computation | None,
    columns: Iterable[str] = (),
    rule: Expectation | None = None,
    views: tuple[Computation, ...] = (),
) -> QanatError:
    """The error that a DuckDB error means to the author or operator."""
    text = str(error)
    where = rule.location if rule else query.location if query else None
    if is_full(error):
        return StorageFullError(
            "no space left for temporary or staged files",
            got=plain(text),
            hint="free space below the project's storage and run again; nothing was published",
        )
    # Damage below a sound footer shows up only when rows are read, and under several classes.
    if not isinstance(error, QUOTING) and (damaged := _DAMAGED.search(text)):
        return FileUnreadableError(
            f"cannot read {damaged[1]}",
            location=where,
            got=plain(damaged[2]),
            hint="mend the file or take it away, and run again",
        )
    if isinstance(error, duckdb.PermissionException) and (denied := _DENIED.search(text)):
        return NotAllowedError(denied[1], location=where)
    match error:
        case duckdb.OutOfMemoryException():
            return AdapterError(
                "the query needs more memory than the limit allows",
                location=where,
                got=plain(text),
                hint="raise `memory_limit` in the spec, or make the epoch smaller"
                " (maxFilesPerTrigger)",
            )
        case duckdb.IOException() | duckdb.PermissionException():
            return FileUnreadableError(
                "a file cannot be read or written", location=where, got=plain(text)
            )
        case duckdb.InterruptException():
            return AdapterError("interrupted; nothing was published")
        case duckdb.TransactionException() | duckdb.FatalException():
            # What could not be written shows up as a commit that failed, and then in each
            # statement after it.
            return AdapterError("DuckDB cannot go on; nothing was published", got=plain(text))
    if query is None:
        return AdapterError("DuckDB refused an internal statement", got=text)
    # Imported only here: with it comes the parser.
    refusals = import_module("qanat.engines.duckdb.refusals")
    refused: QanatError = refusals.refusal(
        refusals.Complaint(error, text, query, columns, rule, views)
    )
    return refused
