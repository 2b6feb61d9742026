"""What a Delta table is to others: its log read by the standard library, its files by delta-rs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deltalake import DeltaTable

_LOG = "_delta_log"
_ENTRY = re.compile(r"\d{20}\.json")
_READERS = re.compile(r"\d{20}\.checkpoint(\.\d{10}\.\d{10})?\.parquet|_last_checkpoint")


class DeltaWitness:
    """Reads Delta tables without the store."""

    @property
    def own(self) -> frozenset[str]:
        """Nothing: all of a Delta table is in its folder."""
        return frozenset()

    def log(self, table: Path) -> DeltaLog:
        """What the log entries of the table in a folder say."""
        return DeltaLog(table)

    def live(self, table: Path) -> Sequence[Path]:
        """The files of a table as it is now, as delta-rs finds them, with those of its events."""
        if not any((table / _LOG).glob("*.json")):
            return ()
        found = DeltaTable(table)
        # Of these paths the table's own part is encoded, and the rest is not.
        root = found.table_uri.removeprefix("file://")
        uris = [u.removeprefix("file://").removeprefix(root) for u in found.file_uris()]
        return [table / u for u in (*uris, *_events(found.metadata().configuration))]

    def needed(self, root: Path) -> Iterator[tuple[Path, Sequence[Path]]]:
        """All tables below a folder, with the entries of their logs and their live files."""
        for log in sorted(root.glob(f"**/{_LOG}")):
            table, entries = log.parent, sorted(log.glob("[0-9]*.json"))
            # Hidden names: a checkpoint in the making, a table that was dropped.
            if entries and table.name[0] not in "_.":
                yield table, [*entries, *self.live(table), *_change_data(table, entries)]


def _change_data(table: Path, entries: Sequence[Path]) -> Iterator[Path]:
    """The files from which readers of changes take those of any version.

    Entries of other tools, which write a line in another way, are not looked at.
    """
    for entry in entries:
        for line in entry.read_text("utf-8").splitlines():
            if line.startswith('{"cdc"'):
                yield table / unquote(json.loads(line)["cdc"]["path"])


def _events(properties: Mapping[str, str]) -> list[str]:
    """The paths of the events that belong to a version with these properties."""
    kept = json.loads(properties.get("qanat.events") or "{}")
    return [unquote(file["path"]) for file in kept.get("files", ())]


def _checkpointed(log: Path) -> Iterator[tuple[str, int | None]]:
    """The paths that the checkpoints of a log name, with the rows of files in the table."""
    found = [str(p) for p in log.glob("*.checkpoint*.parquet")]
    if not found:
        return
    # Loaded only here: most tables of a crash test have no checkpoint.
    with import_module("duckdb").connect(":memory:") as con:
        rows = con.execute(
            "SELECT add, remove, metaData.configuration FROM read_parquet(?)", [found]
        )
        for added, removed, properties in rows.fetchall():
            if added is not None:
                stats = json.loads(added.get("stats") or "{}")
                yield unquote(added["path"]), stats.get("numRecords")
            if removed is not None:
                yield unquote(removed["path"]), None
            yield from ((path, None) for path in _events(properties or {}))


class DeltaLog:
    """What the log entries of a table say, one after the other, and the files of its checkpoints.

    Entries that were cleaned up are in a checkpoint, as far as they still count.
    """

    def __init__(self, table: Path) -> None:
        self._mentioned: set[str] = set()
        self._rows: dict[tuple[str, int], int] = {}
        self._sizes: dict[str, int] = {}
        for path, rows in _checkpointed(table / _LOG):
            self._mentioned.add(path)
            if rows is not None:
                self._sizes[path] = rows
        for entry in sorted((table / _LOG).glob("*.json")):
            if _ENTRY.fullmatch(entry.name):
                lines = entry.read_text("utf-8").splitlines()
                self._read([json.loads(line) for line in lines if line])

    def _read(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Take over what one entry says."""
        for action in actions:
            for kind in ("add", "remove", "cdc"):
                if file := action.get(kind):
                    self._mentioned.add(unquote(file["path"]))
            self._mentioned |= {*_events(action.get("metaData", {}).get("configuration", {}))}
        info = actions[0].get("commitInfo", {})
        if renames := info.get("qanat.renames"):
            self._rename(renames["old"], renames["new"])
            return
        merges = info.get("operation") == "MERGE"
        gone = self._count(actions, "remove", every=merges)
        rows = self._count(actions, "add", every=merges)
        if merges:
            rows = None if rows is None or gone is None else rows - gone
        for action in actions:
            if (made := action.get("txn")) and rows is not None:
                self._rows[made["appId"], made["version"]] = rows

    def _count(self, actions: Sequence[Mapping[str, Any]], kind: str, every: bool) -> int | None:
        """The rows of the files that an entry adds or removes.

        Rows that were written again for wider types are neither new nor gone. Those of a merge may
        be some that stay of a file that goes, so that all have to be counted (`every`).

        None if one of them was added by an entry that is gone, and removed before any checkpoint.
        """
        rows = 0
        for file in (a[kind] for a in actions if kind in a):
            path = unquote(file["path"])
            if kind == "add":
                stats = json.loads(file.get("stats") or "{}")
                self._sizes[path] = stats.get("numRecords", 0)
            if every or file.get("dataChange", True):
                if path not in self._sizes:
                    return None
                rows += self._sizes[path]
        return rows

    def _rename(self, old: str, new: str | None) -> None:
        """What one application has committed is another's from this entry on."""
        kept = {key: n for key, n in self._rows.items() if key[0] not in (old, new)}
        moved = {(new, key[1]): n for key, n in self._rows.items() if new and key[0] == old}
        self._rows = {**kept, **moved}

    def rows(self, application: str, number: int) -> int | None:
        """How many rows the commit added, or by how many a merge let the table grow."""
        return self._rows.get((application, number))

    def knows(self, path: str) -> bool:
        """True if a file below the table's folder is part of the table, now or once."""
        folder, _, name = path.rpartition("/")
        if folder == _LOG:
            return bool(_ENTRY.fullmatch(name) or _READERS.fullmatch(name))
        return path in self._mentioned
