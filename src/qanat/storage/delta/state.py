"""The state of a Delta table at one version, what it requires, and what it gained since another.

The state of a young table comes from its log entries alone: the protocol's action reconciliation
for tables that have no checkpoint yet and need only the oldest features. While a project is new,
all its tables are young, and importing deltalake costs 40 ms, a tenth of a small update. Every
other table is loaded with delta-rs.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#action-reconciliation
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#table-features
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from qanat.errors import NotAppendOnlyError, OptionError, TableTooNewError, full_refresh, nearest
from qanat.frozen import Frozen
from qanat.model.schema import Array, DataType, MapType, Primitive, Schema, Struct
from qanat.storage.delta.log import Log

PLAIN = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "deletionVectors"})
"""Reader features that leave data files ordinary Parquet (deletion vectors: until one is set)."""

_WRITABLE = frozenset({"appendOnly", "invariants", "timestampNtz"})

_PROPERTIES = frozenset(
    {
        "delta.appendOnly",
        "delta.autoOptimize.autoCompact",
        "delta.autoOptimize.optimizeWrite",
        "delta.checkpoint.writeStatsAsJson",
        "delta.checkpoint.writeStatsAsStruct",
        "delta.checkpointInterval",
        "delta.dataSkippingNumIndexedCols",
        "delta.dataSkippingStatsColumns",
        "delta.deletedFileRetentionDuration",
        "delta.enableExpiredLogCleanup",
        "delta.logRetentionDuration",
        "delta.targetFileSize",
    }
)
"""Properties of the protocol that require nothing of writers that Qanat does not do."""


class Features(Frozen):
    """What a table's protocol action requires of readers and writers.

    Args:
        reader_version, writer_version: the protocol's versions.
        reader, writer: the names of the required features.
    """

    reader_version: int
    writer_version: int
    reader: frozenset[str] = frozenset()
    writer: frozenset[str] = frozenset()

    def check_writable(self, table: str) -> None:
        """Refuse to write a table that requires features which Qanat lacks.

        Args:
            table: the table's folder, for the message.

        Raises:
            TableTooNewError: it does; the error names the features.
        """
        unknown = sorted((self.reader | self.writer) - _WRITABLE)
        if self.reader_version not in (1, 3) or self.writer_version not in (1, 2, 7):
            unknown.append(f"protocol ({self.reader_version}, {self.writer_version})")
        if unknown:
            raise TableTooNewError(
                f"cannot write {table}: it needs {', '.join(unknown)}",
                wanted=f"a table with no other features than {', '.join(sorted(_WRITABLE))}",
                hint="another tool changed the table's protocol; to have one that Qanat can write,"
                f" move its folder away and start over: {full_refresh()}",
            )

    def with_schema(self, schema: Schema) -> Features:
        """These features, and those that the columns' types require."""
        if not any(_has_local_time(f.type) for f in schema.fields):
            return self
        # Writer version 2 implies these two features; version 7 must list them.
        writer = self.writer or frozenset({"appendOnly", "invariants"})
        return Features(3, 7, self.reader | {"timestampNtz"}, writer | {"timestampNtz"})

    def action(self) -> dict[str, Any]:
        """The `protocol` action."""
        action: dict[str, Any] = {
            "minReaderVersion": self.reader_version,
            "minWriterVersion": self.writer_version,
        }
        if self.reader_version >= 3:
            action["readerFeatures"] = sorted(self.reader)
        if self.writer_version >= 7:
            action["writerFeatures"] = sorted(self.writer)
        return {"protocol": action}


NEW_TABLE = Features(1, 2)


def check_properties(properties: Mapping[str, str]) -> None:
    """Refuse `delta.` properties that promise readers what Qanat does not do.

    Raises:
        OptionError: there is such a property; the error names the nearest one that can be set.
    """
    for name in properties:
        if name.startswith("delta.") and name not in _PROPERTIES:
            raise OptionError(
                f"table property {name!r} cannot be set: it needs a Delta feature that Qanat "
                "does not write",
                nearest=nearest(name, _PROPERTIES),
            )


def _has_local_time(type_: DataType) -> bool:
    return Primitive("timestamp_ntz") in _leaves(type_)


def _leaves(type_: DataType) -> Iterator[DataType]:
    match type_:
        case Array(element):
            yield from _leaves(element)
        case MapType(key, value):
            yield from _leaves(key)
            yield from _leaves(value)
        case Struct(fields):
            for field in fields:
                yield from _leaves(field.type)
        case _:
            yield type_


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


class TableState(Frozen):
    """A table at one version.

    Args:
        id, name, created: as in the log's `metaData`; they never change.
        written: the schema as the log has it, with what others say of columns (their `metadata`).
        transactions: the last number of each application, or of the one that was asked for.
        masked: True if deletion vectors hide rows of the files.
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

_KNOWN = frozenset({"add", "remove", "metaData", "protocol", "txn", "commitInfo"})
_FEATURES = frozenset({"appendOnly", "invariants", "timestampNtz"})


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
            if not action.keys() <= _KNOWN:
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
    files = sorted(live.values(), key=_age)
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
        files=tuple(LiveFile(a["path"], a["size"], rows_of(a)) for a in files),
        transactions=transactions,
        masked=False,
    )


def _age(add: Mapping[str, Any]) -> tuple[int, str]:
    """By this, a table's files are in the order in which they were added.

    Streams and snapshots have to read them in one order: else a rule that keeps the first row of a
    key keeps another one after a full refresh.
    """
    return add["modificationTime"], add["path"]


def added_files(log: Log, after: int, upto: int) -> list[tuple[int, LiveFile]]:
    """The files with new rows of the versions after `after`, up to and with `upto`, in order.

    Each comes with the version that brought it.

    What counts is what became of each file in the end: one that came and went again in between
    was never there for the reader, and one that went and came back (an epoch that was taken back,
    a `RESTORE`) has been read already.

    Commits that only rearrange rows (compaction, wider types) are passed over: the files they
    replaced still lie in the folder until it is vacuumed.

    Raises:
        NotAppendOnlyError: the versions together removed or rewrote rows.
        TableCorruptError: the log no longer reaches back to `after`.
    """
    added: dict[_File, tuple[int, Mapping[str, Any]]] = {}
    removed: dict[_File, int] = {}
    for version in range(after + 1, upto + 1):
        actions = log.actions(version)
        for remove in _with_rows(actions, "remove"):
            if added.pop(_file(remove), None) is None:
                removed[_file(remove)] = version
        for add in sorted(_with_rows(actions, "add"), key=_age):
            if removed.pop(_file(add), None) is None:
                added[_file(add)] = version, add
    masked = [version for version, add in added.values() if add.get("deletionVector")]
    if removed or masked:
        raise _rewritten(log, min([*removed.values(), *masked]))
    return [
        (version, LiveFile(add["path"], add["size"], rows_of(add)))
        for version, add in added.values()
    ]


def rows_of(add: Mapping[str, Any]) -> int | None:
    """How many rows an `add` action says its file has, if it does."""
    stats = json.loads(add.get("stats") or "{}")
    rows = stats.get("numRecords")
    return rows if isinstance(rows, int) else None


_File = tuple[str, str]
"""A file as part of a table: its path, and which of its rows a deletion vector takes away."""


def _file(action: Mapping[str, Any]) -> _File:
    return action["path"], json.dumps(action.get("deletionVector"), sort_keys=True)


def _with_rows(actions: Iterable[Mapping[str, Any]], kind: str) -> Iterable[Mapping[str, Any]]:
    """The actions of a kind that change rows, and do not only move them to other files."""
    found = (a[kind] for a in actions if kind in a)
    return [a for a in found if a.get("dataChange", True)]


def _rewritten(log: Log, version: int) -> NotAppendOnlyError:
    infos = (a["commitInfo"] for a in log.actions(version) if "commitInfo" in a)
    info: Mapping[str, Any] = next(infos, {})
    overwritten = (info.get("operationParameters") or {}).get("mode") == "Overwrite"
    name = PurePosixPath(log.shown).name
    return NotAppendOnlyError(
        f"{name} is read as a stream, but its version {version} removed or rewrote rows",
        wanted="appends only",
        got="all rows replaced" if overwritten else str(info.get("operation") or "a commit"),
        hint=f"read it without STREAM, or start over: {full_refresh()}",
    )
