"""What remembers: one ledger per project and environment.

A ledger lies in SQLite beside the tables, or in PostgreSQL by URL. Both are `sql`: one set of
statements and one class, over two databases.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from qanat.errors import OptionError, nearest
from qanat.plugins import load

if TYPE_CHECKING:
    from qanat.ports.ledger import Ledger

_POSTGRES = ("postgresql", "postgres")


def open_ledger(url: str | None, private: Path, scope: str) -> Ledger:
    """The ledger of one project and environment, created if need be.

    Args:
        url: `postgresql://user@host/database`, or None for SQLite beside the tables.
        private: the project's own folder under its storage; SQLite's file is `ledger.db` in it.
        scope: `<project>/<environment>`; several may share a database.

    Raises:
        OptionError: the URL is of no database that we know.
        MissingExtraError: the driver for PostgreSQL is not installed.
        LedgerError: it cannot be opened.
        TableTooNewError: a newer Qanat wrote it.
    """
    if url is None:
        return cast("Ledger", load("ledgers", "sqlite")(private / "ledger.db", scope))
    scheme = urlsplit(url).scheme
    if scheme not in _POSTGRES:
        raise OptionError(
            f"no ledger at URLs of {scheme or 'no scheme'!r}",
            wanted="postgresql://user@host/database, or no URL for SQLite",
            nearest=nearest(scheme, _POSTGRES),
        )
    return cast("Ledger", load("ledgers", "postgresql")(url, scope))
