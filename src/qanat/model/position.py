"""How far a flow has read: the ranges of its inputs that one epoch takes.

A range is chosen once, written to the ledger, and read again exactly the same if the epoch must
be redone. Ranges are keyed by the source (`source_key`), not by its place in the query, so that
an author may rearrange a query without rereading anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from qanat.model.query import DatasetRead, DeltaRead, FilesRead, Source


@dataclass(frozen=True, slots=True)
class FileRef:
    """One version of one file.

    Args:
        path: absolute path or URL.
        size: bytes.
        modified_ns: modification time, nanoseconds since 1970 (UTC).
        digest: hash of the content (or the store's ETag), None until read.
    """

    path: str
    size: int
    modified_ns: int
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class FilesRange:
    """These files, whole."""

    files: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class TableRange:
    """The rows that a Delta table gained after one version, up to and with another.

    `after` is -1 to start with everything that the table holds at `upto`.
    """

    after: int
    upto: int


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """A Delta table as it was at a version; -1 when it did not exist."""

    version: int


Range: TypeAlias = FilesRange | TableRange | TableSnapshot


_CHOOSING = {
    "filenamepattern",
    "modifiedafter",
    "modifiedbefore",
    "pathglobfilter",
    "recursive",
    "recursivefilelookup",
}


def quarantine_key(dataset: str) -> str:
    """The name under which is kept which epochs of a flow a quarantine has rows of.

    Those after one number, up to another. None is between them when the newest one emptied it.
    """
    return f"quarantine:{dataset.casefold()}"


def source_key(source: Source) -> str:
    """The name under which a source's position is kept.

    What chooses among the files below a path is part of the name: two reads of one folder, each
    of its own files, are two sources.

    >>> source_key(DatasetRead("Bronze"))
    'dataset:bronze'
    >>> source_key(FilesRead("in", "csv", (("header", True), ("path_glob_filter", "a*"))))
    'files:in?pathglobfilter=a*'
    """
    match source:
        case DatasetRead(dataset):
            return f"dataset:{dataset.casefold()}"
        case FilesRead(path):
            folded = sorted((k.replace("_", "").casefold(), v) for k, v in source.options)
            choosing = "&".join(f"{k}={v}" for k, v in folded if k in _CHOOSING)
            return f"files:{path}?{choosing}" if choosing else f"files:{path}"
        case DeltaRead(path, project):
            return f"delta:{project}#{path}" if project else f"delta:{path}"


def range_to_json(value: Range) -> dict[str, Any]:
    """A form for the ledger; `range_from_json` reads it back."""
    match value:
        case FilesRange(files):
            rows = [[f.path, f.size, f.modified_ns, f.digest] for f in files]
            return {"kind": "files", "files": rows}
        case TableRange(after, upto):
            return {"kind": "table", "after": after, "upto": upto}
        case TableSnapshot(version):
            return {"kind": "snapshot", "version": version}


def range_from_json(value: Mapping[str, Any]) -> Range:
    """Read what `range_to_json` wrote.

    Raises:
        ValueError: the kind is unknown (written by a newer Qanat).
    """
    match value["kind"]:
        case "files":
            return FilesRange(tuple(FileRef(*row) for row in value["files"]))
        case "table":
            return TableRange(value["after"], value["upto"])
        case "snapshot":
            return TableSnapshot(value["version"])
    raise ValueError(f"unknown range {value['kind']!r}")
