"""What finds data outside: files, queues, databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from qanat.model.batch import Batch
from qanat.model.dataset import Drift
from qanat.model.position import FileRef, Range
from qanat.model.query import FilesRead
from qanat.model.schema import Schema

Seen = Callable[[Iterable[str]], Mapping[str, FileRef]]
"""Of these paths, those already read, as they were then."""


class Source(Protocol):
    """One input outside the project."""

    def unread(
        self, read: FilesRead, seen: Seen, without: frozenset[str] = frozenset()
    ) -> Range | None:
        """What is there and has not been read; None if nothing.

        Args:
            without: paths of files to leave for a later update (they are still being written).

        Raises:
            SourceNotFoundError: the folder or bucket does not exist.
            FileChangedError: a file that was read has come back with new content, and
                `allowOverwrites` is not set.
        """
        ...

    def everything(self, read: FilesRead) -> Range:
        """All that is there now, for reads without STREAM."""
        ...

    def fetch(
        self, read: FilesRead, range: Range, known: Schema, drift: Drift, scratch: Path
    ) -> Batch:
        """Exactly that range, ready for an engine.

        Raises:
            FileVanishedError: a file of the range is gone or has changed since.
        """
        ...

    def sample(
        self, read: FilesRead, range: Range, known: Schema, drift: Drift, scratch: Path
    ) -> Batch | None:
        """Enough of a range to tell its columns, cheaply; None if there is nothing there."""
        ...

    def verify(self, range: Range) -> Range:
        """Confirm after reading that nothing changed meanwhile; returns it with digests.

        Raises:
            FileChangedError: a file grew or was rewritten while it was read.
        """
        ...
