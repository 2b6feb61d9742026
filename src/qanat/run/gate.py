"""What keeps an update that slept too long from committing: its gate, which others close.

A process may be stopped at any instruction for longer than its lease lasts. What it writes to
the ledger then is refused, by the lease's token; but a commit to a table is the making of a
name in a folder, which asks no ledger. So every update writes its log entries in a folder of
its own, its gate, from where they are given their names. Whoever takes over renames that folder
before looking at what was committed. After that no commit of the sleeper can succeed, at
whatever instruction it wakes; everything it committed earlier is seen.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from qanat.disk import explained
from qanat.run.lease import HeldLease
from qanat.run.scratch import make_folder


class Gate:
    """The gate of one update.

    Args:
        parent: where all gates are, in the file system of the tables.
    """

    def __init__(self, parent: Path, lease: HeldLease) -> None:
        self.lease = lease
        self.folder = parent / str(lease.current.token)

    def open(self) -> None:
        """Close all others, and open this one.

        Raises:
            LeaseLostError: somebody else has taken over.
            StorageFullError, AdapterError: the folder cannot be made.
        """
        parent = self.folder.parent
        make_folder(parent)
        with explained("close the gates in", parent):
            # Asked between looking and closing, lest a sleeper close the gate of the update that
            # took over; and after, lest it open its own behind the back of that update.
            others = [f for f in parent.iterdir() if f != self.folder]
            self.lease.confirm()
            for other in others:
                close(other)
            self.folder.mkdir(exist_ok=True)
        self.lease.confirm()

    def close(self) -> None:
        """Close it: the update is over."""
        shutil.rmtree(self.folder, ignore_errors=True)


def close(folder: Path) -> None:
    """Take a folder away from whoever works in it, at once, and remove it."""
    away = folder.with_name(f"closed-{uuid4().hex}")
    with suppress(FileNotFoundError):
        folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)
