"""What checkpoints say that no log entry says any more; read with DuckDB."""

from __future__ import annotations

from glob import escape
from typing import Any

import duckdb

from qanat.errors import TableTooNewError
from qanat.storage.delta.log import Log


def added_in(log: Log, version: int) -> dict[str, dict[str, Any]]:
    """The `add` actions of a checkpoint, by path."""
    found = _read(log, version, "add", "add.path IS NOT NULL")
    return {add["path"]: {k: v for k, v in add.items() if v is not None} for add in found}


def removed_in(log: Log, version: int) -> dict[str, int]:
    """By path, when each file was removed (milliseconds since 1970) whose removal it still has."""
    found = _read(log, version, "remove", "remove.path IS NOT NULL")
    return {r["path"]: int(r["deletionTimestamp"] or 0) for r in found}


def metadata_in(log: Log, version: int) -> dict[str, Any]:
    """The `metaData` action of a checkpoint."""
    (found,) = _read(log, version, "metaData", "metaData.id IS NOT NULL")
    return {k: v for k, v in found.items() if v is not None}


def _read(log: Log, version: int, column: str, where: str) -> list[dict[str, Any]]:
    log.ready(version)
    names = sorted(log.folder.glob(f"{version:020}.checkpoint*"))
    if any(n.suffix != ".parquet" for n in names) or (log.folder / "_sidecars").is_dir():
        raise TableTooNewError(f"cannot look into a checkpoint of {log.shown}: v2Checkpoint")
    with duckdb.connect(":memory:") as con:
        rows = con.execute(
            f"SELECT {column} FROM read_parquet(?, union_by_name = true) WHERE {where}",
            # DuckDB takes every path for a pattern, so the name's own wildcards are escaped.
            [[escape(str(n)) for n in names]],
        )
        return [row for (row,) in rows.fetchall()]
