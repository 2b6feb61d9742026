"""Finds the files of tables, wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from qanat.disk import is_dropped
from qanat.errors import MissingExtraError, install
from qanat.model.location import ObjectUrl, is_url
from qanat.model.table import TableRef
from qanat.ports.store import LocalFolders
from qanat.storage.delta.files import Files
from qanat.storage.delta.local import LocalFiles

if TYPE_CHECKING:
    from qanat.storage.delta.remote import Remote


class Places:
    """All places of tables; each table is found once.

    Args:
        folders: for copies of what lies in object stores.
    """

    def __init__(self, folders: LocalFolders | None) -> None:
        cache = Path(gettempdir(), "qanat-cache")
        self._folders = folders or LocalFolders(lambda: Path(mkdtemp()), cache)
        self._known: dict[str, Files] = {}
        self._secured: dict[Path, Path | None] = {}

    def files(self, location: str) -> Files | None:
        """The files of a table; None at a URL that only delta-rs can read."""
        found = self._known.get(location)
        if found is None and not is_url(location):
            found = LocalFiles(Path(location.removeprefix("file://")), self._secured)
        elif found is None and ObjectUrl.is_known(location) and self._remote is not None:
            found = self._remote.files(location)
        if found is not None:
            self._known[location] = found
        return found

    def here(self, location: str) -> Files:
        """The files of a table that is to be written.

        Raises:
            MissingExtraError: it is in an object store, and the package for that is missing.
        """
        files = self.files(location)
        if files is None:
            raise _missing(f"writing to {location}")
        return files

    def tables(self, place: str) -> Sequence[TableRef]:
        """All tables right below a folder or URL, and the folders that may be some.

        Raises:
            MissingExtraError: as `here`.
        """
        if is_url(place):
            if self._remote is None:
                raise _missing(f"listing the tables in {place}")
            return self._remote.tables(place)
        found = (f for f in Path(place).glob("*") if f.is_dir() and not is_dropped(f))
        return sorted(TableRef(str(f), unquote(f.name)) for f in found)

    def look_again(self, tables: Sequence[TableRef]) -> None:
        """Let no later answer be older than now: of tables in object stores some may be."""
        distant = [t.location for t in tables if is_url(t.location)]
        if ("_remote" in vars(self) or distant) and self._remote is not None:
            self._remote.look_again(distant)

    @cached_property
    def _remote(self) -> Remote | None:
        """All tables in object stores; None without the package for them."""
        try:
            # Imported here because most projects need it not, and not all have what it imports.
            module = import_module("qanat.storage.delta.remote")
        except ModuleNotFoundError as error:
            if error.name != "obstore":
                raise
            return None
        return cast("Remote", module.Remote(self._folders))


def _missing(what: str) -> MissingExtraError:
    return MissingExtraError(
        f"{what} needs the package obstore, which is not installed", hint=install("obstore")
    )
