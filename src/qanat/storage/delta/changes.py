"""What a table gained between two versions, read from its commits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from qanat.errors import NotAppendOnlyError
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import LiveFile


def added_files(log: Log, after: int, upto: int) -> Iterator[LiveFile]:
    """The files with new rows of the versions after `after`, up to and with `upto`.

    Commits that only rearrange rows (compaction) are passed over: the files they replaced
    still lie in the folder until somebody vacuums it.

    Raises:
        NotAppendOnlyError: a version removed or rewrote rows.
        TableCorruptError: the log no longer reaches back to `after`.
    """
    for version in range(after + 1, upto + 1):
        actions = log.actions(version)
        files = []
        for action in actions:
            remove, add = action.get("remove"), action.get("add")
            if remove and remove.get("dataChange", True):
                raise _rewritten(log, version, actions)
            if add and add.get("dataChange", True):
                if add.get("deletionVector"):
                    raise _rewritten(log, version, actions)
                files.append(LiveFile(add["path"], add["size"], rows_of(add)))
        yield from files


def rows_of(add: Mapping[str, Any]) -> int | None:
    """How many rows an `add` action says its file has, if it does."""
    stats = json.loads(add.get("stats") or "{}")
    rows = stats.get("numRecords")
    return rows if isinstance(rows, int) else None


def _rewritten(log: Log, version: int, actions: list[dict[str, Any]]) -> NotAppendOnlyError:
    operations = (a["commitInfo"].get("operation") for a in actions if "commitInfo" in a)
    return NotAppendOnlyError(
        f"{log.table} is read as a stream, but its version {version} removed or rewrote rows",
        wanted="appends only",
        got=str(next(operations, None) or "a commit"),
        hint="read it without STREAM, or start over: qanat run --full-refresh <the reader>",
    )
