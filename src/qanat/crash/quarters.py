"""The temporary folder of a crash test, removed at its end, or by the next one if it was killed.

The process locks a file in the folder for as long as it lives. If another crash test gets the
lock, the process was killed, and the folder can be removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - tempfile makes a folder in it
_PREFIX = "qanat-crash-"
_LOCK = "lock"
_TRIES = 50
"""Attempts to remove the folder: killed workers may still write to it for a moment."""


def places() -> list[Path]:
    """The folders in which quarters may be made, best first: in memory, then on a disk."""
    return [p for p in (_MEMORY, Path(tempfile.gettempdir())) if os.access(p, os.W_OK | os.X_OK)]


@contextmanager
def quarters(place: Path) -> Iterator[Path]:
    """A temporary folder in `place`, empty except for its lock; removed when the block ends."""
    folder, lock = _made(place)
    try:
        yield folder
    finally:
        for _ in range(_TRIES):
            _remove(folder)
            if not folder.exists():
                break
        os.close(lock)


def sweep_quarters(where: Iterable[Path]) -> None:
    """Remove the folders that killed crash tests of this user have left in some places."""
    for folder in (f for place in where for f in place.glob(f"{_PREFIX}*")):
        # An OSError means that the folder is in use, or is just being made or removed: leave it.
        with suppress(OSError):
            if folder.is_symlink() or folder.lstat().st_uid != os.geteuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(lock)


def _made(place: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        # Another crash test may sweep the new folder before it is locked; then make another.
        with suppress(FileNotFoundError):
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / _LOCK).exists():
                return folder, lock
            os.close(lock)


def _remove(folder: Path) -> None:
    # Remove the lock last: a folder without a lock is never swept.
    for path in folder.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
