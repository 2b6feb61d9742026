"""The state of a Delta table at one version, and what it gained since another.

The state of a young table comes from its log entries alone: the protocol's action reconciliation
for tables that have no checkpoint yet and need only the oldest features. While a project is new,
all its tables are young, and importing deltalake costs 40 ms, a tenth of a small update. Every
other table is loaded with delta-rs.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#action-reconciliation
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from qanat.errors import TableTooNewError
from qanat.frozen import Frozen
from qanat.model.schema import Schema
from qanat.storage.delta.features import PLAIN, Features, unused_features
from qanat.storage.delta.log import Log


@dataclass(frozen=True, slots=True)
class LiveFile:
    """One data file of a version.

    Args:
        path: URL-encoded, as in the log.
        size: in bytes.
        rows: the number of rows; None if the log does not have it.
        partition_values: by column, as text; None for NULL.
        made_ms: by this, and then by its path, the file has its place among those of the table.
        vector: which of its rows others have deleted, as the log has it; None: none of them.
    """

    path: str
    size: int
    rows: int | None
    partition_values: Mapping[str, str | None] = field(default_factory=dict)
    made_ms: int = 0
    vector: Mapping[str, Any] | None = None

    @property
    def there(self) -> int | None:
        """How many rows it has that nobody has deleted; None if that is not known."""
        gone = self.vector["cardinality"] if self.vector else 0
        return None if self.rows is None else self.rows - gone


class TableState(Frozen):
    """A table at one version.

    Args:
        id, name, created: as in the log's `metaData`; they never change.
        written: the schema as the log has it, with what others say of columns (their `metadata`).
        files: in the order in which they were added.
        transactions: the last number of each application, or of the one that was asked for.
        masked: True if deletion vectors hide rows of the files.
        told: True if the files know these (`LiveFile.vector`).
    """

    version: int
    id: str
    name: str | None
    created: int | None
    written: Mapping[str, Any]
    schema: Schema
    partition_by: tuple[str, ...]
    comment: str | None
    properties: Mapping[str, str]
    features: Features
    files: tuple[LiveFile, ...]
    transactions: Mapping[str, int]
    masked: bool
    told: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of its files, URL-encoded as in the log."""
        return tuple(f.path for f in self.files)

    @property
    def newest_ms(self) -> int:
        """By which the newest of its files has its place; 0 if it has none."""
        return self.files[-1].made_ms if self.files else 0

    @property
    def rows(self) -> int | None:
        """How many rows it has; None if that is not known."""
        known = self.told or not self.masked
        return total(f.there for f in self.files) if known else None

    @property
    def mapped(self) -> bool:
        """True if columns have other names in the files than in the table (column mapping)."""
        return self.properties.get("delta.columnMapping.mode", "none") != "none"

    @property
    def plain(self) -> bool:
        """True if any Parquet reader with hive partitioning reads the files correctly.

        But for rows that deletion vectors hide, if files know these.
        """
        reader = self.features.reader - ({"columnMapping"} if not self.mapped else set())
        return (self.told or not self.masked) and not self.mapped and reader <= PLAIN

    def check_writable(self, table: str) -> None:
        """Refuse to write the table if it requires features which Qanat lacks.

        Args:
            table: its folder, for the message.

        Raises:
            TableTooNewError: it does; the error names the features.
        """
        self.features.check_writable(table, unused_features(self.written, self.properties))


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
    return os.path.join(table, decoded)  # noqa: PTH118 - a `Path` costs more, for each file


def paths_of(log: Log, state: TableState) -> tuple[str, ...] | None:
    """The absolute paths of a table's files; None if they are not its rows as they are.

    Deletion vectors may hide some of them (`TableState.masked`).
    """
    if not state.plain or not all(hive_style(f.path, state.partition_by) for f in state.files):
        return None
    found = [local_path(log.table, f.path) for f in state.files]
    paths = tuple(p for p in found if p is not None)
    return paths if len(paths) == len(found) else None


def absolute(log: Log, files: Sequence[LiveFile]) -> tuple[str, ...]:
    """The absolute paths of data files.

    Raises:
        TableTooNewError: one of them lies elsewhere than the table.
    """
    paths = [local_path(log.table, f.path) for f in files]
    for file, path in zip(files, paths, strict=True):
        if path is None:
            raise TableTooNewError(
                f"cannot read the changes of {log.shown}: a file of it lies elsewhere",
                got=file.path,
            )
    return tuple(p for p in paths if p is not None)


def total(rows: Iterable[int | None]) -> int | None:
    """The sum, None when one is unknown."""
    sum_ = 0
    for count in rows:
        if count is None:
            return None
        sum_ += count
    return sum_


def local_paths(log: Log, files: Sequence[LiveFile], state: TableState) -> tuple[str, ...]:
    """The absolute paths of data files, to be read as hive-style Parquet.

    Raises:
        TableTooNewError: they cannot be.
    """
    paths = [local_path(log.table, f.path) for f in files]
    for file, path in zip(files, paths, strict=True):
        if path is None or not hive_style(file.path, state.partition_by):
            raise TableTooNewError(
                f"cannot read {log.shown} as a stream: its files are not in hive-style folders",
                got=file.path,
                hint="read it without STREAM",
            )
    return tuple(p for p in paths if p is not None)


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


_ENTRIES = 100
"""Below so many entries, reading them all is faster than importing deltalake."""

KNOWN = frozenset({"add", "remove", "metaData", "protocol", "txn", "commitInfo", "cdc"})
"""The actions of which a state can be made; any other one is left to delta-rs."""
_FEATURES = frozenset({"appendOnly", "invariants", "timestampNtz", "changeDataFeed"})


def reconciled(log: Log, version: int | None) -> TableState | None:
    """A table's state at a version, if the log entries alone can tell it.

    Args:
        log: the table's log.
        version: the version; None for the newest.

    Returns:
        The state; None if delta-rs has to load it.

    Raises:
        TableCorruptError: an entry is damaged.
    """
    if log.probed() is not None:
        return None
    commits, checkpoints = log.listed()
    newest = commits[-1] if commits and version is None else version
    if newest is None or newest >= _ENTRIES or checkpoints:
        return None
    if commits[: newest + 1] != list(range(newest + 1)):
        return None
    try:
        return _replayed(log, newest)
    except (KeyError, TypeError, ValueError):
        # An entry lacks a field, or has it in another type: delta-rs reports what is wrong.
        return None


def _replayed(log: Log, newest: int) -> TableState | None:
    live: dict[str, dict[str, Any]] = {}
    last: dict[str, Any] = {}
    transactions: dict[str, int] = {}
    for each in range(newest + 1):
        for action in log.actions(each):
            if not action.keys() <= KNOWN:
                return None
            if "add" in action:
                live[action["add"]["path"]] = action["add"]
            elif "remove" in action:
                live.pop(action["remove"]["path"], None)
            elif "txn" in action:
                transactions[action["txn"]["appId"]] = int(action["txn"]["version"])
            last |= action
    return _state(newest, live, last, transactions)


def _state(
    version: int,
    live: dict[str, dict[str, Any]],
    last: dict[str, Any],
    transactions: dict[str, int],
) -> TableState | None:
    meta, protocol = last.get("metaData"), last.get("protocol")
    if meta is None or protocol is None or any("deletionVector" in a for a in live.values()):
        return None
    features = Features(
        protocol["minReaderVersion"],
        protocol["minWriterVersion"],
        frozenset(protocol.get("readerFeatures") or ()),
        frozenset(protocol.get("writerFeatures") or ()),
    )
    if features.reader_version not in (1, 3) or not features.reader | features.writer <= _FEATURES:
        return None
    files = sorted(live.values(), key=age_of)
    written = json.loads(meta["schemaString"])
    return TableState(
        version=version,
        id=meta["id"],
        name=meta.get("name"),
        created=meta.get("createdTime"),
        written=written,
        schema=Schema.from_json(written),
        partition_by=tuple(meta.get("partitionColumns") or ()),
        comment=meta.get("description"),
        properties=meta.get("configuration") or {},
        features=features,
        files=tuple(map(live_of, files)),
        transactions=transactions,
        masked=False,
    )


def age_of(add: Mapping[str, Any]) -> tuple[int, str]:
    """By this, a table's files are in the order in which they were added.

    Streams and snapshots have to read them in one order: else a rule that keeps the first row of a
    key keeps another one after a full refresh.
    """
    return add["modificationTime"], add["path"]


def live_of(add: Mapping[str, Any]) -> LiveFile:
    """The file of an `add` action."""
    values = add.get("partitionValues") or {}
    return LiveFile(add["path"], add["size"], rows_of(add), values, add["modificationTime"])


def rows_of(add: Mapping[str, Any]) -> int | None:
    """How many rows an `add` action says its file has, if it does."""
    stats = json.loads(add.get("stats") or "{}")
    rows = stats.get("numRecords")
    return rows if isinstance(rows, int) else None


def with_rows(actions: Iterable[Mapping[str, Any]], kind: str) -> Iterable[Mapping[str, Any]]:
    """The actions of a kind that change rows, and do not only move them to other files."""
    found = (a[kind] for a in actions if kind in a)
    return [a for a in found if a.get("dataChange", True)]


def told_by(actions: Iterable[Mapping[str, Any]]) -> list[str]:
    """The paths of the files that tell a stream, of rows or of changes, what a version did.

    >>> told_by([{"add": {"path": "a"}}, {"remove": {"path": "b"}}, {"cdc": {"path": "c"}}])
    ['a', 'c']
    >>> told_by([{"add": {"path": "a"}}, {"remove": {"path": "b"}}])
    ['a', 'b']
    >>> told_by([{"add": {"path": "a", "dataChange": False}}])
    []
    """
    actions = list(actions)
    changes = [a["cdc"] for a in actions if "cdc" in a] or with_rows(actions, "remove")
    return [file["path"] for file in (*with_rows(actions, "add"), *changes)]
