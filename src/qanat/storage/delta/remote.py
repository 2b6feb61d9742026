"""The files of tables in object stores.

An object appears whole or not at all, and is durable once the store has answered. What makes a
commit atomic is the conditional put of its log entry: it is created unless there is one. No gate
on this machine can stop a sleeper's request that is under way, so two things do together:

1. A commit reads the log, *then* asks the ledger whether the lease is still held, then puts its
   entry at the very next version.
2. An update that takes over puts a fence, an entry that changes nothing, before it looks.

A sleeper that asked before it lost its lease finds its version taken, by the fence or by what came
before it; one that asks later gives way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote
from uuid import uuid4

from qanat.disk import staged_file
from qanat.errors import (
    AdapterError,
    CommitConflictError,
    FileVanishedError,
    TableTooNewError,
    UnsupportedError,
    full_refresh,
)
from qanat.model.location import ObjectUrl
from qanat.model.staged import DataFile
from qanat.model.table import CommitGate, TableRef
from qanat.objects import CHUNK, Objects, failures
from qanat.ports.store import LocalFolders
from qanat.storage.delta.cache import Cache
from qanat.storage.delta.events import paths_in
from qanat.storage.delta.files import Files
from qanat.storage.delta.leftovers import is_data, is_left_by_others, mentioned
from qanat.storage.delta.log import version_of
from qanat.storage.delta.remote_log import RemoteLog
from qanat.storage.delta.remote_moves import drop, move, pass_gate
from qanat.storage.delta.state import LiveFile, local_path

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only

_TRANSFERS = 8
_LISTINGS = 32
_PROBES = "_qanat_probes"
_PROBED = 3
_SIDECARS = "_delta_log/_sidecars/"


class Remote:
    """All tables in object stores that a process works with.

    Args:
        folders: where copies are kept.
    """

    def __init__(self, folders: LocalFolders) -> None:
        self.objects = Objects()
        self.cache = Cache(folders.cache / "objects")
        self._folders = folders
        self._tables: dict[str, RemoteFiles] = {}
        self._conditional: set[str] = set()
        self._lock = threading.Lock()

    def tables(self, place: str) -> list[TableRef]:
        """All folders right below a URL, each as a table."""
        url = ObjectUrl.parse(place)
        names = (PurePosixPath(key).name for key in self.objects.folders(url))
        found = sorted(TableRef(f"{url}/{name}", unquote(name)) for name in names)
        with ThreadPoolExecutor(_LISTINGS, "list") as pool:
            return [
                t for t, there in zip(found, pool.map(self._holds, found), strict=True) if there
            ]

    def _holds(self, table: TableRef) -> bool:
        """True unless nothing is in a folder: some stores keep one whose content is gone."""
        try:
            commits, checkpoints = self.files(table.location).log.listed()
            below = self.objects.below(ObjectUrl.parse(table.location))
            return bool(commits or checkpoints) or next(below, None) is not None
        except CommitConflictError:
            return True  # what is wrong is told to whoever asks for the table later

    def files(self, location: str) -> RemoteFiles:
        """The files of the table at a URL."""
        with self._lock:
            found = self._tables.get(location)
            if found is None:
                copy = self._folders.scratch() / "objects" / _digest(location)
                found = RemoteFiles(self, ObjectUrl.parse(location.rstrip("/")), copy)
                self._tables[location] = found
            return found

    def look_again(self, locations: Sequence[str] = ()) -> None:
        """What is new in the logs is asked the next time; of some tables at once."""
        for files in list(self._tables.values()):
            files.log.look_again()
        if len(locations) > 1:
            with ThreadPoolExecutor(_LISTINGS, "list") as pool:
                list(pool.map(self._list_log, locations))

    def _list_log(self, location: str) -> None:
        # What is wrong is told to whoever asks for the table later.
        with suppress(AdapterError, CommitConflictError):
            self.files(location).log.listed()

    def check_conditional(self, url: ObjectUrl) -> None:
        """Refuse a store that replaces an object which it was to create; asked once.

        Raises:
            UnsupportedError: it does.
        """
        mark = self._folders.cache / "conditional" / _digest(*_endpoints(), url.store)
        if url.store in self._conditional or mark.exists():
            return
        folder = url.below(_PROBES)
        # What probes left that were cut short. Others may be at it: that is why one who can
        # create an object twice tries again before it blames the store.
        left = [meta["path"] for meta in self.objects.below(folder)]
        self.objects.delete(ObjectUrl(url.store, key) for key in left)
        if all(self._created_twice(folder.below(uuid4().hex)) for _ in range(_PROBED)):
            raise UnsupportedError(
                f"tables cannot be kept in {url.store}: two writers could replace each other's"
                " commits",
                wanted="a store with conditional puts (If-None-Match: *)",
                got="one that replaced an object which was only to be created",
                hint="use another store, or a newer version of this one",
            )
        self._conditional.add(url.store)
        with suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()

    def _created_twice(self, probe: ObjectUrl) -> bool:
        try:
            self.objects.create(probe, b"")
            twice = self.objects.create(probe, b"") is not None
        except AdapterError:
            with suppress(AdapterError):
                self.objects.delete([probe])
            raise
        self.objects.delete([probe])
        return twice


class RemoteFiles:
    """The files of one table in an object store (see `qanat.storage.delta.files.Files`).

    Args:
        copy: the folder of this process in which they are staged and read.
    """

    def __init__(self, remote: Remote, url: ObjectUrl, copy: Path) -> None:
        self._remote = remote
        self._objects = remote.objects
        self._cache = remote.cache
        self._uploaded: dict[str, int] = {}
        """By path, the newest version that was known when a file was uploaded, while its commit is
        being made."""
        self.url = url
        self.log = RemoteLog(url, copy, remote.objects, remote.cache)

    def look_again(self) -> None:
        """See `RemoteLog.look_again`."""
        self.log.look_again()

    def first_version(self) -> int | None:
        """See `RemoteLog.first_version`."""
        return self.log.first_version()

    def put(
        self, version: int, content: bytes, gate: CommitGate | None, new_folder: bool = False
    ) -> bool:
        """Create a log entry, once the ledger says that the lease is still held."""
        self._remote.check_conditional(self.url)
        pass_gate(gate, self.url)
        return self.log.create(version, content, gate)

    def upload(self, files: Sequence[DataFile]) -> None:
        """Write staged files to the store: small ones at once, large ones in parts."""
        new = [f for f in files if f.path not in self._uploaded]
        newest = max(self.log.commits(), default=-1)
        self._uploaded |= {f.path: newest for f in new}
        for file in new:
            staged_file(self.log.table / file.path, file.size)
        small = [f for f in new if f.size <= CHUNK]
        with ThreadPoolExecutor(_TRANSFERS, "upload") as pool:
            list(pool.map(self._upload, small))
        for file in new:
            if file.size > CHUNK:
                self._upload(file)

    def _upload(self, file: DataFile) -> None:
        url, path = self.url.below(file.path), self.log.table / file.path
        self._objects.upload(url, path)
        self._cache.keep(_key(url, file.size), path)

    def withdraw(self, files: Sequence[DataFile]) -> None:
        """Delete what was uploaded, unless a commit names it that was made without our knowing.

        If the store does not answer, they stay: a sweep finds them.
        """
        names = {f.path for f in files} & self._uploaded.keys()
        if not names:
            return
        before = min(self._uploaded.pop(name) for name in names)
        with suppress(AdapterError, CommitConflictError):
            self.log.look_again()
            later = [v for v in self.log.commits() if v > before]
            if self.log.may_grow:
                return  # whoever fences the table sweeps them
            named = (path for v in later for a in self.log.actions(v) for path in paths_in(a))
            if names.isdisjoint(unquote(path) for path in named):
                self._objects.delete(self.url.below(name) for name in names)

    def forget(self, files: Sequence[DataFile]) -> None:
        """Their commit is made, or never will be: no longer remember that they were uploaded."""
        for file in files:
            self._uploaded.pop(file.path, None)

    def fetching(self, files: Sequence[LiveFile]) -> Callable[[], None] | None:
        """What fetches data files that are not here."""
        return partial(self._fetch_all, tuple(files)) if files else None

    def _fetch_all(self, files: tuple[LiveFile, ...]) -> None:
        missing = [
            (file, path)
            for file in files
            if (found := local_path(self.log.table, file.path)) is not None
            and not _is_whole(path := Path(found), file.size)
        ]
        if missing:
            with ThreadPoolExecutor(_TRANSFERS, "download") as pool:
                list(pool.map(self._fetch, missing))

    def _fetch(self, wanted: tuple[LiveFile, Path]) -> None:
        file, path = wanted
        url = self.url.below(path.relative_to(self.log.table).as_posix())
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._cache.give(_key(url, file.size), path):
            return
        part = path.with_name(f"_{uuid4().hex}")
        try:
            with failures(url, "read"):
                self._download(url, part, file.size)
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self._cache.keep(_key(url, file.size), path)

    def _download(self, url: ObjectUrl, target: Path, size: int) -> None:
        try:
            self._objects.download(url, target, size)
        except FileNotFoundError as error:
            raise FileVanishedError(
                f"{self.url} lost rows that its log still names",
                got=f"{url} is gone (vacuumed?)",
                hint=f"start over from what is there: {full_refresh()}",
            ) from error

    def missing(self, files: Sequence[LiveFile]) -> Sequence[str]:
        """The objects that are not there."""
        there = {meta["path"] for meta in self._objects.below(self.url)}
        paths = (local_path(self.log.table, f.path) for f in files)
        names = (Path(p).relative_to(self.log.table).as_posix() for p in paths if p is not None)
        wanted = (self.url.below(name) for name in names)
        return tuple(str(url) for url in wanted if url.key not in there)

    def secure(self) -> None:
        """Nothing: an object is durable when the store has answered."""

    def repair(self, check_writable: Callable[[], None]) -> bool:
        """Fence the table: no entry is ever torn."""
        self._remote.check_conditional(self.url)
        check_writable()
        self.log.fence()
        return False

    def checkpoint(self, gate: CommitGate | None) -> None:
        """Write a checkpoint of the newest version, from the copy of the log."""
        self.log.ready()

        def keep(path: Path, name: str) -> None:
            pass_gate(gate, self.url)
            self._objects.upload(self.url.below(f"_delta_log/{name}"), path)

        import_module("qanat.storage.delta.table").checkpoint(self.log, None, keep)
        self.log.look_again()

    def orphans(self, spared: Callable[[Path], bool]) -> int:
        """How many objects `sweep` would delete now."""
        return len(self._orphans(spared))

    def sweep(self, confirm: Callable[[], object] | None, spared: Callable[[Path], bool]) -> int:
        """Delete the objects that no version mentions; how many."""
        found = self._orphans(spared)
        if found and confirm is not None:
            confirm()
        self._objects.delete(self.url.below(name) for name in found)
        return len(found)

    def _orphans(self, spared: Callable[[Path], bool]) -> list[str]:
        skip = len(self.url.key) + 1
        found: dict[str, ObjectMeta] = {}
        for meta in self._objects.below(self.url):
            name = meta["path"][skip:]
            if name.startswith(f"{_PROBES}/") or (is_data(name) and not spared(Path(name))):
                found[name] = meta
            if name.startswith(_SIDECARS):
                raise TableTooNewError(f"cannot sweep {self.url}: it needs v2Checkpoint")
        self.log.look_again()
        self.log.ready()
        for name in mentioned(self.log, found):
            found.pop(name, None)
            if not found:
                break
        now = time.time()
        return [
            name
            for name, meta in found.items()
            if name.startswith(f"{_PROBES}/")
            or not is_left_by_others(Path(name).name, now - meta["last_modified"].timestamp())
        ]

    def inventory(self) -> Iterator[tuple[str, int, float]]:
        """All objects with rows, whether a version has them or not."""
        skip = len(self.url.key) + 1
        for meta in self._objects.below(self.url):
            name = meta["path"][skip:]
            if name.startswith(_SIDECARS):
                raise TableTooNewError(f"cannot clean up {self.url}: it needs v2Checkpoint")
            if is_data(name):
                yield name, meta["size"], meta["last_modified"].timestamp()

    def log_files(self) -> Iterator[tuple[int, str, float]]:
        """The objects of the log that are a version's."""
        folder = self.url.below("_delta_log")
        skip = len(folder.key) + 1
        for meta in self._objects.below(folder):
            if (version := version_of(meta["path"][skip:])) is not None:
                yield version, meta["path"][skip:], meta["last_modified"].timestamp()

    def clean(self, data: Sequence[str], log: Sequence[str]) -> None:
        """Delete data files, then those of the log."""
        self._objects.delete(self.url.below(name) for name in data)
        self._objects.delete(self.url.below(f"_delta_log/{name}") for name in log)
        self.log.forget(log)

    def move(self, to: Files, gate: CommitGate | None) -> None:
        """Copy all objects, then delete them here."""
        move(self._objects, self.url, ObjectUrl.parse(to.log.shown), gate)
        self._remote.look_again()

    def drop(self, gate: CommitGate | None) -> None:
        """Delete all objects."""
        drop(self._objects, self.url, gate)
        self._remote.look_again()


def _digest(*texts: str) -> str:
    return blake2b("\n".join(texts).encode(), digest_size=10).hexdigest()


def _endpoints() -> Iterator[str]:
    """Where the environment says that stores are: tests have many of one name."""
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AZURITE_BLOB_STORAGE_URL")
    return (os.environ.get(name, "") for name in names)


def _is_whole(path: Path, size: int) -> bool:
    """True if a copy has all bytes that are wanted: of files of vectors, some want only a part."""
    return path.exists() and path.stat().st_size >= size


def _key(url: ObjectUrl, size: int) -> str:
    """What a data file is known by: no two writers give theirs the same name."""
    return f"{url} {size}"
