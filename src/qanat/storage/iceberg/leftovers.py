"""Files that crashed writers left behind.

What no snapshot mentions was never part of the table, or is no longer. But another tool may be
about to commit it, so files that may be another tool's stay for a day. Ours is known by its name;
a metadata file, which every writer calls alike, by its purpose: to bring a snapshot of ours that
never came.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pyiceberg.io import FileIO

from qanat.disk import sync
from qanat.errors import TableCorruptError
from qanat.model.owner import is_staged
from qanat.model.table import TableRef
from qanat.storage.iceberg.catalog import Registered, read_history
from qanat.storage.iceberg.disk import UNFINISHED
from qanat.storage.iceberg.history import MOVED, TRANSACTIONS, History
from qanat.storage.iceberg.manifests import manifests

_FOREIGN_SECONDS = 24 * 3600
_OURS = re.compile(rf"qanat-.*\.avro|snap-.*-qanat-.*\.avro|.*{re.escape(UNFINISHED)}")
_METADATA = ".metadata.json"


def sweep(
    table: TableRef,
    base: Registered | None,
    io: FileIO | None,
    confirm: Callable[[], object] | None,
    fence: Callable[[], Registered | None],
    spared: Callable[[Path], bool],
) -> int:
    """Delete files that no snapshot mentions and empty folders, durably; how many files.

    Those that were there before `confirm` was called, and no other: names are never used again.

    A commit may be asleep in the very exchange that will name a file that nothing mentions yet.
    So a fence is made before anything is deleted: what comes before it is seen, and spared.

    Folders are synced even if nothing was found in them: an update may have crashed after it had
    deleted files and before it synced.
    """
    if not table.folder.is_dir():
        return 0
    stale = orphans(table, base, io, spared)
    if stale and confirm is not None:
        confirm()
    if stale and base is not None and io is not None:
        still = set(orphans(table, fence(), io, spared))
        stale = [p for p in stale if p in still]
    for path in stale:
        path.unlink(missing_ok=True)
    data = table.folder / "data"
    for folder in {p.parent for p in stale}:
        _remove_empty(folder, data)
    for folder in (table.folder, *_folders(data), *_folders(table.folder / "metadata")):
        with suppress(FileNotFoundError):
            sync(folder)
    return len(stale)


def orphans(
    table: TableRef,
    base: Registered | None,
    io: FileIO | None,
    spared: Callable[[Path], bool],
) -> list[Path]:
    """The files that no snapshot mentions and that no other tool may be about to commit.

    Args:
        spared: which files stay, whatever else is so.
    """
    folder = table.folder
    found = {
        str(p.relative_to(folder)): p
        for part in ("data", "metadata")
        for p in _files(folder / part)
        if not spared(p)
    }
    if not found:
        return []
    if base is not None and io is not None:
        here = base.moved_from or table.location
        for location in _mentioned(base, io):
            found.pop(location.removeprefix("file://").removeprefix(f"{here}/"), None)
    history = base.history if base else History({})
    return [p for p in found.values() if _is_stale(p, history)]


def _mentioned(base: Registered, io: FileIO) -> Iterator[str]:
    """The location of every file that a snapshot needs, or needed."""
    metadata = base.history.metadata
    yield base.metadata_location
    for kind in ("statistics", "partition-statistics"):
        yield from (s["statistics-path"] for s in metadata.get(kind) or ())
    yield from (e["metadata-file"] for e in metadata.get("metadata-log") or ())
    seen: set[str] = set()
    for made in base.history.known.values():
        yield made.manifests
        for manifest in manifests(io, made.manifests):
            path = manifest.manifest_path
            if path in seen:
                continue
            seen.add(path)
            yield path
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=False):
                yield entry.data_file.file_path


def _is_stale(path: Path, history: History) -> bool:
    if path.name.endswith(_METADATA):
        ours = _wanted_to_bring_ours(path, history)
    elif path.suffix == ".avro" or path.name.endswith(UNFINISHED):
        ours = bool(_OURS.fullmatch(path.name))
    else:
        ours = is_staged(path.name)
    if ours:
        return True
    try:
        return time.time() - path.stat().st_mtime >= _FOREIGN_SECONDS
    except FileNotFoundError:
        return False


def _wanted_to_bring_ours(path: Path, history: History) -> bool:
    """True if a metadata file was to publish something of ours, and did not."""
    try:
        unpublished = read_history(path)
    except TableCorruptError:
        return False
    if unpublished.properties.get(MOVED) != history.properties.get(MOVED):
        return True
    head = unpublished.head
    if head is None:
        return TRANSACTIONS in unpublished.properties
    return head.id not in history.known and TRANSACTIONS in head.summary


def _files(folder: Path) -> Iterator[Path]:
    for each in _folders(folder):
        with os.scandir(each) as entries:
            yield from (each / e.name for e in entries if not e.is_dir(follow_symlinks=False))


def _folders(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    yield folder
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    for name in found:
        yield from _folders(folder / name)


def _remove_empty(folder: Path, data: Path) -> None:
    while folder != data and folder.is_relative_to(data):
        try:
            folder.rmdir()
        except OSError:
            # The folder is not empty, or another process has removed it: both are fine.
            return
        folder = folder.parent
