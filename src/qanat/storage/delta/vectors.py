"""Deletion vectors: rows that other tools have deleted by their position in a file.

Such a file stays, and what is left of it is a file's rows without those. Who takes the file out of
the table names its vector, too, by which readers know it; the new file has none.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#deletion-vectors
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from uuid import UUID

from qanat.errors import InvariantError, TableTooNewError
from qanat.storage.delta.files import Files
from qanat.storage.delta.log import Log
from qanat.storage.delta.retract import last_added
from qanat.storage.delta.state import LiveFile, TableState, local_path

_INLINE, _BESIDE = "i", "u"
"""How a vector is stored: in the log, in a file of the table, or (`p`) at any path."""
_UUID = 20
"""Characters of the identifier at the end of a file's name."""
_AROUND = 8
"""Bytes around a vector in its file: its length before it, a checksum behind it."""
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_TO_B85 = bytes.maketrans(_Z85, _B85)


def with_vectors(log: Log, state: TableState) -> TableState:
    """A state whose files know their deletion vectors, as far as the log tells them."""
    if not state.masked:
        return state
    try:
        adds = {a["path"]: a for a in last_added(log, state.version + 1, {*state.paths})}
    except TableTooNewError:
        # In a checkpoint of a kind that only delta-rs reads: so are the rows.
        return state
    files = tuple(replace(f, vector=adds[f.path].get("deletionVector")) for f in state.files)
    return replace(state, files=files, told=True, masked=any(f.vector for f in files))


def deleted_rows(
    files: Files, state: TableState
) -> Callable[[], Mapping[str, Sequence[int]]] | None:
    """What gives the rows that are deleted, by the absolute path of their file: from 0 on.

    None if there are none.
    """
    return partial(_deleted, files, state) if state.masked else None


def can_be_fetched(state: TableState) -> bool:
    """True if all vectors are in the log or in files of the table, wherever that lies."""
    vectors = (f.vector for f in state.files if f.vector)
    return state.told and all(v["storageType"] in (_INLINE, _BESIDE) for v in vectors)


def vector_files(state: TableState) -> list[LiveFile]:
    """The files that hold the vectors of a table, each with the bytes up to its last vector."""
    ends: dict[str, int] = {}
    for vector in (f.vector for f in state.files if f.vector):
        if vector["storageType"] == _BESIDE:
            name = vector_file(vector["pathOrInlineDv"])
            end = (vector.get("offset") or 0) + vector["sizeInBytes"] + _AROUND
            ends[name] = max(end, ends.get(name, 0))
    return [LiveFile(name, end, None) for name, end in ends.items()]


def vector_file(told: str) -> str:
    """The path of a vector's file in its table: a folder, and the identifier in Z85.

    >>> vector_file("ab^-aqEH.-t@S}K{vb[*k^")
    'ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin'
    """
    folder, text = told[:-_UUID], told[-_UUID:]
    # Python 3.11 has no Z85; it is base 85 with other characters.
    identifier = UUID(bytes=base64.b85decode(text.encode().translate(_TO_B85)))
    name = f"deletion_vector_{identifier}.bin"
    return f"{folder}/{name}" if folder else name


def _deleted(files: Files, state: TableState) -> Mapping[str, Sequence[int]]:
    log = files.log
    if (fetch := files.fetching(vector_files(state))) is not None:
        fetch()
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
