"""Deletion vectors: rows that other tools have deleted by their position in a file.

Such a file stays, and what is left of it is a file's rows without those. Who takes the file out of
the table names its vector, too, by which readers know it; the new file has none.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#deletion-vectors
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from qanat.errors import InvariantError, TableTooNewError
from qanat.storage.delta.log import Log
from qanat.storage.delta.retract import last_added
from qanat.storage.delta.state import TableState, local_path


def with_vectors(log: Log, state: TableState) -> TableState:
    """A state whose files know their deletion vectors, as far as the log tells them."""
    if not state.masked:
        return state
    try:
        adds = {a["path"]: a for a in last_added(log, state.version + 1, {*state.paths})}
    except TableTooNewError:
        # In a checkpoint of a kind that only delta-rs reads: so are the rows.
        return state
    files = (replace(f, vector=adds[f.path].get("deletionVector")) for f in state.files)
    return replace(state, files=tuple(files), told=True)


def deleted_rows(log: Log, state: TableState) -> Callable[[], Mapping[str, Sequence[int]]] | None:
    """What gives the rows that are deleted, by the absolute path of their file: from 0 on.

    None if there are none.
    """
    return partial(_deleted, log, state) if state.masked else None


def _deleted(log: Log, state: TableState) -> Mapping[str, Sequence[int]]:
    # Loaded only here: it imports deltalake.
    module = import_module("qanat.storage.delta.table")
    found: dict[str, Sequence[int]] = module.deleted_rows(str(log.table), state.version)
    by_path = {_real(path): rows for path, rows in found.items()}
    deleted: dict[str, Sequence[int]] = {}
    for file in state.files:
        path = local_path(log.table, file.path)
        if file.vector is None or path is None:
            continue
        rows = by_path.get(_real(path), ())
        if len(rows) != file.vector["cardinality"]:
            raise InvariantError(
                f"rows of {log.shown} that are deleted could not be told",
                wanted=f"{file.vector['cardinality']} of {file.path}",
                got=str(len(rows)),
            )
        deleted[path] = rows
    return deleted


def _real(path: str) -> str:
    """A path by the folder that it really is in: delta-rs follows links."""
    found = Path(path)
    return str(found.parent.resolve() / found.name)
