"""What tells others that the process of an update is alive.

A process that was stopped for longer than its lease lasted (a sleeper, see `lease`) may still
wake, stage files, and be killed before it removes them. So an update that has a pulse counts as
running, even after another has ended its lease: every later update looks for its leftovers, until
one finds it dead.
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
        """Take the lock that tells others that this process is alive.

        Raises:
            StorageFullError, AdapterError: the file cannot be made.
        """
        if self._lock is not None:
            return  # started before, by an attempt to begin that failed later
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


def has_pulse(parent: Path, update: str) -> bool:
    """True if the process of an update still lives."""
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
