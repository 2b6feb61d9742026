"""The files of a storage, and which of them belong to it.

It has a witness read the tables: the code that the crash test checks must not check itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qanat.ports.witness import TableLog, Witness

_PRIVATE, _TABLES = "_qanat", "tables"
_OWN = frozenset({"ledger.db", "ledger.db-shm", "ledger.db-wal"})


class Inventory:
    """A storage as it is now.

    Args:
        storage: the storage's folder.
        scratch: the scratch folder of this process, which belongs to it.
        witness: reads the project's tables.
    """

    def __init__(self, storage: Path, scratch: Path, witness: Witness) -> None:
        self._storage = storage
        self._scratch = scratch
        self._own = _OWN | witness.own
        self._tables = {
            folder.name: witness.log(folder) for folder in sorted((storage / _TABLES).glob("*"))
        }

    def table(self, name: str) -> TableLog | None:
        """The log of the table in the folder `name`; None if there is no such folder."""
        return self._tables.get(name)

    def strangers(self) -> Iterator[Path]:
        """The files that belong to no table, and are none of Qanat's own."""
        for path in _files(self._storage):
            top, *below = path.relative_to(self._storage).parts
            if top == _PRIVATE:
                mine = path.is_relative_to(self._scratch) or path.stem == self._scratch.name
                known = mine or "/".join(below) in self._own
            elif top == _TABLES and below[0] in self._tables:
                known = self._tables[below[0]].knows("/".join(below[1:]))
            else:
                known = False
            if not known:
                yield path


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        yield from (Path(above, name) for name in names)
