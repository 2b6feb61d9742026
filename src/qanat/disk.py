"""What it takes for files to survive a power loss, and what it means when the disk says no."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from qanat.errors import AdapterError, CommitConflictError, StorageFullError, disk_full


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, durable.

    A file is there after a power loss when its content was synced and then its name, which is
    in its folder; a new folder when its own name was, in the folder above.

    Raises:
        OSError: the disk could not do it; what was written may be lost.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_path(folder: Path, upto: Path | None = None) -> None:
    """Make the names in a folder durable, its own name, and those of the folders above it.

    Args:
        upto: a folder above whose own name this process has made durable already.

    All the way up, because after a crash it is unknown which of them were new. A folder with
    nothing to write costs nothing to sync; one that this process may not open, it has not made.
    """
    device = folder.stat().st_dev
    for each in (folder, *folder.absolute().parents):
        if each.stat().st_dev != device:
            return
        with suppress(PermissionError):
            sync(each)
        if each == upto:
            return


def remove(*paths: Path) -> None:
    """Remove files, durably: a power loss does not bring them back.

    A file that is not there counts as removed; its folder is synced all the same.

    Raises:
        OSError: a file could not be removed, or a folder not be synced.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     staged = Path(folder, "epoch-7.parquet")
    ...     staged.touch()
    ...     remove(staged)
    ...     staged.exists()
    False
    """
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {p.parent for p in paths}:
        sync(folder)


def append_line(path: Path, text: str) -> None:
    """Add a line to a file, whole also where several processes do; both are made if need be.

    Raises:
        OSError: the disk could not do it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     append_line(Path(folder, "log", "events.ndjson"), "{}")
    ...     Path(folder, "log", "events.ndjson").read_text()
    '{}\\n'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        line = f"{text}\n".encode()
        if os.write(handle, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(handle)


def staged_file(path: Path, size: int) -> os.stat_result:
    """What the disk says of a staged file that is about to be published.

    Raises:
        AdapterError: it is gone, or has no longer the size that its writer left it with.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise disk_error(error, "publish the staged file", path) from error
    if found.st_size != size:
        raise AdapterError(
            f"the staged file {path} changed before it was published",
            wanted=f"{size} bytes",
            got=f"{found.st_size} bytes",
        )
    return found


def disk_error(error: OSError, doing: str, path: object) -> AdapterError:
    """The error to raise for a failed system call; `doing` is like 'commit to'.

    >>> disk_error(OSError(5, "Input/output error"), "commit to", "t").message
    'cannot commit to t'
    """
    if disk_full(error):
        return StorageFullError(
            f"no space left to {doing} {path}",
            hint="free space or point the project's storage elsewhere; nothing is half-written",
        )
    return AdapterError(f"cannot {doing} {path}", got=error.strerror or str(error))


@contextmanager
def explained(doing: str, path: object = None) -> Iterator[None]:
    """Turn a failed system call into an error that says what it was about.

    Args:
        doing: like 'commit to'.
        path: None to take the path that the system call names.

    Raises:
        StorageFullError: the disk, a quota or a limit is full.
        AdapterError: anything else that the system refuses.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, doing, path or error.filename or "the storage") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file of the user's, whole or not at all: the block writes into what it is given.

    A file that is there is replaced, and keeps its permissions; behind a symbolic link it is the
    file that the link leads to. A pipe or a device, such as /dev/stdout, is written to as it is.

    Raises:
        StorageFullError, AdapterError: it cannot be written; what was there is there still.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder, "report.html")) as part:
    ...         n = part.write_text("<html>")
    ...     Path(folder, "report.html").read_text()
    '<html>'
    """
    with explained("write", path):
        there = path.exists()
        if there and not path.is_file():
            yield path
            return
        target = path.resolve()
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            yield part
            if there:
                shutil.copymode(target, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


# A process may be stopped before it renames or removes a folder, and wake when another update has
# done that and there is another table of that name. So such a step goes through the gate's folder,
# as commits to Delta tables do: a link in it leads to the tables, and the one call that renames
# finds the folder by that link or not at all.

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
