"""A file that is there whole, or not at all, and that only one of several writers makes."""

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
"""Linux's AT_FDCWD and RENAME_NOREPLACE."""


def put_if_absent(path: Path, content: bytes, gate: Path | None = None) -> bool:
    """Create a file, whole and durable, unless it exists; whether it was created.

    The content is on disk before the name is: a reader, also one after a power loss, sees
    the whole file or none.

    Args:
        gate: folder in which it is written before it gets its name; without that folder, which
            somebody may take away at any time, it gets none. Default: the folder of `path`.

    Raises:
        FileNotFoundError: the gate is gone.
        OSError: the disk refuses. The name may have been given already, and not be durable.
    """
    # The name is the one that delta-rs uses, which every reader of the log skips.
    temporary = (gate or path.parent) / f"_commit_{uuid4()}.json.tmp"
    try:
        _write(temporary, content)
        _name(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno != errno.EXDEV or gate is None:
            raise
        # The tables are a file system of their own: the gate holds up nobody there.
        return put_if_absent(path, content)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
    return True


def _name(temporary: Path, path: Path) -> None:
    """Give a file a name that no other has, in one step where the file system can.

    exFAT and some network mounts have no hard links, but can rename without replacing; on the
    few that can do neither the name appears before the content, for a moment.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if not _renamed(temporary, path):
            _copy(temporary, path)


def _renamed(temporary: Path, path: Path) -> bool:
    """Rename unless the name exists; whether that can be done here."""
    # Hardly anybody needs it.
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
