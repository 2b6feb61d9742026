"""Create a log entry durably, unless there is one, with the standard library alone."""

from __future__ import annotations

import errno
import os
from importlib import import_module
from pathlib import Path
from uuid import uuid4

from qanat.disk import sync

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

_NO_FLAGS = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_HERE, _NOREPLACE = -100, 1
"""Linux's AT_FDCWD and RENAME_NOREPLACE, for `renameat2`."""


def put_if_absent(path: Path, content: bytes, gate: Path | None = None) -> bool:
    """Create a file with its whole content, durably, unless it exists.

    The content is on disk before the name: a reader sees the whole file or none, also after a
    power loss.

    Args:
        path: the file to create.
        content: its bytes.
        gate: the folder in which the file is written before it is linked to `path`. If another
            update removes that folder, the file is not created. On another file system than
            `path` that folder is only looked for, just before the file gets its name. Default:
            the folder of `path`.

    Returns:
        True if the file was created, False if it exists.

    Raises:
        FileNotFoundError: the gate was removed.
        OSError: the disk failed; the file may already have its name, without being durable.
    """
    try:
        created = _put(path, content, gate or path.parent)
    except OSError as error:
        if error.errno != errno.EXDEV or gate is None:
            raise
        # The gate is on another file system than the table, so no link can be made out of it.
        created = _put(path, content, path.parent, gate)
    if created:
        sync(path.parent)
    return created


def _put(path: Path, content: bytes, beside: Path, gate: Path | None = None) -> bool:
    """Write a file in the folder `beside`, and give it its name; False if that exists.

    Args:
        gate: a folder to look for as late as possible before the name is given. An update that
            is put to sleep in between is not stopped.
    """
    # delta-rs uses this name, too, and every reader of the log skips it.
    temporary = beside / f"_commit_{uuid4()}.json.tmp"
    try:
        _write(temporary, content)
        if gate is not None:
            gate.stat()
        _name(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _name(temporary: Path, path: Path) -> None:
    """Give a file its final name unless that name exists; atomic if the file system allows it.

    exFAT and some network mounts have no hard links, but can rename without replacing. A few
    cannot do either; there the name exists for a moment before the content does.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if not _renamed(temporary, path):
            _copy(temporary, path)


def _renamed(temporary: Path, path: Path) -> bool:
    """Rename unless the name exists; returns False if the file system does not support that."""
    # Imported here because only few file systems need it.
    ctypes = import_module("ctypes")
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(temporary), _HERE, os.fsencode(path), _NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_FLAGS:
        return False
    raise OSError(number, os.strerror(number), str(temporary), None, str(path))


def _copy(temporary: Path, path: Path) -> None:
    content = temporary.read_bytes()
    try:
        _write(path, content)
    except FileExistsError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
