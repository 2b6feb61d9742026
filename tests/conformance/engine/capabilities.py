"""What an engine may do and need not: each declares which of these it does.

A test that needs one says so (`@needs("partitions")`), and is not run with engines that do not
declare it. Everything else in this folder holds for every engine.
"""

from __future__ import annotations

import pytest

CAPABILITIES = {
    "files": "reads CSV, JSON and Parquet files itself, with schemas, drift and malformed rows",
    "file metadata": "knows the columns `_metadata.…` of files",
    "positions": "tells the file and row that a quarantined row came from",
    "origins": "finds out where rows come from that an epoch has written",
    "views": "computes temporary views, with rules and quarantines of their own",
    "functions": "calls Python functions that take and return Arrow tables",
    "partitions": "writes and reads partitioned tables",
    "readmission": "checks quarantined rows again",
    "discard": "throws quarantined rows away",
    "reasons": "tells of quarantined rows that were checked again why they stay",
    "row errors": "sets rows aside that a query cannot compute, and computes them again",
    "profile": "describes columns by numbers",
}
ALL = frozenset(CAPABILITIES)


def needs(*capabilities: str) -> pytest.MarkDecorator:
    """Mark a test, or a case of one, that only engines with these capabilities are held to."""
    unknown = set(capabilities) - ALL
    assert not unknown, unknown
    mark: pytest.MarkDecorator = pytest.mark.needs(*capabilities)
    return mark


class Words(dict[str, str]):
    """One SQL text for each dialect that can say it; a case is not run where there is none."""

    def __str__(self) -> str:
        return next(iter(self.values()))


def words(duckdb: str, **others: str) -> Words:
    """What DuckDB is told, and others where they say it in other words.

    >>> words("x::BLOB", postgres="x::BYTEA")["postgres"]
    'x::BYTEA'
    """
    return Words({"duckdb": duckdb, **others})
