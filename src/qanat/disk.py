"""What it takes for files to survive a power loss, and what it means when the disk says no."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qanat.errors import AdapterError, StorageFullError, disk_full


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
