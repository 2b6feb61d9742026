"""The log of a table in an object store, with a copy of what has been read of it.

An entry never changes, so what was fetched once is not fetched again, by this process nor, thanks
to the cache, by the next one. Which entries there are is asked once, and again when somebody may
have added some: `look_again`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from qanat import __version__
from qanat.errors import CommitConflictError, SourceNotFoundError
from qanat.model.location import ObjectUrl
from qanat.model.table import CommitGate
from qanat.objects import Objects
from qanat.storage.delta.cache import Cache
from qanat.storage.delta.features import NEW_TABLE
from qanat.storage.delta.log import FENCE, Log
from qanat.storage.delta.remote_moves import pass_gate

_FETCHES = 16

_Known: TypeAlias = tuple[str, int]
"""ETag and size of an object."""


class RemoteLog(Log):
    """See `Log`. Safe to use from several threads.

    Args:
        url: of the table.
        copy: a folder of this process for what it has fetched of the table.
    """

    def __init__(self, url: ObjectUrl, copy: Path, objects: Objects, cache: Cache) -> None:
        super().__init__(copy, str(url))
        self._url = url.below("_delta_log")
        self._objects = objects
        self._cache = cache
        self._lock = threading.RLock()
        self._known: dict[str, _Known] = {}
        self._lists: tuple[list[int], list[int]] = [], []
        self._fresh = False
        self._doubt: tuple[int, bool, CommitGate | None] | None = None
        self.may_grow = False
        """True if an entry that got no answer, and no fence, may still come to be there."""

    # -- what there is -----------------------------------------------------------------------

    def look_again(self) -> None:
        """Ask the store the next time."""
        self._fresh = False

    def version(self) -> int | None:
        """The newest version; None if there is no table, or nothing but fences of one."""
        with self._lock:
            newest = super().version()
            return None if newest is None or self._has_only_fences(newest) else newest

    def probed(self) -> int | None:
        """None: what the store has is known from a list."""

    def has(self, version: int) -> bool:
        """True if a version has an entry."""
        with self._lock:
            return version in self.listed()[0]

    def version_before(self, version: int) -> int | None:
        """The version before another; None if there was no table then, or only fences of one."""
        with self._lock:
            found = super().version_before(version)
            return None if found is None or self._has_only_fences(found) else found

    def last_change(self) -> int | None:
        """See `Log.last_change`."""
        with self._lock:
            return super().last_change()

    def forget(self, names: Iterable[str]) -> None:
        """Know no more of files that were removed."""
        with self._lock:
            gone = set(names)
            for name in gone:
                (self.folder / name).unlink(missing_ok=True)
            self._take({n: k for n, k in self._known.items() if n not in gone})

    def first_version(self) -> int | None:
        """The version of the first commit of a table that is not there; None if it is there."""
        with self._lock:
            newest = super().version()
            if newest is None:
                return 0
            return newest + 1 if self._has_only_fences(newest) else None

    def listed(self) -> tuple[list[int], list[int]]:
        """The versions that have an entry, and those that have a checkpoint, both in order."""
        with self._lock:
            if not self._fresh:
                self._resolve()
                self._list_new()
            return self._lists

    def actions(self, version: int) -> list[dict[str, Any]]:
        """See `Log.actions`; the entry is fetched if need be."""
        with self._lock:
            self.listed()
            self._bring([self.path(version).name])
        return super().actions(version)

    def ready(self, version: int | None = None) -> None:
        """Fetch the newest checkpoint up to a version, and the entries after it."""
        with self._lock:
            commits, checkpoints = self.listed()
            upto = max([*commits[-1:], *checkpoints[-1:]], default=-1)
            upto = upto if version is None else version
            start = max((c for c in checkpoints if c <= upto), default=-1)
            wanted = [self.path(v).name for v in commits if start < v <= upto]
            marks = [f"{v:020}.checkpoint" for v in checkpoints if v == start]
            wanted += [n for n in self._known if any(n.startswith(m) for m in marks)]
            self._bring(wanted)

    def _list_new(self) -> None:
        """List the log: all of it, or what came after the newest entry that is known."""
        known = self._known
        newest = max((n for n in known if n.endswith(".json") and n[0].isdigit()), default=None)
        if newest is not None:
            before = f"{self._url.key}/{int(newest[:20]) - 1:020}.json"
            found = self._list(before if int(newest[:20]) else None)
            if found.get(newest) == known[newest]:
                known = known | found
            else:
                newest = None  # another table has been put in the same place
        if newest is None:
            known = self._list(None)
        for name in self._known.keys() - known.keys():
            (self.folder / name).unlink(missing_ok=True)
        for name in known.keys() & self._known.keys():
            if known[name] != self._known[name]:
                (self.folder / name).unlink(missing_ok=True)
        self._take(known)
        self._fresh = True

    def _list(self, after: str | None) -> dict[str, _Known]:
        skip = len(self._url.key) + 1
        return {
            meta["path"][skip:]: (_plain(meta["e_tag"]), meta["size"])
            for meta in self._objects.below(self._url, after)
            if "/" not in meta["path"][skip:]
        }

    def _take(self, known: dict[str, _Known]) -> None:
        self._known = known
        self._lists = self.versions_of(known)

    def _bring(self, names: Iterable[str]) -> None:
        """Fetch entries that are not here."""
        missing = [n for n in names if n in self._known and not (self.folder / n).exists()]
        if not missing:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if len(missing) == 1:
            self._fetch(missing[0])
            return
        with ThreadPoolExecutor(_FETCHES, "log") as pool:
            list(pool.map(self._fetch, missing))

    def _fetch(self, name: str) -> None:
        etag, _ = self._known[name]
        key, target = f"{self._url.below(name)} {etag}", self.folder / name
        if etag and self._cache.give(key, target):
            return
        try:
            content = self._objects.read(self._url.below(name))
        except SourceNotFoundError:
            return  # another tool has just removed it: who reads it gets a TableCorruptError
        self._write(target, content)
        if etag:
            self._cache.keep(key, target)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that is there as a whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"_{path.name}.{uuid4().hex}")
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    # -- new entries -------------------------------------------------------------------------

    def create(self, version: int, content: bytes, gate: CommitGate | None) -> bool:
        """Create an entry in the store; False if there is one.

        Where the store does not answer, the entry may be there, or come to be there later. Before
        anything else is asked of the log, a fence is put in its place then, if there is still
        room for one.
        """
        with self._lock:
            creates_table = version == 0 or self._has_only_fences(version - 1)
            self._doubt = version, creates_table, gate
            etag = self._objects.create(self._entry(version), content)
            self._doubt = None
            self._fresh = self._fresh and etag is not None
            if etag is not None:
                self._remember(version, etag, content)
            return etag is not None

    def fence(self) -> None:
        """Change the log, and nothing else: all that were about to do so must look again."""
        with self._lock:
            while True:
                self.look_again()
                newest = super().version()
                version = 0 if newest is None else newest + 1
                creates_table = newest is None or self._has_only_fences(newest)
                if self.create(version, _fence(creates_table), None):
                    self.may_grow = False
                    return

    def _resolve(self) -> None:
        if self._doubt is None:
            return
        version, creates_table, gate = self._doubt
        # Once the lease is lost, or its update over, the epoch is open in the ledger: whoever goes
        # on with that puts a fence before it looks.
        try:
            pass_gate(gate, self._url)
            self._objects.create(self._entry(version), _fence(creates_table))
        except CommitConflictError:
            self.may_grow = True
        self._doubt = None

    def _remember(self, version: int, etag: str, content: bytes) -> None:
        path = self.path(version)
        # The commit is made. Where there is no room for a copy, the entry is fetched when needed.
        with suppress(OSError):
            self._write(path, content)
        self._take({**self._known, path.name: (_plain(etag), len(content))})
        if etag:
            self._cache.keep(f"{self._entry(version)} {_plain(etag)}", path)

    def _entry(self, version: int) -> ObjectUrl:
        return self._url.below(self.path(version).name)

    def _has_only_fences(self, newest: int) -> bool:
        """True if all entries are fences: there is no table."""
        commits, checkpoints = self.listed()
        # Where entries were removed, there was a table: only what a checkpoint has goes.
        whole = commits[: newest + 1] == [*range(newest + 1)] and not checkpoints
        return (
            newest >= 0
            and whole
            and all(_is_fence(self.actions(v)) for v in range(newest, -1, -1))
        )


def _fence(creates_table: bool) -> bytes:
    """The content of a fence.

    Args:
        creates_table: True if there is no table: readers want to know what the columns are: none.
    """
    info = {
        "timestamp": time.time_ns() // 1_000_000,
        "operation": FENCE,
        "operationParameters": {},
        "engineInfo": f"Qanat/{__version__}",
    }
    actions: list[dict[str, Any]] = [{"commitInfo": info}]
    if creates_table:
        metadata = {
            "id": str(uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": '{"type":"struct","fields":[]}',
            "partitionColumns": [],
            "configuration": {},
        }
        actions += [NEW_TABLE.action(), {"metaData": metadata}]
    return ("\n".join(json.dumps(a, separators=(",", ":")) for a in actions) + "\n").encode()


def _plain(etag: str | None) -> str:
    """An ETag as all stores have it: Azure puts quotes around it only in some answers."""
    return (etag or "").strip('"')


def _is_fence(actions: list[dict[str, Any]]) -> bool:
    return any(a.get("commitInfo", {}).get("operation") == FENCE for a in actions)
