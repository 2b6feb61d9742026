"""Folders that processes have to themselves while they work.

A process that works holds a lock on a file beside its scratch folder for as long as it lives.
A process that gets that lock knows that the owner is dead, whatever became of its process number
or machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from qanat.disk import explained

_LOCK = ".lock"


class Scratch:
    """One process's folder below `parent`.

    Raises:
        StorageFullError, AdapterError: the folder cannot be made.
    """

    def __init__(self, parent: Path) -> None:
        make_folder(parent)
        self.folder = parent / uuid4().hex
        self._lock = locked(self.folder.with_suffix(_LOCK))
        make_folder(self.folder)

    def close(self) -> None:
        """Remove the folder and release the lock."""
        shutil.rmtree(self.folder, ignore_errors=True)
        # What the disk refuses to remove now, the next update removes.
        with suppress(OSError):
            self.folder.with_suffix(_LOCK).unlink(missing_ok=True)
        os.close(self._lock)


def make_folder(folder: Path) -> None:
    """Make a folder of Qanat's own below the project's storage, and those above it.

    Raises:
        StorageFullError, AdapterError: it cannot be made.
    """
    with explained("make", folder):
        folder.mkdir(parents=True, exist_ok=True)


def may_write(folder: Path) -> bool:
    """True if a folder is there, and this user may write to it."""
    return os.access(folder, os.W_OK | os.X_OK)


def sweep_scratch(parent: Path) -> int:
    """Remove the scratch space of dead processes; how many had left some."""
    swept = 0
    if not parent.is_dir():
        return swept
    for path in parent.iterdir():
        # The lock comes first and goes last. A power loss may take it and leave the folder.
        if path.suffix != _LOCK and not path.with_suffix(_LOCK).exists() and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            swept += 1
    for path in sorted(parent.glob(f"*{_LOCK}")):
        try:
            lock = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)
            swept += 1
        finally:
            os.close(lock)
    return swept


def locked(path: Path) -> int:
    """Make a file and lock it, for as long as this process lives or the handle is open.

    Raises:
        StorageFullError, AdapterError: it cannot be made.
    """
    while True:
        with explained("make", path):
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have swept first: it held the lock and removed the file.
        if path.exists() and os.fstat(lock).st_ino == path.stat().st_ino:
            return lock
        os.close(lock)
