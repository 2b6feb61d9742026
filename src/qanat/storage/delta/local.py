"""The files of a table in a file system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from os import scandir
from pathlib import Path

from qanat.disk import (
    disk_error,
    explained,
    remove,
    remove_folder,
    rename_folder,
    sync,
    sync_path,
)
from qanat.errors import CommitConflictError
from qanat.model.staged import DataFile
from qanat.model.table import CommitGate
from qanat.storage.delta.durable import put_if_absent
from qanat.storage.delta.files import Files
from qanat.storage.delta.leftovers import data_files, orphans, remove_empty, sweep
from qanat.storage.delta.log import Log, version_of
from qanat.storage.delta.state import LiveFile, local_path


class LocalFiles:
    """The files of one table in a folder (see `qanat.storage.delta.files.Files`).

    Args:
        table: the folder.
        secured: the gate and the folder above tables whose name this process has last made
            durable; shared by all tables of a store.
    """

    def __init__(self, table: Path, secured: dict[Path, Path | None]) -> None:
        self.log = Log(table)
        self._secured = secured

    def look_again(self) -> None:
        """Nothing: no answer is remembered."""

    def first_version(self) -> int | None:
        """The first version is 0; whoever else makes the table has made that one."""
        return 0

    def put(
        self, version: int, content: bytes, gate: CommitGate | None, new_folder: bool = False
    ) -> bool:
        """Create a log entry out of the gate, durably, with the names of all that it names."""
        log = self.log
        try:
            log.folder.mkdir(parents=True, exist_ok=True)
            log.secure_others(version)
            # The names of new data files, partition folders and the log are in this folder.
            # Its own name may not be durable: an earlier process may have made it and crashed.
            if new_folder:
                self._secure_names(gate)
            else:
                sync(log.table)
            return put_if_absent(log.path(version), content, _folder(gate))
        except FileNotFoundError as error:
            if gate is None or gate.folder.is_dir():
                raise disk_error(error, "commit to", log.table) from error
            raise CommitConflictError(
                f"another update took over before this one committed to {log.table.name}",
                hint="it was stopped for longer than its lease; nothing of it is lost: run again",
            ) from error
        except OSError as error:
            raise disk_error(error, "commit to", log.table) from error

    def _secure_names(self, gate: CommitGate | None) -> None:
        """Make the names in the table's folder durable, its own, and those above."""
        # While the gate is there, so are the folders above it that this process has synced.
        table, folder = self.log.table, _folder(gate)
        known = folder is not None and self._secured.get(table.parent) == folder
        sync_path(table, upto=table.parent if known else None)
        self._secured[table.parent] = folder

    def upload(self, files: Sequence[DataFile]) -> None:
        """Nothing: they are staged where they belong."""

    def withdraw(self, files: Sequence[DataFile]) -> None:
        """Nothing: who staged them removes them."""

    def forget(self, files: Sequence[DataFile]) -> None:
        """Nothing is kept in mind."""

    def fetching(self, files: Sequence[LiveFile]) -> Callable[[], None] | None:
        """Nothing: they are there."""
        return None

    def missing(self, files: Sequence[LiveFile]) -> Sequence[str]:
        """Where files should be that are not there."""
        paths = (local_path(self.log.table, f.path) for f in files)
        return tuple(p for p in paths if p is not None and not Path(p).exists())

    def secure(self) -> None:
        """Make the newest entry durable: who made it may have been killed before it was."""
        with explained("commit to", self.log.table):
            self.log.secure()

    def repair(self, check_writable: Callable[[], None]) -> bool:
        """Remove what a power loss tore, make the rest durable; the gate fences by itself."""
        try:
            repaired = self.log.repair()
            self.log.secure()
        except OSError as error:
            raise disk_error(error, "repair", self.log.table) from error
        return repaired

    def checkpoint(self, gate: CommitGate | None) -> None:
        """Write a checkpoint of the newest version."""
        import_module("qanat.storage.delta.table").checkpoint(self.log, _folder(gate))

    def orphans(self, spared: Callable[[Path], bool]) -> int:
        """How many files `sweep` would delete now."""
        try:
            return len(orphans(self.log, spared))
        except OSError as error:
            raise disk_error(error, "look for leftovers in", self.log.table) from error

    def sweep(self, confirm: Callable[[], object] | None, spared: Callable[[Path], bool]) -> int:
        """Delete the files that no version mentions, durably; how many."""
        try:
            return sweep(self.log, confirm, spared)
        except OSError as error:
            raise disk_error(error, "sweep", self.log.table) from error

    def inventory(self) -> Iterator[tuple[str, int, float]]:
        """All files with rows, whether a version has them or not."""
        with explained("look for old files in", self.log.table):
            for path in data_files(self.log.table):
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue  # another tool is at it
                yield path.relative_to(self.log.table).as_posix(), found.st_size, found.st_mtime

    def log_files(self) -> Iterator[tuple[int, str, float]]:
        """The files of the log that are a version's."""
        with (
            explained("look for old entries in", self.log.folder),
            scandir(self.log.folder) as all_,
        ):
            for entry in all_:
                if (version := version_of(entry.name)) is not None:
                    yield version, entry.name, entry.stat().st_mtime

    def clean(self, data: Sequence[str], log: Sequence[str]) -> None:
        """Delete data files, then those of the log, each durably."""
        with explained("clean up", self.log.table):
            paths = [self.log.table / name for name in data]
            remove(*paths)
            for folder in {p.parent for p in paths}:
                remove_empty(folder, self.log.table)
            for name in log:
                (self.log.folder / name).unlink(missing_ok=True)
            if log:
                sync(self.log.folder)

    def move(self, to: Files, gate: CommitGate | None) -> None:
        """Rename the folder."""
        rename_folder(self.log.table, to.log.table, _folder(gate))

    def drop(self, gate: CommitGate | None) -> None:
        """Remove the folder; it is gone at once for whoever reads it."""
        remove_folder(self.log.table, _folder(gate))


def _folder(gate: CommitGate | None) -> Path | None:
    return None if gate is None else gate.folder
