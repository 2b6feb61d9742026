"""The data of one epoch, on its way from a connector or a table to an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from qanat.model.dataset import Drift
from qanat.model.schema import Schema


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that an engine can open.

    Args:
        path: what the author and the quarantine call it (absolute path or URL).
        local: absolute path on this machine (the same, or a fetched or converted copy).
        size: bytes of the original.
        modified_ns: of the original, nanoseconds since 1970 (UTC).
    """

    path: str
    local: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class FilesBatch:
    """Whole files of one format.

    Args:
        format: `csv`, `json`, `ndjson` or `parquet` (a connector has converted the others).
        options: of `read_files`, without those that the connector itself consumed.
        declared: columns the author declared (`schema => '…'`), empty to infer.
        known: columns found in earlier epochs, in order; empty in the first.
        drift: what to do with columns that are not in `known`.
        path: as the author wrote it, for messages.
    """

    files: tuple[LocalFile, ...]
    format: str
    options: tuple[tuple[str, Any], ...]
    declared: Schema
    known: Schema
    drift: Drift
    path: str


@dataclass(frozen=True, slots=True)
class TableBatch:
    """Parquet files of a Delta table: absolute paths, hive-style folders where partitioned."""

    files: tuple[str, ...]
    schema: Schema
    partition_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrowBatch:
    """Data that only another library can read; `open` gives a fresh Arrow C stream each time."""

    open: Callable[[], Any]
    schema: Schema | None = None


@dataclass(frozen=True, slots=True)
class ViewBatch:
    """The rows of a temporary view of the same work (`Work.views`)."""

    view: str


Batch: TypeAlias = FilesBatch | TableBatch | ArrowBatch | ViewBatch
Inputs: TypeAlias = Mapping[str, Batch]
