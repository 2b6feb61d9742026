"""The state of a Delta table at one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from qanat.model.schema import Schema
from qanat.storage.delta.features import PLAIN, Features


@dataclass(frozen=True, slots=True)
class LiveFile:
    """One data file of a version.

    Args:
        path: URL-encoded, as in the log.
        size: in bytes.
        rows: the number of rows; None if the log does not have it.
    """

    path: str
    size: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class TableState:
    """A table at one version.

    Args:
        id, name, created: as in the log's `metaData`; they never change.
        transactions: the last number of each application, or of the one that was asked for.
        masked: True if deletion vectors hide rows of the files.
    """

    version: int
    id: str
    name: str | None
    created: int | None
    schema: Schema
    partition_by: tuple[str, ...]
    comment: str | None
    properties: Mapping[str, str]
    features: Features
    files: tuple[LiveFile, ...]
    transactions: Mapping[str, int]
    masked: bool

    @property
    def mapped(self) -> bool:
        """True if columns have other names in the files than in the table (column mapping)."""
        return self.properties.get("delta.columnMapping.mode", "none") != "none"

    @property
    def plain(self) -> bool:
        """True if any Parquet reader with hive partitioning reads the files correctly."""
        reader = self.features.reader - ({"columnMapping"} if not self.mapped else set())
        return not self.masked and not self.mapped and reader <= PLAIN


def local_path(table: Path, path: str) -> str | None:
    """The absolute path of a data file that the log names; None if it is not on this machine.

    >>> local_path(Path("/t"), "p=a%2520b/x.parquet")
    '/t/p=a%20b/x.parquet'
    """
    decoded = unquote(path)
    if decoded.startswith("file:"):
        return "/" + decoded.removeprefix("file:").lstrip("/")
    if "://" in decoded:
        return None
    return str(table / decoded)


def hive_style(path: str, partition_by: tuple[str, ...]) -> bool:
    """True if a path has exactly one folder `column=value` for each partition column, in order.

    >>> hive_style("year=2013/month=1/x.parquet", ("year", "month"))
    True
    >>> hive_style("x.parquet", ("year",))
    False
    """
    if not partition_by:
        return "=" not in path
    folders = path.split("/")[:-1]
    names = [unquote(f).partition("=")[0] for f in folders if "=" in unquote(f)]
    return names == list(partition_by)
