"""What an engine gets of a table: its Parquet files as they are, or rows that pyiceberg reads.

Files can be read plainly as long as nothing but their own columns says what is in them: no row is
deleted, no column has been renamed, and partition columns are in the names of their folders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import FileFormat, ManifestEntry
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema as IcebergSchema
from pyiceberg.table import FileScanTask, Table

from qanat.errors import FileVanishedError, NotAppendOnlyError, TableCorruptError, full_refresh
from qanat.model.amount import Amount
from qanat.model.schema import Schema, grown
from qanat.model.table import Added, Snapshot, TableRef
from qanat.model.work import ArrowBatch, TableBatch
from qanat.storage.iceberg.catalog import Registered
from qanat.storage.iceberg.columns import Identifiers, from_iceberg
from qanat.storage.iceberg.described import described, in_full
from qanat.storage.iceberg.disk import DurableIO, local_path
from qanat.storage.iceberg.history import RESERVED, RETRACTS, History, SnapshotEntry
from qanat.storage.iceberg.manifests import changes, content, identity, partition_value

Files = dict[str, ManifestEntry]
"""Entries by the paths of their files."""


class Reader:
    """A table as it is registered."""

    def __init__(self, table: TableRef, base: Registered, io: FileIO) -> None:
        self._table = table
        self._base = base
        self._io = io
        self._history: History = base.history
        self._described = described(base)

    def snapshot(self, made: SnapshotEntry) -> Snapshot:
        """The table as a snapshot made it."""
        parts = content(self._io, made.manifests)
        entries = tuple(parts.entries)
        schema = self._schema(made)
        spec = self._spec(entries, made)
        partition_by = identity(spec, self._iceberg(made)) or ()
        batch = None if parts.masked else self._plain(entries, made, schema, spec)
        properties = self._history.properties
        return Snapshot(
            version=made.version,
            schema=schema,
            partition_by=partition_by,
            batch=batch or ArrowBatch(partial(self._scan, made), schema),
            rows=None if parts.masked else sum(e.data_file.record_count for e in entries),
            bytes=sum(e.data_file.file_size_in_bytes for e in entries),
            files=len(entries),
            comment=properties.get("comment") or None,
            properties={k: v for k, v in properties.items() if k not in RESERVED},
            id=self._history.uuid,
        )

    def added(self, after: int, upto: int, skip: bool = False) -> Added:
        """What the table gained after one version, up to and with another.

        Args:
            skip: pass over versions that remove or rewrite rows.

        Raises:
            NotAppendOnlyError: a version removed or rewrote rows, or has been rolled back.
            TableCorruptError: snapshots in between have been expired.
            FileVanishedError: a file of the range is gone.
        """
        last = self._history.at(upto)
        if last is None:
            raise _expired(self._table, upto)
        entries = tuple(self._gained(last, after, skip))
        schema = self._schema(last)
        spec = self._spec(entries, last)
        for path in self._paths(entries):
            if not Path(path).exists():
                raise FileVanishedError(
                    f"{self._table} lost rows that have not been read yet",
                    got=f"{path} is gone (removed with expired snapshots?)",
                    hint=f"start over from what is there: {full_refresh()}",
                )
        batch = self._over_time(entries, last, after, schema, spec)
        files = [e.data_file for e in entries]
        amount = Amount(
            len(files),
            sum(f.file_size_in_bytes for f in files),
            sum(f.record_count for f in files),
        )
        return Added(batch or ArrowBatch(partial(self._rows, entries, last), schema), amount)

    def _over_time(
        self,
        entries: Sequence[ManifestEntry],
        last: SnapshotEntry,
        after: int,
        schema: Schema,
        spec: PartitionSpec,
    ) -> TableBatch | None:
        """Files that versions have added, those from before columns got wider types as such.

        Returns:
            None if their own columns do not say what is in them.
        """
        widened = [made for made in reversed(self._since(last, after)) if made.widens]
        parts: list[TableBatch] = []
        rest = list(entries)
        for made in widened:
            before = None if made.parent is None else self._history.known.get(made.parent)
            if before is None:
                return None
            older = [e for e in rest if self._sequence(e) < made.sequence]
            rest = rest[len(older) :]
            part = self._plain(older, before, self._schema(before), self._spec(older, before))
            if part is None:
                return None
            parts.append(part)
        batch = self._plain(rest, last, schema, spec)
        if batch is None or not parts:
            return batch
        files = tuple(f for part in (*parts, batch) for f in part.files)
        return replace(batch, files=files, narrower=tuple(p for p in parts if p.files))

    def _sequence(self, of: ManifestEntry) -> int:
        """The sequence number of the snapshot that has added a file."""
        made = self._history.known.get(of.snapshot_id or 0)
        return 0 if made is None else made.sequence

    def missing(self, made: SnapshotEntry) -> Sequence[str]:
        """The files of a snapshot that are not there."""
        entries = content(self._io, made.manifests).entries
        return [path for path in self._paths(entries) if not Path(path).exists()]

    def _gained(self, last: SnapshotEntry, after: int, skip: bool) -> Iterable[ManifestEntry]:
        """The entries with new rows, by what became of each file in the end.

        One that came and went again was never there for the reader, and one that went and came
        back (an epoch that was taken back) has been read already.
        """
        gained: dict[str, ManifestEntry] = {}
        lost: dict[str, SnapshotEntry] = {}
        for made in reversed(self._since(last, after)):
            added, removed = self._moved(made, skip)
            if skip and RETRACTS in made.summary:
                gained = {p: e for p, e in gained.items() if p not in removed}
                continue
            if skip and removed:
                continue  # what it rewrote stays as it was read
            for path in removed:
                if gained.pop(path, None) is None:
                    lost[path] = made
            for path, each in added.items():
                if lost.pop(path, None) is None:
                    gained[path] = each
        if lost and not skip:
            raise _rewritten(self._table, min(lost.values(), key=lambda m: m.version))
        return gained.values()

    def _since(self, last: SnapshotEntry, after: int) -> list[SnapshotEntry]:
        """The snapshots after a version, newest first, without fences."""
        found: list[SnapshotEntry] = []
        for made in self._history.line(last):
            if made.version <= after:
                if made.version < after:
                    raise NotAppendOnlyError(
                        f"{self._table.name} is read as a stream, but its version {after} was"
                        " rolled back",
                        hint=f"start over: {full_refresh()}",
                    )
                return found
            if made.parent is not None and made.parent not in self._history.known:
                raise _expired(self._table, after)
            if not made.is_fence:
                found.append(made)
        if after >= 0:
            raise _expired(self._table, after)
        return found

    def _moved(self, made: SnapshotEntry, skip: bool) -> tuple[Files, Files]:
        """The files that a snapshot added, and those that it removed, by their paths.

        Args:
            skip: whether one that deletes rows by their position counts as one without files.
        """
        if made.summary.get("operation") == "replace":
            return {}, {}  # the same rows in other files
        before = None if made.parent is None else self._history.known.get(made.parent)
        if RETRACTS in made.summary and before is not None:
            # Files that come back keep the snapshot that once added them, so that no manifest
            # says that this one did.
            old = _by_path(content(self._io, before.manifests).entries)
            new = _by_path(content(self._io, made.manifests).entries)
            back = {path: new[path] for path in new if path not in old}
            return back, {path: old[path] for path in old if path not in new}
        added, removed, masked = changes(self._io, made.manifests, made.id)
        if masked and skip:
            return {}, {}
        if masked:
            raise _rewritten(self._table, made)
        return _by_path(added), _by_path(removed)

    # -- files ---------------------------------------------------------------------------------

    def _plain(
        self,
        entries: Sequence[ManifestEntry],
        made: SnapshotEntry,
        schema: Schema,
        spec: PartitionSpec,
    ) -> TableBatch | None:
        """The files as they are; None if their own columns do not say what is in them."""
        columns = self._iceberg(made)
        partition_by = identity(spec, columns)
        paths = tuple(self._paths(entries))
        if partition_by is None or len(paths) != len(entries):
            return None
        for each in entries:
            file = each.data_file
            if file.file_format is not FileFormat.PARQUET or file.spec_id != spec.spec_id:
                return None
            if not _in_its_folder(each, spec, columns):
                return None
        if not all(_same_columns(other, columns) for other in self._schemas(entries)):
            return None
        return TableBatch(paths, schema, partition_by)

    def _schemas(self, entries: Iterable[ManifestEntry]) -> Iterator[IcebergSchema]:
        """The columns that the table had when some files were added."""
        makers = (self._history.known.get(e.snapshot_id or 0) for e in entries)
        numbers = {None if m is None else m.schema for m in makers}
        # The snapshot that added a file may have expired: then it may have had any of the schemas.
        schemas = self._described.schemas
        yield from (s for n, s in schemas.items() if None in numbers or n in numbers)

    def _paths(self, entries: Iterable[ManifestEntry]) -> Iterator[str]:
        """The local files."""
        for each in entries:
            location = each.data_file.file_path
            here = self._io.here(location) if isinstance(self._io, DurableIO) else location
            path = local_path(here)
            if path is not None:
                yield str(path)

    # -- columns -------------------------------------------------------------------------------

    def _iceberg(self, made: SnapshotEntry) -> IcebergSchema:
        today = self._described.schema
        return today if made.schema is None else self._described.schemas.get(made.schema, today)

    def _schema(self, made: SnapshotEntry) -> Schema:
        types = self._history.types_at(made)
        return from_iceberg(self._iceberg(made), types, str(self._table))

    def _spec(self, entries: Sequence[ManifestEntry], made: SnapshotEntry) -> PartitionSpec:
        """How files are partitioned: those of an old version maybe not as those of today."""
        numbers = {e.data_file.spec_id for e in entries}
        if made is not self._history.newest and len(numbers) == 1:
            return self._described.specs[numbers.pop()]
        return self._described.spec

    # -- through Arrow -------------------------------------------------------------------------

    def _scan(self, made: SnapshotEntry) -> Any:
        table = Table(
            identifier=("qanat", self._table.name),
            metadata=in_full(self._base),
            metadata_location=self._base.metadata_location,
            io=self._io,
            catalog=NoopCatalog("qanat"),
        )
        return table.scan(snapshot_id=made.id).to_arrow_batch_reader()

    def _rows(self, entries: Sequence[ManifestEntry], made: SnapshotEntry) -> Any:
        columns = self._iceberg(made)
        scan = ArrowScan(in_full(self._base), self._io, columns, AlwaysTrue())
        return scan.to_table([FileScanTask(e.data_file) for e in entries])


def _by_path(entries: Iterable[ManifestEntry]) -> Files:
    return {e.data_file.file_path: e for e in entries}


def _rewritten(table: TableRef, made: SnapshotEntry) -> NotAppendOnlyError:
    return NotAppendOnlyError(
        f"{table.name} is read as a stream, but its version {made.version} removed or rewrote"
        " rows",
        wanted="appends only",
        got=made.summary.get("operation", "a commit"),
        hint="take only rows that are added: STREAM … WITH (skip_change_commits); or start over:"
        f" {full_refresh()}",
    )


def _in_its_folder(of: ManifestEntry, spec: PartitionSpec, columns: IcebergSchema) -> bool:
    """True if the last folders of a file say in which partition it is."""
    if not spec.fields:
        return True
    folders = of.data_file.file_path.split("/")[:-1][-len(spec.fields) :]
    if len(folders) < len(spec.fields):
        return False
    for number, (folder, each) in enumerate(zip(folders, spec.fields, strict=True)):
        column = columns.find_field(each.source_id)
        name, equals, text = folder.partition("=")
        if not equals or unquote(name) != column.name:
            return False
        try:
            value = partition_value(column.field_type, unquote(text), column.name)
        except (ValueError, ArithmeticError):
            return False
        if value != of.data_file.partition[number]:
            return False
    return True


def _same_columns(old: IcebergSchema, new: IcebergSchema) -> bool:
    """True if files with the old columns can be read by the names of the new ones."""
    before = Identifiers.of(old, None, 0).by_path
    after = Identifiers.of(new, None, 0).by_path
    names = {number: path for path, number in after.items()}
    for path, number in before.items():
        if after.get(path, number) != number or names.get(number, path) != path:
            return False
    current = from_iceberg(new, {}, "")
    for column in from_iceberg(old, {}, "").fields:
        now = current.get(column.name)
        if now is not None and now.type != grown(column.type, now.type):
            return False
    return True


def _expired(table: TableRef, version: int) -> TableCorruptError:
    return TableCorruptError(
        f"{table} no longer has its version {version}: its snapshots have been expired",
        hint=f"start over from what is there: {full_refresh()}",
    )
