"""What folders and buckets have in common: files to find, to compare and to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from qanat.model.batch import LocalFile
from qanat.model.position import FileRef


class Place(Protocol):
    """Somewhere that files lie."""

    def find(self, path: str, recursive: bool) -> list[FileRef]:
        """The files that a path, folder or pattern means, sorted by path.

        Raises:
            SourceNotFoundError: a file, folder or bucket that is named does not exist.
            FileUnreadableError: a folder may not be listed.
        """
        ...

    def same(self, before: FileRef, now: FileRef) -> bool:
        """Whether two versions of a file have the same content."""
        ...

    def fetch(self, files: Sequence[FileRef], scratch: Path) -> list[LocalFile]:
        """The files, in order, where this machine can open them.

        Raises:
            FileVanishedError: one is gone or is not what it was when it was found.
            FileUnreadableError: one may not be read.
        """
        ...

    def verify(self, files: Sequence[FileRef]) -> list[FileRef]:
        """The files, in order, with digests.

        Raises:
            FileChangedError: one changed while it was read.
            FileVanishedError: one is gone.
        """
        ...


def is_url(path: str) -> bool:
    """Whether a path names an object store rather than a local file."""
    return "://" in path and not path.casefold().startswith("file://")


def described(file: FileRef) -> str:
    """Size and time of a file, for messages.

    >>> described(FileRef("a.csv", 1_234, 0))
    '1,234 bytes, modified 1970-01-01T00:00:00+00:00'
    """
    moment = datetime.fromtimestamp(file.modified_ns / 1e9, UTC)
    return f"{file.size:,} bytes, modified {moment.isoformat()}"
