"""The Delta log as files: `_delta_log/<version>.json`.

Read with the standard library alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from qanat.disk import disk_error, sync, sync_path
from qanat.errors import TableCorruptError, full_refresh

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.(?:.+\.)?(?:parquet|json)")
_VERSIONED = re.compile(r"(\d{20})\.(?:json|crc|checkpoint\..+)")
# Readers ignore names that begin with `_`. The whole name is matched, so that no other folder is
# taken for a shadow.
_SHADOW = re.compile(r"_checkpoint_[0-9a-f]{32}")
_OURS = b'"engineInfo":"Qanat/'
_PARQUET_MAGIC = b"PAR1"
_LOOKED_AT = 100
"""Entries that are read before a checkpoint is asked."""
FENCE, REARRANGED = "FENCE", "OPTIMIZE"
"""Operations of entries that change nothing, and that have the same rows in other files."""

Stamp: TypeAlias = tuple[int, int, int, int]
"""By which one knows an entry again: version, inode, nanoseconds of its last change, bytes."""


class Log:
    """The log of one table in a folder of this machine.

    Args:
        table: the folder.
        shown: where the table is, for messages, if that is somewhere else.
    """

    def __init__(self, table: Path, shown: str = "") -> None:
        self.table = table
        self.folder = table / "_delta_log"
        self.shown = shown or str(table)
        self._within = str(self.folder)
        self._seen: int | None = None

    def ready(self, version: int | None = None) -> None:
        """See that all is here that tells what the table is at a version (default: newest)."""

    def path(self, version: int) -> Path:
        """The file of a version's entry, whether it exists or not."""
        return self.folder / f"{version:020}.json"

    def commits(self) -> list[int]:
        """The versions that have an entry, in order; empty if there is no log."""
        return self.listed()[0]

    def checkpoints(self) -> list[int]:
        """The versions that have a checkpoint, in order."""
        return self.listed()[1]

    def probed(self) -> int | None:
        """The newest version, found without listing a log that may be long; None if that is short.

        The last checkpoint is known by its own file; from there on each entry is looked for.
        """
        version = self.hinted()
        if version is None or not self.has(version):
            return None
        while self.has(version + 1):
            version += 1
        return version

    def has(self, version: int) -> bool:
        """True if a version has an entry."""
        # Asked some forty times an epoch: a `Path` takes ten times as long to make.
        return os.path.exists(f"{self._within}/{version:020}.json")  # noqa: PTH110

    def version(self) -> int | None:
        """The newest version; None if there is no table."""
        seen = self._seen
        if seen is not None and self.has(seen):
            # It is asked for some thirty times an epoch: mostly nothing has come since.
            while self.has(seen + 1):
                seen += 1
        elif (seen := self.probed()) is None:
            commits, checkpoints = self.listed()
            seen = max((*commits[-1:], *checkpoints[-1:]), default=None)
        self._seen = seen
        return seen

    def version_before(self, version: int) -> int | None:
        """The version before another; None if there was no table then."""
        return version - 1 if version else None

    def whole(self, upto: int | None = None) -> bool:
        """True if there is an entry of each version, the first included.

        Args:
            upto: the last of them; default: the newest.
        """
        commits = self.commits() if upto is None else [v for v in self.commits() if v <= upto]
        return bool(commits) and commits == list(range(len(commits)))

    def last_change(self) -> int | None:
        """The newest version, without those behind it that change no row.

        Those are fences, and versions that have the same rows in other files.
        """
        found = self.version()
        while found and self.has(found) and changes_no_row(self.actions(found)):
            found -= 1
        return found

    def same_rows(self, version: int) -> int:
        """The newest version that has the same rows as another one."""
        while self.has(version + 1) and changes_no_row(self.actions(version + 1)):
            version += 1
        return version

    def listed(self) -> tuple[list[int], list[int]]:
        """The versions that have an entry, and those that have a checkpoint, both in order."""
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        except OSError as error:
            raise disk_error(error, "read", self.folder) from error
        return self.versions_of(names)

    @staticmethod
    def versions_of(names: Iterable[str]) -> tuple[list[int], list[int]]:
        """The versions that have an entry, and a checkpoint, by the names of the log's files.

        >>> Log.versions_of([f"{1:020}.json", f"{0:020}.json", "_last_checkpoint"])
        ([0, 1], [])
        """
        commits, checkpoints = [], []
        for name in names:
            if match := _COMMIT.fullmatch(name):
                commits.append(int(match[1]))
            elif match := _CHECKPOINT.fullmatch(name):
                checkpoints.append(int(match[1]))
        return sorted(commits), sorted(checkpoints)

    def stamp(self, version: int) -> Stamp | None:
        """By which one knows a version's entry again; None if it has none."""
        try:
            found = self.path(version).stat()
        except OSError:
            return None
        return version, found.st_ino, found.st_mtime_ns, found.st_size

    def actions(self, version: int) -> list[dict[str, Any]]:
        """The actions of one commit, in order.

        Raises:
            TableCorruptError: the entry is missing, or is not JSON.
        """
        path = self.path(version)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise TableCorruptError(
                f"the log of {self.shown} no longer has version {version}",
                wanted=str(path),
                got="another tool has removed old log entries, or the file was lost",
                hint=f"start over from what is there: {full_refresh()}; if other commands cannot"
                " read it either, move its folder away first",
            ) from error
        except OSError as error:
            raise disk_error(error, "read", path) from error
        try:
            lines = [line for line in content.splitlines() if line.strip()]
            found: list[dict[str, Any]] = json.loads(b"[%b]" % b",".join(lines))
            return found
        except ValueError as error:
            raise TableCorruptError(
                f"the log of {self.shown} is damaged at version {version}",
                got=f"{path} is not JSON ({len(content)} bytes)",
                hint="restore that file from a backup",
            ) from error

    def transaction(self, application: str) -> int | None:
        """The last number that an application committed; 0 if it never did.

        None if only a checkpoint can tell, which the standard library cannot read.
        """
        newest = self.version()
        for version in range(-1 if newest is None else newest, -1, -1):
            # Also behind a checkpoint some entries are cheaper to read than that.
            looked = newest - version if newest else 0
            if looked == _LOOKED_AT or not self.has(version):
                if self.checkpoints():
                    return None
                if not self.has(version):
                    return 0
            for action in self.actions(version):
                if action.get("txn", {}).get("appId") == application:
                    return int(action["txn"]["version"])
        return 0

    def damage(self) -> TableCorruptError | None:
        """The first damaged entry since the last checkpoint, or checkpoint, as an error.

        None if all are complete.
        """
        commits, checkpoints = self.listed()
        checkpoint = max(checkpoints, default=-1)
        expected = checkpoint + 1
        for version in (c for c in commits if c > checkpoint):
            try:
                for missing in range(expected, version):
                    self.actions(missing)
                self.actions(version)
            except TableCorruptError as error:
                return error
            expected = version + 1
        torn = self._torn_checkpoints()
        return self._damaged(next(iter(torn.values()))) if torn else None

    @property
    def hint(self) -> Path:
        """The file `_last_checkpoint`, which tells readers the version of the last checkpoint."""
        return self.folder / "_last_checkpoint"

    def shadow(self, within: Path | None = None) -> Log:
        """A log in a new shadow: a folder that readers ignore. It is not created here.

        Args:
            within: the folder in which the shadow will be; default: the table's folder.
        """
        return Log((within or self.table) / f"_checkpoint_{uuid4().hex}")

    def shadows(self) -> list[Path]:
        """The shadows that killed updates have left in the table's folder."""
        found = self.table.glob("_checkpoint_*")
        named = (p for p in found if _SHADOW.fullmatch(p.name))
        return [p for p in named if p.is_dir() and not p.is_symlink()]

    def repair(self) -> bool:
        """Remove what a power loss can leave in a log that delta-rs or Spark wrote without fsync.

        That is a newest entry without its content, checkpoints without theirs, and a
        `_last_checkpoint` that names a missing checkpoint. No data is lost: such an entry was
        never durable, and a checkpoint repeats what the entries say.

        Returns:
            True if anything was removed.

        Raises:
            TableCorruptError: a checkpoint is damaged and the entries that it repeats are gone.
                A power loss does not do that, and removing the checkpoint would lose data.
        """
        torn = self._torn_checkpoints()
        self._check_repeated(torn)
        removed = self._forget(torn)
        for version in torn:
            for path in self.folder.glob(f"{version:020}.checkpoint*"):
                path.unlink()
        commits = self.commits()
        if commits and self._torn(commits[-1]):
            self.path(commits[-1]).unlink()
            removed = True
        if removed:
            sync(self.folder)
        return removed

    def secure(self) -> None:
        """Make the newest entry durable, the entries of other tools below it, and their names."""
        commits = self.commits()
        if commits:
            sync(self.path(commits[-1]))
            self.secure_others(commits[-1])
        if self.folder.is_dir():
            sync(self.folder)
            sync_path(self.table)

    def secure_others(self, below: int) -> None:
        """Sync the entries that other tools wrote, from below a version down to one of Qanat's.

        Other tools do not sync their entries, and a later entry of Qanat's is of no use if one
        below it is lost.
        """
        for version in takewhile(self._of_others, range(below - 1, -1, -1)):
            sync(self.path(version))

    def _of_others(self, version: int) -> bool:
        try:
            with self.path(version).open("rb") as file:
                return _OURS not in file.readline()
        except FileNotFoundError:
            return False

    def _check_repeated(self, torn: dict[int, Path]) -> None:
        """Refuse to remove a checkpoint if the entries that it repeats are not all there.

        Raises:
            TableCorruptError: the damaged checkpoint is needed.
        """
        whole, entries = set(self.checkpoints()) - torn.keys(), set(self.commits())
        for version, path in torn.items():
            below = max((w for w in whole if w < version), default=-1)
            if not entries.issuperset(range(below + 1, version + 1)):
                raise self._damaged(path)

    def _forget(self, torn: dict[int, Path]) -> bool:
        """Remove `_last_checkpoint` if its checkpoint is torn or missing; returns True if it was.

        The removal is synced before the checkpoint itself is removed: readers cannot open a table
        whose `_last_checkpoint` names a missing one.
        """
        if not torn and self.hinted() in (None, *self.checkpoints()):
            return False
        self.hint.unlink(missing_ok=True)
        sync(self.folder)
        return True

    def hinted(self) -> int | None:
        """The version in `_last_checkpoint`; None if the file is missing or unreadable."""
        try:
            found = json.loads(self.hint.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        version = found.get("version") if isinstance(found, dict) else None
        return version if isinstance(version, int) else None

    def _torn(self, version: int) -> bool:
        try:
            return not self.actions(version)
        except TableCorruptError:
            return True

    def _torn_checkpoints(self) -> dict[int, Path]:
        """The versions of torn checkpoints, in order, each with one of its torn files."""
        found = sorted(self.folder.glob("*.checkpoint*.parquet"), reverse=True)
        torn = {
            int(m[1]): p
            for p in found
            if (m := _CHECKPOINT.fullmatch(p.name)) and _torn_parquet(p)
        }
        return dict(sorted(torn.items()))

    def _damaged(self, checkpoint: Path) -> TableCorruptError:
        return TableCorruptError(
            f"a checkpoint of {self.shown} is damaged",
            got=f"{checkpoint} is not a whole Parquet file",
            hint="remove it and _last_checkpoint beside it if all JSON entries of the log are "
            "there; else restore it from a backup",
        )


def version_of(name: str) -> int | None:
    """The version that a file of a log is of; None if it is of none.

    >>> version_of(f"{7:020}.checkpoint.parquet"), version_of("_last_checkpoint")
    (7, None)
    """
    found = _VERSIONED.fullmatch(name)
    return int(found[1]) if found else None


def changes_no_row(actions: list[dict[str, Any]]) -> bool:
    """True if an entry is a fence, or has the same rows in other files and nothing else."""
    operation = next((a["commitInfo"].get("operation") for a in actions if "commitInfo" in a), "")
    if operation == FENCE:
        return True
    files = [a.get("add") or a.get("remove") for a in actions if "add" in a or "remove" in a]
    kinds = {kind for action in actions for kind in action}
    return (
        bool(files)
        and kinds <= {"commitInfo", "add", "remove", "txn"}
        and not any(f.get("dataChange", True) for f in files if f)
    )


def _torn_parquet(path: Path) -> bool:
    if path.stat().st_size < 2 * len(_PARQUET_MAGIC):
        return True
    with path.open("rb") as file:
        head = file.read(len(_PARQUET_MAGIC))
        file.seek(-len(_PARQUET_MAGIC), os.SEEK_END)
        return head != _PARQUET_MAGIC or file.read() != _PARQUET_MAGIC
