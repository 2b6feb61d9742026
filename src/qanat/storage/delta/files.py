"""What a Delta store needs of the place where a table's files lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from qanat.model.table import CommitGate
from qanat.model.work import DataFile
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import LiveFile


class Files(Protocol):
    """The files of one table, wherever they lie.

    `log.table` is a folder of this machine in which data files can be read, once `fetching` has
    brought them, and in which an engine stages new ones. In a file system it is the table itself;
    of a table in an object store it is a copy that belongs to this process.
    """

    @property
    def log(self) -> Log:
        """The table's log."""
        ...

    def look_again(self) -> None:
        """Let no later answer of the log be older than now."""
        ...

    def first_version(self) -> int | None:
        """The version of the first commit of a table that is not there; None if it is there."""
        ...

    def put(
        self, version: int, content: bytes, gate: CommitGate | None, new_folder: bool = False
    ) -> bool:
        """Create a log entry, durably, with all files that it names; False if there is one.

        Args:
            new_folder: True if the folder above the table may be new.

        Raises:
            CommitConflictError, LeaseLostError: the gate is gone.
            StorageFullError, AdapterError: it cannot be created.
        """
        ...

    def upload(self, files: Sequence[DataFile]) -> None:
        """See that staged files are where a commit can name them."""
        ...

    def withdraw(self, files: Sequence[DataFile]) -> None:
        """Undo `upload`: no commit names the files."""
        ...

    def forget(self, files: Sequence[DataFile]) -> None:
        """Keep nothing in mind of files whose commit is made, or never will be."""
        ...

    def fetching(self, files: Sequence[LiveFile]) -> Callable[[], None] | None:
        """What brings data files to where they are read; None if they are there."""
        ...

    def missing(self, files: Sequence[LiveFile]) -> Sequence[str]:
        """Where files should be that are not there."""
        ...

    def secure(self) -> None:
        """Make the newest entry durable."""
        ...

    def repair(self, check_writable: Callable[[], None]) -> bool:
        """See `TableStore.repair`.

        Args:
            check_writable: called before an entry is added; raises if the table needs a feature
                that we lack.
        """
        ...

    def checkpoint(self, gate: CommitGate | None) -> None:
        """Write a checkpoint of the newest version; readers see all of it or none."""
        ...

    def orphans(self, spared: Callable[[Path], bool]) -> int:
        """How many files `sweep` would delete now."""
        ...

    def sweep(self, confirm: Callable[[], object] | None, spared: Callable[[Path], bool]) -> int:
        """Delete the files that no version mentions; how many."""
        ...

    def move(self, to: Files, gate: CommitGate | None) -> None:
        """See `TableStore.move`."""
        ...

    def drop(self, gate: CommitGate | None) -> None:
        """See `TableStore.drop`."""
        ...
