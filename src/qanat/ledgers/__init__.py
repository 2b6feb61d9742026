"""What remembers: one ledger per project and environment.

A ledger lies in SQLite beside the tables, or in PostgreSQL by URL. Both are `sql`: one set of
statements and one class, over two databases.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from qanat import plugins
from qanat.errors import OptionError, nearest

if TYPE_CHECKING:
    from qanat.ports.ledger import Ledger


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
    scheme = "" if url is None else urlsplit(url).scheme
    kinds = plugins.ledgers()
    kind = next((k for k in kinds if (scheme in k.schemes if url else not k.schemes)), None)
    if kind is None:
        schemes = [s for k in kinds for s in k.schemes]
        raise OptionError(
            f"no ledger at URLs of {scheme or 'no scheme'!r}",
            wanted="postgresql://user@host/database, or no URL for SQLite",
            nearest=nearest(scheme, schemes),
        )
    place = private / "ledger.db" if url is None else url
    return cast("Ledger", plugins.imported(kind.ledger)(place, scope))
