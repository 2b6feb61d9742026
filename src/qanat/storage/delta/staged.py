"""The actions that name the new files of a commit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from qanat.disk import staged_file
from qanat.model.schema import Field, Primitive
from qanat.model.staged import DataFile
from qanat.model.table import Change, Commit
from qanat.storage.delta.events import encoded
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import TableState
from qanat.storage.delta.statistics import statistics_text


def shift(commit: Commit, state: TableState | None, log: Log) -> int:
    """By how many milliseconds new files are later than the disk says: 0, but for one case.

    The clock may have been set back. By their moments files are in the order in which they were
    added, so those of a commit come after all that the table has, and keep their own order.
    """
    if state is None or commit.change is Change.REPLACE or not state.files:
        return 0
    new = (f for f in (*commit.files, *(commit.rewritten or ())) if f.since_ms is None)
    first = min((_written_ms(f, log) for f in new), default=None)
    return 0 if first is None else max(0, state.newest_ms + 1 - first)


def _written_ms(file: DataFile, log: Log) -> int:
    return staged_file(log.table / file.path, file.size).st_mtime_ns // 1_000_000


def added(commit: Commit, file: DataFile, log: Log, later: int) -> dict[str, Any]:
    """A data file; `later` is what `shift` says."""
    written = _written_ms(file, log)
    return {
        "path": encoded(file.path),
        "partitionValues": _partition_values(commit, file),
        "size": file.size,
        "modificationTime": file.since_ms or written + later,
        "dataChange": True,
        "stats": statistics_text(file, commit.schema, commit.partition_by),
    }


def changed(commit: Commit, file: DataFile, log: Log) -> dict[str, Any]:
    """A file of the feed of changes."""
    staged_file(log.table / file.path, file.size)
    return {
        "path": encoded(file.path),
        "partitionValues": _partition_values(commit, file),
        "size": file.size,
        "dataChange": False,
    }


def _partition_values(commit: Commit, file: DataFile) -> dict[str, str | None]:
    return {
        name: partition_text(value, commit.schema.get(name))
        for name, value in file.partition_values.items()
    }


def partition_text(value: str | None, field: Field | None) -> str | None:
    """A partition value as the Delta protocol writes it.

    >>> partition_text("1970-01-01 00:00:00+00", Field("at", Primitive("timestamp")))
    '1970-01-01T00:00:00.000000Z'
    """
    if value is None or field is None or field.type != Primitive("timestamp"):
        return value
    if value.endswith("Z"):
        return value  # of files that are written again
    # The engine's sessions are in UTC.
    moment = datetime.fromisoformat(value.removesuffix("+00"))
    return moment.isoformat(timespec="microseconds") + "Z"
