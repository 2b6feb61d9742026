"""Moves and removes Iceberg tables, and lets commits of one application count as another's.

A table is a folder and an entry in a catalog. The folder gets its new name first, then the entry;
in between the catalog's own name for it leads nowhere, and `move` goes on from there. A table that
goes leaves the catalog first, so that no reader opens files that are being removed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from qanat.disk import explained, remove_folder, rename_folder
from qanat.errors import UnsupportedError
from qanat.model.table import CommitGate, TableRef
from qanat.storage.iceberg.catalog import Catalog, FileCatalog, Registered, driver
from qanat.storage.iceberg.refusals import NoFeed, check_gate


class IcebergNames(NoFeed):
    """The part of an Iceberg store that knows tables and applications by other names."""

    _file: FileCatalog | None

    @property
    def _catalog(self) -> Catalog:
        raise NotImplementedError

    def _at_home(self, table: TableRef, base: Registered) -> bool:
        raise NotImplementedError

    def _exchange(self, table: TableRef, base: Registered, draft: Any) -> bool:
        raise NotImplementedError

    def _io(self, base: Registered, table: TableRef) -> Any:
        raise NotImplementedError

    def check_move(self, table: TableRef) -> None:
        """Refuse what only another catalog could move: files name one another by their place.

        Raises:
            UnsupportedError: the project's tables are in such a catalog.
        """
        if self._file is None:
            raise UnsupportedError(
                f"{table.name} cannot be renamed: its table is in a catalog of others, where all"
                " files are named by their places",
                hint="keep the old name; or drop it and declare the new one, which starts over",
            )

    def move(self, table: TableRef, to: TableRef, gate: CommitGate | None = None) -> None:
        """Give a table another name and place; nothing if there is none.

        Raises:
            CommitConflictError: the gate is gone.
            AdapterError: there is something else in that place.
            UnsupportedError: as `check_move` tells.
        """
        self.check_move(table)
        rename_folder(table.folder, to.folder, gate.folder if gate else None)
        check_gate(gate, table)
        if self._file is None:
            return
        self._file.rename(table, to)
        # Metadata that cannot be written anew stays as it is: Qanat finds the files all the same,
        # and says so when it has to write.
        with explained("rename", table), suppress(UnsupportedError):
            while (base := self._file.find(to)) is not None and not self._at_home(to, base):
                pass

    def drop(self, table: TableRef, gate: CommitGate | None = None) -> None:
        """Remove a table with all its versions; nothing if there is none.

        Raises:
            CommitConflictError: the gate is gone.
        """
        # Read before the look at the gate: whoever sleeps after that removes nothing newer.
        base = self._catalog.find(table)
        check_gate(gate, table)
        if base is not None:
            self._catalog.remove(table, base)
        remove_folder(table.folder, gate.folder if gate else None)

    def rename_application(
        self, table: TableRef, old: str, new: str | None, gate: CommitGate | None = None
    ) -> bool:
        """Let what an application has committed be another's; with None: nobody's.

        Raises:
            CommitConflictError: the gate is gone.
            StorageFullError: there is no space for the metadata.
        """
        with explained("commit to", table):
            while (base := self._catalog.find(table)) is not None:
                if not base.history.numbers.get(old, 0):
                    break
                check_gate(gate, table)
                if self._at_home(table, base):
                    draft = driver("commit").renaming(base, self._io(base, table), old, new)
                    if self._exchange(table, base, draft):
                        return True
        return False
