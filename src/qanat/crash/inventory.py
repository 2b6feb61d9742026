"""The files of a storage, and which of them belong to it.

It reads the logs itself: the code that the crash test checks must not check itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_PRIVATE, _TABLES, _LOG = "_qanat", "tables", "_delta_log"
_OWN = frozenset({"ledger.db", "ledger.db-shm", "ledger.db-wal"})
_ENTRY = re.compile(r"\d{20}\.json")
_READERS = re.compile(r"\d{20}\.checkpoint(\.\d{10}\.\d{10})?\.parquet|_last_checkpoint")


class Inventory:
    """A storage as it is now.

    Args:
        storage: the storage's folder.
        scratch: the scratch folder of this process, which belongs to it.
    """

    def __init__(self, storage: Path, scratch: Path) -> None:
        self._storage = storage
        self._scratch = scratch
        self._tables = {
            folder.name: TableLog(folder) for folder in sorted((storage / _TABLES).glob("*"))
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
                known = mine or "/".join(below) in _OWN
            elif top == _TABLES and below[0] in self._tables:
                known = self._tables[below[0]].knows("/".join(below[1:]))
            else:
                known = False
            if not known:
                yield path


class TableLog:
    """What the JSON entries of a table's log say.

    Checkpoints are not read: Qanat removes no entries, so an entry is missing only if another tool
    removed it before the crash test.
    """

    def __init__(self, table: Path) -> None:
        self._mentioned: set[str] = set()
        self._rows: dict[tuple[str, int], int] = {}
        for entry in (table / _LOG).glob("*.json"):
            if not _ENTRY.fullmatch(entry.name):
                continue
            actions = [json.loads(line) for line in entry.read_text("utf-8").splitlines() if line]
            rows = 0
            for action in actions:
                for kind in ("add", "remove", "cdc"):
                    if file := action.get(kind):
                        self._mentioned.add(unquote(file["path"]))
                if file := action.get("add"):
                    rows += json.loads(file.get("stats") or "{}").get("numRecords", 0)
            for action in actions:
                if made := action.get("txn"):
                    self._rows[made["appId"], made["version"]] = rows

    def rows(self, application: str, number: int) -> int | None:
        """The number of rows that an application's commit added; None without such a commit."""
        return self._rows.get((application, number))

    def knows(self, path: str) -> bool:
        """True if a file, relative to the table's folder, is or was part of the table."""
        folder, _, name = path.rpartition("/")
        if folder == _LOG:
            return bool(_ENTRY.fullmatch(name) or _READERS.fullmatch(name))
        return path in self._mentioned


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        yield from (Path(above, name) for name in names)
