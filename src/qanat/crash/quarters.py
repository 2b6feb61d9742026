"""Where a crash test has its copies: a folder that is gone afterwards, at the latest by the next.

The process holds a lock on a file in it for as long as it lives: who gets it knows that a crash
test was killed.
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
"""What is being killed may still write while its folder is removed."""


def places() -> list[Path]:
    """Where the folder may be, the best one first: in memory, then on a disk."""
    return [p for p in (_MEMORY, Path(tempfile.gettempdir())) if os.access(p, os.W_OK | os.X_OK)]


@contextmanager
def quarters(place: Path) -> Iterator[Path]:
    """A folder in one of the places, empty but for its lock."""
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
    """Remove what crash tests of this user that were killed have left in some places."""
    for folder in (f for place in where for f in place.glob(f"{_PREFIX}*")):
        # Without a lock it is just being made, or removed; or a crash test is at work in it.
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
        # Somebody who sweeps may have the lock first, and remove it all.
        with suppress(FileNotFoundError):
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / _LOCK).exists():
                return folder, lock
            os.close(lock)


def _remove(folder: Path) -> None:
    # The lock goes last: what is left without one, nobody would remove.
    for path in folder.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
