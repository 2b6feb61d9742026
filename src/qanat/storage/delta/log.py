"""The Delta log as files: `_delta_log/<version>.json`, read with the standard library alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4

from qanat.disk import disk_error, sync, sync_path
from qanat.errors import TableCorruptError

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.(?:.+\.)?(?:parquet|json)")
# No reader looks at names that begin so. A whole one, lest somebody's own folder be taken for it.
_SHADOW = re.compile(r"_checkpoint_[0-9a-f]{32}")
_OURS = b'"engineInfo":"Qanat/'
_PARQUET_MAGIC = b"PAR1"


class Log:
    """The log of one table in a local folder."""

    def __init__(self, table: Path) -> None:
        self.table = table
        self.folder = table / "_delta_log"

    def path(self, version: int) -> Path:
        """Where the entry of a version is, or would be."""
        return self.folder / f"{version:020}.json"

    def commits(self) -> list[int]:
        """The versions that have an entry, in order; empty when there is no log."""
        return sorted(self._numbers(_COMMIT))

    def checkpoints(self) -> list[int]:
        """The versions that have a checkpoint, in order."""
        return sorted(self._numbers(_CHECKPOINT))

    def version(self) -> int | None:
        """The newest version; None when there is no table."""
        return max((*self._numbers(_COMMIT), *self._numbers(_CHECKPOINT)), default=None)

    def actions(self, version: int) -> list[dict[str, Any]]:
        """What one commit did, in order.

        Raises:
            TableCorruptError: the entry is missing or is no JSON.
        """
        path = self.path(version)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise TableCorruptError(
                f"the log of {self.table} no longer has version {version}",
                wanted=str(path),
                hint="another tool removed old log entries or the file was lost; a full refresh "
                "of what reads this table starts from its newest version",
            ) from error
        except OSError as error:
            raise disk_error(error, "read", path) from error
        try:
            return [json.loads(line) for line in content.splitlines() if line.strip()]
        except ValueError as error:
            raise TableCorruptError(
                f"the log of {self.table} is damaged at version {version}",
                got=f"{path} is not JSON ({len(content)} bytes)",
                hint="restore that file from a backup",
            ) from error

    def transaction(self, application: str) -> int | None:
        """The last number of an application; 0 if it never committed.

        None when the answer is in a checkpoint, which the standard library cannot read.
        """
        commits = self.commits()
        checkpoint = max(self.checkpoints(), default=-1)
        for version in reversed(commits):
            if version <= checkpoint:
                return None
            for action in self.actions(version):
                if action.get("txn", {}).get("appId") == application:
                    return int(action["txn"]["version"])
        return 0 if checkpoint < 0 else None

    def damage(self) -> TableCorruptError | None:
        """The first thing wrong with the entries since the last checkpoint; None if nothing."""
        checkpoint = max(self.checkpoints(), default=-1)
        expected = checkpoint + 1
        for version in (c for c in self.commits() if c > checkpoint):
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
        """The file that tells readers which checkpoint is the last."""
        return self.folder / "_last_checkpoint"

    def shadow(self, within: Path | None = None) -> Log:
        """A log of its own, in a folder that no reader looks at; not made yet.

        Args:
            within: the folder above that one; default: the table.
        """
        return Log((within or self.table) / f"_checkpoint_{uuid4().hex}")

    def shadows(self) -> list[Path]:
        """The folders of shadows that somebody made in the table, and has not removed."""
        found = self.table.glob("_checkpoint_*")
        named = (p for p in found if _SHADOW.fullmatch(p.name))
        return [p for p in named if p.is_dir() and not p.is_symlink()]

    def repair(self) -> bool:
        """Remove what a power loss can leave behind; whether anything was.

        That is a newest entry without its content, checkpoints without theirs, and the mention
        of a checkpoint that is not there: delta-rs and Spark do not fsync them. Such an entry
        was never durable, so nobody was right to rely on it, and a checkpoint only repeats what
        the entries say.

        Raises:
            TableCorruptError: an entry that is not the newest, or a checkpoint whose entries
                are gone, is damaged: that is no power loss, and removing it would lose data.
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
        """Make the newest entry durable, those below it of other tools, and all their names."""
        commits = self.commits()
        if commits:
            sync(self.path(commits[-1]))
            self.secure_others(commits[-1])
        if self.folder.is_dir():
            sync(self.folder)
            sync_path(self.table)

    def secure_others(self, below: int) -> None:
        """Make the entries durable that other tools wrote, below one and down to one of ours.

        They do not see to it, and an entry of ours is worth nothing without those below it.
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
        """Refuse to remove a checkpoint that says what nothing else says."""
        whole, entries = set(self.checkpoints()) - torn.keys(), set(self.commits())
        for version, path in torn.items():
            below = max((w for w in whole if w < version), default=-1)
            if not entries.issuperset(range(below + 1, version + 1)):
                raise self._damaged(path)

    def _forget(self, torn: dict[int, Path]) -> bool:
        """Remove the mention of a checkpoint that is torn, or not there; whether it was.

        Durably: no reader opens a table that mentions one that has been removed.
        """
        if not torn and self._hinted() in (None, *self.checkpoints()):
            return False
        self.hint.unlink(missing_ok=True)
        sync(self.folder)
        return True

    def _hinted(self) -> int | None:
        """The version that is mentioned; None if there is no mention, or an unreadable one."""
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
        """The versions of torn checkpoints in order, each with a file that is torn."""
        found = sorted(self.folder.glob("*.checkpoint*.parquet"), reverse=True)
        torn = {
            int(m[1]): p
            for p in found
            if (m := _CHECKPOINT.fullmatch(p.name)) and _torn_parquet(p)
        }
        return dict(sorted(torn.items()))

    def _damaged(self, checkpoint: Path) -> TableCorruptError:
        return TableCorruptError(
            f"a checkpoint of {self.table} is damaged",
            got=f"{checkpoint} is not a whole Parquet file",
            hint="remove it and _last_checkpoint beside it if all JSON entries of the log are "
            "there; else restore it from a backup",
        )

    def _numbers(self, pattern: re.Pattern[str]) -> Iterator[int]:
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if match := pattern.fullmatch(entry.name):
                        yield int(match[1])
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise disk_error(error, "read", self.folder) from error


def _torn_parquet(path: Path) -> bool:
    if path.stat().st_size < 2 * len(_PARQUET_MAGIC):
        return True
    with path.open("rb") as file:
        head = file.read(len(_PARQUET_MAGIC))
        file.seek(-len(_PARQUET_MAGIC), os.SEEK_END)
        return head != _PARQUET_MAGIC or file.read() != _PARQUET_MAGIC
