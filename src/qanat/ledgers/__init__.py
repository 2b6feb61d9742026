"""The ledger, one per project and environment: its record of updates, epochs and positions.

A ledger is a SQLite file in the storage, or tables in PostgreSQL. Package `sql` serves both with
one set of statements.
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
    """Open the ledger of one project and environment; a missing one is created.

    Args:
        url: `postgresql://user@host/database`, or None for a SQLite file.
        private: the project's private folder in its storage, for the file `ledger.db`.
        scope: `<project>/<environment>`; several may share a database.

    Raises:
        OptionError: the URL is of no supported database.
        MissingExtraError: the driver for PostgreSQL is not installed.
        LedgerError: the ledger cannot be opened.
        TableTooNewError: a newer version of Qanat wrote the ledger.
    """
    scheme = "" if url is None else urlsplit(url).scheme
    fits = (k for k in plugins.ledgers() if (scheme in k.schemes if url else not k.schemes))
    kind = next(fits, None)
    if kind is None:
        schemes = [s for k in plugins.ledgers() for s in k.schemes]
        raise OptionError(
            f"no ledger at URLs of {scheme or 'no scheme'!r}",
            wanted=" or ".join(f"{s}://…" for s in schemes) + ", or no URL for SQLite",
            nearest=nearest(scheme, schemes),
        )
    place = private / "ledger.db" if url is None else url
    return cast("Ledger", plugins.imported(kind.ledger)(place, scope))
