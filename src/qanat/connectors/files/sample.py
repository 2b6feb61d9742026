"""The heads of files: enough to tell their columns, without reading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from qanat.connectors.files.content import HEAD, is_plain, open_content
from qanat.connectors.files.format import FileFormat
from qanat.errors import FileUnreadableError
from qanat.model.location import is_url
from qanat.model.record import FileRef

_FILES = 200
"""How many files are looked at; of more, ones spread over all."""

_WHOLE = 64 * 1024 * 1024
"""Bytes up to which a file is taken whole that cannot be cut."""

_LINES = frozenset({"csv", "tsv", "ndjson"})


def spread(files: Sequence[FileRef]) -> tuple[FileRef, ...]:
    """Some of the files that have content, the first and the last among them.

    >>> [f.path for f in spread([FileRef(str(n), 1, 0) for n in range(3)])]
    ['0', '1', '2']
    """
    full = [f for f in files if f.size]
    if len(full) <= _FILES:
        return tuple(full)
    step = (len(full) - 1) / (_FILES - 1)
    return tuple(full[round(i * step)] for i in range(_FILES))


def heads(
    files: Sequence[FileRef], format: str, each: Sequence[FileFormat], folder: Path
) -> list[FileRef]:
    """The same files cut short where that is possible; large ones that cannot be are left out.

    Raises:
        FileUnreadableError: a file may not be read, or its compression is damaged.
    """
    found = []
    for file, shape in zip(files, each, strict=True):
        text = format in _LINES and shape.compression in (None, "gzip") and not is_url(file.path)
        if text and file.size > HEAD and (head := _plain_head(file, shape)):
            found.append(_cut(file, head, folder))
        elif format in ("parquet", "orc") or file.size <= _WHOLE:
            found.append(file)
    return found


def _plain_head(file: FileRef, shape: FileFormat) -> bytes:
    """The first bytes of a file; none if they are no text in UTF-8, which alone can be cut."""
    try:
        with open_content(file.path, shape.compression) as content:
            head = bytes(content.read(HEAD))
    except (OSError, EOFError) as error:
        raise FileUnreadableError(
            f"the file {file.path!r} cannot be read", got=str(error)
        ) from error
    return head if is_plain(head, shape) else b""


def _cut(file: FileRef, head: bytes, folder: Path) -> FileRef:
    # Only whole lines; a last one without an end would look malformed.
    end = head.rfind(b"\n") + 1
    path = Path(file.path)
    # Folders like `year=2024` are columns.
    partitions = [part for part in path.parts[:-1] if "=" in part]
    target = folder.joinpath(uuid4().hex, *partitions, path.name.removesuffix(".gz"))
    target.parent.mkdir(parents=True)
    target.write_bytes(head[:end] if end else head)
    status = target.stat()
    return replace(file, path=str(target), size=status.st_size, modified_ns=status.st_mtime_ns)
