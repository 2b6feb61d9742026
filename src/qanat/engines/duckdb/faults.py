"""DuckDB's errors as ours: the author's file and line instead of generated SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb

from qanat.engines.duckdb.refusals import Complaint, is_full, plain, refusal
from qanat.errors import AdapterError, FileUnreadableError, QanatError, StorageFullError
from qanat.model.pipeline import Expectation
from qanat.model.query import Computation

_DAMAGED = re.compile(r"failed to read file \"([^\"]+)\": (.+)", re.IGNORECASE | re.DOTALL)


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
    if is_full(text):
        return StorageFullError(
            "no space left for temporary or staged files",
            got=plain(text),
            hint="free space below the project's storage and run again; nothing was published",
        )
    # Damage below a sound footer shows up only when rows are read, and under several classes.
    if damaged := _DAMAGED.search(text):
        return FileUnreadableError(
            f"cannot read {damaged[1]}",
            location=where,
            got=plain(damaged[2]),
            hint="mend the file or take it away, and run again",
        )
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
    if query is None:
        return AdapterError("DuckDB refused an internal statement", got=text)
    return refusal(Complaint(error, text, query, columns, rule, views))
