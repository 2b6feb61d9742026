"""The Delta log as files: `_delta_log/<version>.json`, read with the standard library alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qanat.disk import disk_error, sync, sync_path
from qanat.errors import TableCorruptError

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.(?:.+\.)?(?:parquet|json)")
SHADOW = "_checkpoint_"
"""How the names of folders begin in which checkpoints are made; no reader looks at such names."""
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
        return self._damaged(torn[0]) if torn else None

    def repair(self) -> bool:
        """Remove what a power loss can leave behind; whether anything was.

        That is a newest entry without its content, and checkpoints without theirs: delta-rs
        and Spark do not fsync them. Such an entry was never durable, so nobody was right to
        rely on it, and a checkpoint only repeats what the entries say.

        Raises:
            TableCorruptError: an entry that is not the newest, or a checkpoint whose entries
                are gone, is damaged: that is no power loss, and removing it would lose data.
        """
        removed = False
        commits = self.commits()
        for path in self._torn_checkpoints():
            if commits[:1] != [0]:
                raise self._damaged(path)
            path.unlink()
            (self.folder / "_last_checkpoint").unlink(missing_ok=True)
            removed = True
        if commits and self._torn(commits[-1]):
            self.path(commits[-1]).unlink()
            removed = True
        if removed:
            sync(self.folder)
        return removed

    def secure(self) -> None:
        """Make the newest entry durable, and every name that leads to it."""
        commits = self.commits()
        if commits:
            sync(self.path(commits[-1]))
            sync(self.folder)
            sync_path(self.table)

    def _torn(self, version: int) -> bool:
        try:
            return not self.actions(version)
        except TableCorruptError:
            return True

    def _torn_checkpoints(self) -> list[Path]:
        return [p for p in sorted(self.folder.glob("*.checkpoint*.parquet")) if _torn_parquet(p)]

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
