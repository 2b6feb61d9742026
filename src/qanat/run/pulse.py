"""The pulse of an update: a lock that its process holds while it lives, awake or asleep.

Who has lost the lease commits nothing any more; but it may wake, stage files, and be killed before
it removes them. So an update whose pulse is felt is said to run, whoever has taken over: each one
that comes then looks for leftovers, until one of them finds it dead.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from qanat.run.scratch import locked, make_folder


class Pulse:
    """The pulse of this process's update.

    Args:
        parent: where scratch space is: what dead processes leave is swept there.
    """

    def __init__(self, parent: Path, update: str) -> None:
        self._path = _place(parent, update)
        self._lock: int | None = None

    def start(self) -> None:
        """Let it be felt.

        Raises:
            StorageFullError, AdapterError: the file cannot be made.
        """
        if self._lock is not None:
            return  # what came next the first time has failed
        make_folder(self._path.parent)
        self._lock = locked(self._path)

    def stop(self) -> None:
        """The update is over, and has nothing left to remove."""
        if self._lock is None:
            return
        # What the disk refuses to remove now, the next update removes.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def felt(parent: Path, update: str) -> bool:
    """Whether the process of an update still lives."""
    try:
        handle = os.open(_place(parent, update), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _place(parent: Path, update: str) -> Path:
    return parent / f"{update}.lock"
