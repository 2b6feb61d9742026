"""A file that is there whole, or not at all, and that only one of several writers makes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from uuid import uuid4

from qanat.disk import sync

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def put_if_absent(path: Path, content: bytes, gate: Path | None = None) -> bool:
    """Create a file, whole and durable, unless it exists; whether it was created.

    The content is on disk before the name is: a reader, also one after a power loss, sees
    the whole file or none.

    Args:
        gate: folder in which it is written before it gets its name; without that folder, which
            somebody may take away at any time, it gets none. Default: the folder of `path`.

    Raises:
        FileNotFoundError: the gate is gone.
        OSError: the disk refuses.
    """
    # The name is the one that delta-rs uses, which every reader of the log skips.
    temporary = (gate or path.parent) / f"_commit_{uuid4()}.json.tmp"
    try:
        _write(temporary, content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno == errno.EXDEV and gate is not None:
                # The tables are a file system of their own: the gate holds up nobody there.
                return put_if_absent(path, content)
            if error.errno not in _NO_LINKS:
                raise
            # exFAT and some network mounts have no hard links: there the name appears before
            # the content, for a moment.
            try:
                _write(path, content)
            except FileExistsError:
                return False
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
    return True


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
