"""A commit in the making: the files that it writes, and what becomes of the table's metadata."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any
from uuid import uuid4

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest_list,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import (
    AddPartitionSpecUpdate,
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    SetCurrentSchemaUpdate,
    SetDefaultSpecUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from qanat.errors import QanatError, TableTooNewError, full_refresh
from qanat.frozen import Frozen
from qanat.storage.iceberg.catalog import Registered
from qanat.storage.iceberg.described import described
from qanat.storage.iceberg.history import TRANSACTIONS, TYPES, History
from qanat.storage.iceberg.manifests import Writer, entry, listed, manifests, owner

_MAIN = "main"
_LOGGED = 100
"""Earlier metadata files that the newest one names, as all writers of Iceberg have it."""
_MANY = 100
"""Manifests of a snapshot from which on they are written into few."""
_ADDED, _DELETED = ManifestEntryStatus.ADDED, ManifestEntryStatus.DELETED
_EXISTING = ManifestEntryStatus.EXISTING


class Ending(Frozen):
    """What the summary of a new snapshot says beside counts."""

    numbers: Mapping[str, int]
    types: Mapping[str, str]
    more: Mapping[str, str] = field(default_factory=dict)


class Draft:
    """A commit in the making, on top of a table as it is registered.

    Its files are written while it is drafted; `discard` removes them if it comes to nothing. What
    it changes can be had as a new metadata file (`document`) or as what pyiceberg's catalogs are
    told (`updates`).

    Args:
        base: the table.
        io: its files.
    """

    def __init__(self, base: Registered, io: FileIO) -> None:
        self.history: History = base.history
        self.before = described(base)
        if self.before.version != 2:
            raise TableTooNewError(
                f"cannot write {self.before.location}: it is of Iceberg's format version"
                f" {self.before.version}",
                wanted="format version 2",
                hint="to have one that Qanat can write, move its folder away and start over:"
                f" {full_refresh()}",
            )
        self.schema: Schema = self.before.schema
        self.spec: PartitionSpec = self.before.spec
        self.properties: dict[str, str] = {}
        self.snapshot_id = uuid4().int >> 65
        self.same_rows = False
        self._made: dict[str, Any] = {}
        self._base = base
        self._io = io
        self._written: list[str] = []
        self._unique = uuid4().hex

    def note(self, location: str) -> None:
        """Count another file among those that were written for it."""
        self._written.append(location)

    def discard(self) -> None:
        """Remove what was written for it."""
        for path in self._written:
            # A full disk may have refused it.
            with suppress(FileNotFoundError):
                self._io.delete(path)
        self._written.clear()

    def snapshot(
        self,
        added: Mapping[str | None, Sequence[DataFile]],
        gone: Callable[[ManifestEntry], bool] | None,
        ending: Ending,
        restored: Iterable[ManifestEntry] = (),
        same_rows: bool = False,
    ) -> None:
        """Add a snapshot: the files that stay, without those that go, and new ones.

        Args:
            added: new files by the application that brings them.
            gone: whether a file goes; None if all stay, which need not be looked at then.
            restored: entries of earlier snapshots that come back as they were.
            same_rows: whether the new files have the rows of those that go.
        """
        try:
            self._draw(added, gone, ending, list(restored))
            self.same_rows = same_rows
            if same_rows:
                # pyiceberg has no counts for such a snapshot.
                self._made["summary"]["operation"] = Operation.REPLACE.value
        except (OSError, QanatError):
            self.discard()
            raise

    def _draw(
        self,
        added: Mapping[str | None, Sequence[DataFile]],
        gone: Callable[[ManifestEntry], bool] | None,
        ending: Ending,
        restored: Sequence[ManifestEntry],
    ) -> None:
        collector = SnapshotSummaryCollector()
        found: list[ManifestFile] = []
        for application, files in added.items():
            for each in files:
                collector.add_file(each, self.schema, self.spec)
            entries = [entry(f, _ADDED, self.snapshot_id) for f in files]
            found += self._manifests(entries, self.schema, application)
        kept, removed = self._parted(gone)
        found += kept
        for one in removed:
            collector.remove_file(one.data_file, self.before.schema, self._spec(one))
        found += self._manifests([entry(e, _DELETED, self.snapshot_id) for e in removed])
        back = [entry(e, _EXISTING, 0) for e in restored]
        for one in back:
            collector.add_file(one.data_file, self.before.schema, self._spec(one))
        found += self._manifests(back)
        operation = Operation.APPEND
        if removed:
            more = back or any(added.values())
            operation = Operation.OVERWRITE if more else Operation.DELETE
        self._add(found, operation, collector, ending)

    # -- what it comes to ----------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """The table's metadata as the commit makes it."""
        base, made = self._base, self._made
        found: dict[str, Any] = dict(base.history.metadata)
        at = made["timestamp-ms"]
        found["schemas"] = [json.loads(s.model_dump_json()) for s in self._schemas]
        found["current-schema-id"] = self.schema.schema_id
        found["last-column-id"] = max(self.before.last_column, self.schema.highest_field_id)
        found["partition-specs"] = [json.loads(s.model_dump_json()) for s in self._specs]
        found["default-spec-id"] = self.spec.spec_id
        numbers = (f.field_id for f in self.spec.fields)
        found["last-partition-id"] = max(self.before.last_partition, *numbers, 0)
        found["properties"] = {**base.history.properties, **self.properties}
        found["last-sequence-number"] = made["sequence-number"]
        found["last-updated-ms"] = at
        found["snapshots"] = [*(found.get("snapshots") or ()), made]
        entry = {"snapshot-id": self.snapshot_id, "timestamp-ms": at}
        found["snapshot-log"] = [*(found.get("snapshot-log") or ()), entry]
        found["current-snapshot-id"] = self.snapshot_id
        main = {"snapshot-id": self.snapshot_id, "type": "branch"}
        found["refs"] = {**(found.get("refs") or {}), _MAIN: main}
        earlier = {
            "metadata-file": base.metadata_location,
            "timestamp-ms": self.before.last_updated_ms,
        }
        found["metadata-log"] = [*(found.get("metadata-log") or ()), earlier][-_LOGGED:]
        return found

    @property
    def requirements(self) -> tuple[TableRequirement, ...]:
        """What must still be so for the commit to happen, for catalogs that are not a file."""
        head = self.history.head
        return (
            AssertTableUUID.model_validate({"uuid": self.history.uuid}),
            AssertRefSnapshotId.model_validate(
                {"ref": _MAIN, "snapshot-id": None if head is None else head.id}
            ),
        )

    @property
    def updates(self) -> tuple[TableUpdate, ...]:
        """What changes, for catalogs that are not a file."""
        found: list[TableUpdate] = []
        if self.schema.schema_id not in self.before.schemas:
            found.append(AddSchemaUpdate(schema=self.schema))
        found.append(SetCurrentSchemaUpdate.model_validate({"schema-id": self.schema.schema_id}))
        if self.spec.spec_id not in self.before.specs:
            found.append(AddPartitionSpecUpdate(spec=self.spec))
        found.append(SetDefaultSpecUpdate.model_validate({"spec-id": self.spec.spec_id}))
        main = {"ref-name": _MAIN, "type": "branch", "snapshot-id": self.snapshot_id}
        return (
            *found,
            SetPropertiesUpdate(updates=self.properties),
            AddSnapshotUpdate(snapshot=Snapshot.model_validate(self._made)),
            SetSnapshotRefUpdate.model_validate(main),
        )

    @property
    def _schemas(self) -> list[Schema]:
        return list({**self.before.schemas, self.schema.schema_id: self.schema}.values())

    @property
    def _specs(self) -> list[PartitionSpec]:
        return list({**self.before.specs, self.spec.spec_id: self.spec}.values())

    # -- files ---------------------------------------------------------------------------------

    def _parted(
        self, gone: Callable[[ManifestEntry], bool] | None
    ) -> tuple[list[ManifestFile], list[ManifestEntry]]:
        """The manifests of the files that stay, and those files that do not."""
        head = self.history.head
        every = listed(manifests(self._io, head.manifests)) if head else []
        known = [m for m in every if m.content is ManifestContent.DATA]
        # Delete files, by which other tools remove single rows.
        masks = [m for m in every if m.content is not ManifestContent.DATA]
        if gone is None:
            return [*(self._few(known) if len(known) >= _MANY else known), *masks], []
        kept: list[ManifestFile] = []
        removed: list[ManifestEntry] = []
        for manifest in known:
            entries = manifest.fetch_manifest_entry(self._io)
            going = [e for e in entries if gone(e)]
            if not going:
                kept.append(manifest)
                continue
            removed += going
            staying = [entry(e, _EXISTING, 0) for e in entries if not gone(e)]
            kept += self._manifests(staying, None, owner(self._io, manifest))
        return [*kept, *(masks if kept else ())], removed

    def _few(self, known: Sequence[ManifestFile]) -> list[ManifestFile]:
        """The same entries in one manifest for each application."""
        by_owner: dict[str | None, list[ManifestEntry]] = {}
        for manifest in known:
            entries = manifest.fetch_manifest_entry(self._io)
            mine = by_owner.setdefault(owner(self._io, manifest), [])
            mine += (entry(e, _EXISTING, 0) for e in entries)
        parts = (self._manifests(e, None, application) for application, e in by_owner.items())
        return [manifest for part in parts for manifest in part]

    def _add(
        self,
        found: Sequence[ManifestFile],
        operation: Operation,
        collector: SnapshotSummaryCollector,
        ending: Ending,
    ) -> None:
        numbers, head = dict(ending.numbers), self.history.head
        kept = {"snapshot": self.snapshot_id, "numbers": numbers}
        self.properties[TRANSACTIONS] = json.dumps(kept, sort_keys=True)
        said = {**ending.more, TRANSACTIONS: json.dumps(numbers, sort_keys=True)}
        if ending.types:
            said[TYPES] = json.dumps(dict(ending.types), sort_keys=True)
        summary = update_snapshot_summaries(
            Summary(operation=operation, **{**said, **collector.build()}),
            None if head is None else head.summary,
        )
        sequence = self.before.last_sequence + 1
        location = self._new(f"snap-{self.snapshot_id}-qanat-{self._unique}.avro")
        with write_manifest_list(
            format_version=2,
            output_file=self._io.new_output(location),
            snapshot_id=self.snapshot_id,
            parent_snapshot_id=None if head is None else head.id,
            sequence_number=sequence,
            avro_compression="deflate",
        ) as writer:
            writer.add_manifests(list(found))
        self._made = {
            "snapshot-id": self.snapshot_id,
            "sequence-number": sequence,
            # Some readers refuse a table whose time goes backwards, and clocks may go backwards.
            "timestamp-ms": max(time.time_ns() // 1_000_000, self.before.last_updated_ms),
            "manifest-list": location,
            "summary": {
                "operation": summary.operation.value,
                **summary.additional_properties,
            },
            "schema-id": self.schema.schema_id,
        }
        if head is not None:
            self._made["parent-snapshot-id"] = head.id

    def _manifests(
        self,
        entries: Sequence[ManifestEntry],
        schema: Schema | None = None,
        application: str | None = None,
    ) -> list[ManifestFile]:
        """Write entries into manifests, one for each partitioning.

        Args:
            schema: the columns, by which the files are partitioned; default: those before.
        """
        found = []
        specs = {**self.before.specs, self.spec.spec_id: self.spec}
        for number in dict.fromkeys(e.data_file.spec_id for e in entries):
            location = self._new(f"qanat-{self._unique}-m{len(self._written)}.avro")
            writer = Writer(
                specs[number],
                schema or self.before.schema,
                self._io.new_output(location),
                self.snapshot_id,
                "deflate",
            )
            writer.application = application
            with writer:
                for each in entries:
                    if each.data_file.spec_id == number:
                        writer.add_entry(each)
            found.append(writer.to_manifest_file())
        return found

    def _new(self, name: str) -> str:
        location = f"{self.before.location}/metadata/{name}"
        self._written.append(location)
        return location

    def _spec(self, of: ManifestEntry) -> PartitionSpec:
        return self.before.specs[of.data_file.spec_id]
