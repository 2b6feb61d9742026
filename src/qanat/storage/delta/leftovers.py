"""Finds and removes the files that crashed writers left in a table's folder."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from glob import escape
from importlib import import_module
from os.path import realpath, relpath
from pathlib import Path
from urllib.parse import unquote

from qanat.disk import sync
from qanat.errors import TableTooNewError
from qanat.model.location import ObjectUrl, is_url
from qanat.model.owner import is_staged
from qanat.storage.delta.events import BESIDE, paths_in, paths_of_events
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import local_path

# A file of another tool that no version mentions may belong to a commit that is about to be made,
# so it is kept for a day. Qanat's own files are protected by the lease.
FOREIGN_SECONDS = 24 * 3600
_DATA = re.compile(r".*\.parquet(#\d+)?")
# A folder that is not empty, or that another process has removed.
_CANNOT_REMOVE = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT})
_LOG = re.compile(r"_commit_.*\.json\.tmp|\d{20}\.json#\d+|.*\.checkpoint\..*#\d+")


def _none(path: Path) -> bool:
    return False


def sweep(
    log: Log,
    confirm: Callable[[], object] | None = None,
    spared: Callable[[Path], bool] = _none,
) -> int:
    """Delete the files that no version mentions, and folders that become empty, durably.

    Only files that existed before the call of `confirm` are deleted: an update that takes over
    later stages files under new names.

    All folders are synced, also those without leftovers: an earlier sweep may have been killed
    before its sync, and a power loss would then bring back files that no later sweep looks for.

    deltalake is not imported.

    Args:
        log: the table's log.
        confirm: called before anything is deleted; raises if the lease was lost.
        spared: which files stay, whatever else is so.

    Returns:
        The number of deleted files.

    Raises:
        TableTooNewError: the log has a checkpoint of a kind that Qanat cannot read.
    """
    if not log.table.is_dir():
        return 0
    stale = orphans(log, spared)
    if stale and confirm is not None:
        confirm()
    for path in stale:
        if path.is_dir():
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder in {p.parent for p in stale}:
        remove_empty(folder, log.table)
    for folder in (log.folder, *_folders(log.table)):
        with suppress(FileNotFoundError):
            sync(folder)
    return len(stale)


def orphans(log: Log, spared: Callable[[Path], bool] = _none) -> list[Path]:
    """The files that no version mentions, without those that another tool may still commit."""
    if not log.table.is_dir():
        return []
    files = (path for path in data_files(log.table) if not spared(path))
    found = {str(path.relative_to(log.table)): path for path in files}
    for name in mentioned(log, found):
        found.pop(name, None)
        if not found:
            break
    left = (p for p in _log_leftovers(log) if not spared(p))
    stale = [p for p in (*found.values(), *left) if not _in_flight(p)]
    return [*stale, *(p for p in log.shadows() if not spared(p))]


def is_data(name: str) -> bool:
    """True if a path relative to a table is that of a file with rows or changes of rows.

    >>> is_data("year=2013/a.parquet"), is_data("_delta_log/1.checkpoint.parquet")
    (True, False)
    >>> is_data("_change_data/year=2013/a.parquet"), is_data("_other/a.parquet")
    (True, False)
    """
    *folders, last = name.split("/")
    if folders and folders[0] in BESIDE:
        del folders[0]
    hidden = any(f[:1] in ("_", ".") and "=" not in f for f in folders)
    return not hidden and last[:1] not in ("_", ".") and bool(_DATA.fullmatch(last))


def mentioned(log: Log, wanted: Collection[str], first: int = 0) -> Iterator[str]:
    """Every path in the log, relative to the table, newest first.

    Checkpoints are read only if the log's first entries are gone.

    Args:
        first: entries and checkpoints of earlier versions are not looked at.
    """
    if not wanted:
        return
    for version in reversed([v for v in log.commits() if v >= first]):
        for action in log.actions(version):
            yield from (relative(log, path) for path in paths_in(action))
    # Not only the first one: a power loss may leave that of entries which were cleaned up.
    if log.checkpoints() and (first or not log.whole()):
        yield from (relative(log, path) for path in _in_checkpoints(log, first))


def _in_checkpoints(log: Log, first: int) -> Iterator[str]:
    # Imported here because importing DuckDB takes longer than a sweep, and few logs need it.
    with import_module("duckdb").connect(":memory:") as con:
        for file in log.folder.glob("*.checkpoint*"):
            if file.name < f"{first:020}":
                continue
            if file.suffix != ".parquet" or (log.folder / "_sidecars").is_dir():
                raise TableTooNewError(f"cannot sweep {log.shown}: it needs v2Checkpoint")
            # DuckDB takes every path for a pattern, so the name's own wildcards are escaped.
            rows = con.execute(
                "SELECT add.path, remove.path, metaData.configuration FROM read_parquet(?)",
                [escape(str(file))],
            )
            for *paths, properties in rows.fetchall():
                yield from (path for path in paths if path is not None)
                yield from paths_of_events(properties or {})


def relative(log: Log, path: str) -> str:
    """A path of the log relative to its table, if it is below that: it may be an absolute one."""
    decoded = unquote(path)
    if is_url(log.shown) and ObjectUrl.is_known(decoded):
        # By the key alone: tools differ in how they write a store's scheme, and Azure's account.
        return ObjectUrl.parse(decoded).key.removeprefix(f"{ObjectUrl.parse(log.shown).key}/")
    if decoded.startswith("file:"):
        # Who wrote it may have come here by another way.
        return relpath(realpath(local_path(log.table, path) or decoded), realpath(log.table))
    return decoded


def data_files(table: Path) -> Iterator[Path]:
    """All files below a table's folder that may have rows, or changes of rows."""
    for folder in _folders(table):
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if not e.is_dir(follow_symlinks=False)]
        # The Delta protocol: names that begin with `_` or `.` are not data.
        yield from (folder / n for n in names if n[0] not in "_." and _DATA.fullmatch(n))


def _folders(table: Path) -> Iterator[Path]:
    """A table's folder, those of its partitions and those beside them; not `_delta_log`."""
    yield from _partitions(table)
    for name in sorted(BESIDE):
        if (beside := table / name).is_dir() and not beside.is_symlink():
            yield from _partitions(beside)


def _partitions(folder: Path) -> Iterator[Path]:
    yield folder
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    for name in found:
        if "=" in name or name[0] not in "_.":
            yield from _partitions(folder / name)


def _log_leftovers(log: Log) -> Iterator[Path]:
    if log.folder.is_dir():
        yield from (p for p in log.folder.iterdir() if _LOG.fullmatch(p.name))


def _in_flight(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return True
    return is_left_by_others(path.name, age)


def is_left_by_others(name: str, age: float) -> bool:
    """True if a file may belong to a commit that another tool is about to make.

    Args:
        name: of the file, without folders.
        age: of the file, in seconds.
    """
    return not is_staged(name) and age < FOREIGN_SECONDS


def remove_empty(folder: Path, table: Path) -> None:
    """Remove a folder of a table, and those above it, as far as they are empty."""
    while folder != table:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in _CANNOT_REMOVE:
                raise
            return
        folder = folder.parent
