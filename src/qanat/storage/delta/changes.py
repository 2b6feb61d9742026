"""What a table gained between two versions, read from its commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from qanat.errors import NotAppendOnlyError
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import LiveFile


def added_files(log: Log, after: int, upto: int) -> list[LiveFile]:
    """The files with new rows of the versions after `after`, up to and with `upto`.

    What counts is what became of each file in the end: one that came and went again in between
    was never there for the reader, and one that went and came back (an epoch that was taken back,
    a `RESTORE`) has been read already.

    Commits that only rearrange rows (compaction) are passed over: the files they replaced
    still lie in the folder until somebody vacuums it.

    Raises:
        NotAppendOnlyError: the versions together removed or rewrote rows.
        TableCorruptError: the log no longer reaches back to `after`.
    """
    added: dict[_File, tuple[int, Mapping[str, Any]]] = {}
    removed: dict[_File, int] = {}
    for version in range(after + 1, upto + 1):
        actions = log.actions(version)
        for remove in _with_rows(actions, "remove"):
            if added.pop(_file(remove), None) is None:
                removed[_file(remove)] = version
        for add in _with_rows(actions, "add"):
            if removed.pop(_file(add), None) is None:
                added[_file(add)] = version, add
    masked = [version for version, add in added.values() if add.get("deletionVector")]
    if removed or masked:
        raise _rewritten(log, min([*removed.values(), *masked]))
    return [LiveFile(add["path"], add["size"], rows_of(add)) for _, add in added.values()]


def rows_of(add: Mapping[str, Any]) -> int | None:
    """How many rows an `add` action says its file has, if it does."""
    stats = json.loads(add.get("stats") or "{}")
    rows = stats.get("numRecords")
    return rows if isinstance(rows, int) else None


_File = tuple[str, str]
"""A file as part of a table: its path, and which of its rows a deletion vector takes away."""


def _file(action: Mapping[str, Any]) -> _File:
    return action["path"], json.dumps(action.get("deletionVector"), sort_keys=True)


def _with_rows(actions: Iterable[Mapping[str, Any]], kind: str) -> Iterable[Mapping[str, Any]]:
    """The actions of a kind that change rows, and do not only move them to other files."""
    found = (a[kind] for a in actions if kind in a)
    return [a for a in found if a.get("dataChange", True)]


def _rewritten(log: Log, version: int) -> NotAppendOnlyError:
    infos = (a["commitInfo"] for a in log.actions(version) if "commitInfo" in a)
    return NotAppendOnlyError(
        f"{log.table} is read as a stream, but its version {version} removed or rewrote rows",
        wanted="appends only",
        got=str(next((i.get("operation") for i in infos), None) or "a commit"),
        hint="read it without STREAM, or start over: qanat run --full-refresh <the reader>",
    )
