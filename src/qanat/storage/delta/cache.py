"""Copies of objects that never change, in a folder of this machine that processes share."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from qanat.disk import sync

_BYTES = 10 * 10**9
"""More is kept only until the next process begins."""


class Cache:
    """Copies by key, which says all that makes an object's content what it is.

    A user of a copy gets a name of its own for it (a hard link), so that whoever makes room here
    takes nothing away from anybody.

    Args:
        folder: made when it is first needed; whatever is in it may be removed at any time.
        limit: bytes to keep.
    """

    def __init__(self, folder: Path, limit: int = _BYTES) -> None:
        self._folder = folder
        self._limit = limit
        self._trimmed = False

    def give(self, key: str, target: Path) -> bool:
        """Put a copy in place; False if there is none."""
        kept = self.path(key)
        try:
            _link(kept, target)
        except (FileNotFoundError, NotADirectoryError):
            return False
        with suppress(OSError):
            # The time of its last use alone: by the other one a log knows its entries again.
            os.utime(kept, ns=(time.time_ns(), kept.stat().st_mtime_ns))
        return True

    def keep(self, key: str, path: Path) -> None:
        """Keep what a file has, durably, if there is room; the file itself may go or change name.

        If that fails, nobody is told: the copy is fetched once more.
        """
        with suppress(OSError):
            self._trim()
            kept = self.path(key)
            kept.parent.mkdir(parents=True, exist_ok=True)
            sync(path)
            beside = kept.with_name(f"{kept.name}.{uuid4().hex}")
            _link(path, beside)
            beside.replace(kept)

    def path(self, key: str) -> Path:
        """Where the copy of a key is, or would be."""
        name = blake2b(key.encode(), digest_size=20).hexdigest()
        return self._folder / name[:2] / name

    def _trim(self) -> None:
        """Remove the copies that were used least recently, once in a process."""
        if self._trimmed:
            return
        self._trimmed = True
        found = []
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_atime_ns, status.st_size, path))
        room = self._limit
        for _, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0:
                path.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError:
        # A file system without hard links, or two of them. Nobody may see half of a copy.
        part = target.with_name(f"_{uuid4().hex}")
        try:
            shutil.copyfile(source, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
