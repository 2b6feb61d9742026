"""Renames and removes the folders of tables, as long as the update's gate is there.

A process may be stopped before such a step and wake when another update has finished it, and when
there is another table of that name by then. So the step goes through the gate's folder, as commits
to Delta tables do: a link in it leads to the tables, and the one call that renames a folder finds
it by that link or not at all.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from qanat.disk import explained, sync
from qanat.errors import AdapterError, CommitConflictError

_AWAY = ".dropped-"
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def is_dropped(folder: Path) -> bool:
    """True if a folder is what is left of a table that was removed.

    >>> is_dropped(Path("/tables/.dropped-1f")), is_dropped(Path("/tables/bronze"))
    (True, False)
    """
    return folder.name.startswith(_AWAY)


def rename_folder(old: Path, new: Path, gate: Path | None = None) -> None:
    """Give a folder another name beside it, durably; nothing if it has gone there already.

    Raises:
        CommitConflictError: the gate is gone.
        AdapterError: something else has that name; or the disk refuses.
    """
    with explained("rename", old):
        if old.is_dir():
            try:
                _rename(old, new, gate)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
                raise AdapterError(
                    f"{old} cannot be renamed: there is something else in {new}",
                    hint="move that away and run again",
                ) from error
        if new.parent.is_dir():
            # An earlier attempt may have been killed before this.
            sync(new.parent)


def remove_folder(folder: Path, gate: Path | None = None) -> None:
    """Remove a folder with all that is in it, durably; it is gone at once for whoever reads it.

    What earlier attempts have left goes, too.

    Raises:
        CommitConflictError: the gate is gone.
        AdapterError: the disk refuses.
    """
    parent = folder.parent
    with explained("remove", folder):
        if folder.is_dir():
            _rename(folder, parent / f"{_AWAY}{uuid4().hex}", gate)
        if parent.is_dir():
            # Before anything in it goes: after a power loss there is a whole table or none.
            sync(parent)
            for left in parent.glob(f"{_AWAY}*"):
                shutil.rmtree(left)
            sync(parent)


def _rename(old: Path, new: Path, gate: Path | None) -> None:
    if gate is None:
        old.rename(new)
        return
    try:
        with _link(gate, old.parent) as through:
            (through / old.name).rename(through / new.name)
    except FileNotFoundError as error:
        if gate.is_dir():
            raise
        raise CommitConflictError(
            f"another update took over before this one renamed {old}",
            hint="it was stopped for longer than its lease; nothing of it is lost: run again",
        ) from error


@contextmanager
def _link(gate: Path, folder: Path) -> Iterator[Path]:
    """A link in the gate that leads to a folder."""
    link = gate / f"tables-{uuid4().hex}"
    try:
        link.symlink_to(folder)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without links: look at the gate as late as possible.
        gate.stat()
        yield folder
        return
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)
