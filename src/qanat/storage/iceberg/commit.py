"""What one commit changes: files, columns, partitions, properties, in one exchange of metadata."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DataFile,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest_list,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema as IcebergSchema
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil
from pyiceberg.table.refs import SnapshotRefType
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
    update_table_metadata,
)
from pyiceberg.transforms import IdentityTransform

from qanat.disk import disk_error
from qanat.errors import AdapterError, QanatError, SchemaMismatchError, TableTooNewError
from qanat.model.change import Change
from qanat.model.schema import Field, Schema, grown
from qanat.model.work import DataFile as StagedFile
from qanat.ports.store import Commit
from qanat.storage.iceberg.catalog import Registered
from qanat.storage.iceberg.columns import Identifiers, from_iceberg, narrow_types, to_iceberg
from qanat.storage.iceberg.history import (
    APPLICATION,
    COMMENT,
    FENCE,
    MAPPING,
    NUMBER,
    TRANSACTIONS,
    TYPES,
    History,
    Made,
)
from qanat.storage.iceberg.manifests import (
    Content,
    Writer,
    changes,
    content,
    entry,
    identity,
    owner,
    staged,
)

_MAIN = "main"
_FIRST_PARTITION = 1000
"""Iceberg's identifiers of partition fields begin here."""
_ADDED, _DELETED = ManifestEntryStatus.ADDED, ManifestEntryStatus.DELETED
_EXISTING = ManifestEntryStatus.EXISTING


@dataclass(frozen=True, slots=True)
class Ending:
    """What the summary of a new snapshot says beside counts."""

    numbers: Mapping[str, int]
    types: Mapping[str, str]
    more: Mapping[str, str] = field(default_factory=dict)


class Draft:
    """A commit in the making, on top of a table as it is registered.

    Its files are written while it is drafted; `discard` removes them if it comes to nothing.
    """

    def __init__(self, base: Registered, io: FileIO) -> None:
        self.history: History = base.history
        self.before = parsed(base)
        self.updates: tuple[TableUpdate, ...] = ()
        self._io = io
        self._written: list[str] = []
        self.snapshot_id = self.before.new_snapshot_id()
        self._folder = f"{self.before.location.rstrip('/')}/metadata"
        self._unique = uuid4().hex
        if self.before.format_version != 2:
            raise TableTooNewError(
                f"cannot write {self.before.location}: it is of Iceberg's format version"
                f" {self.before.format_version}",
                wanted="format version 2",
                hint="a full refresh into a new folder makes a table that Qanat can write",
            )

    @property
    def requirements(self) -> tuple[TableRequirement, ...]:
        """What must still be so for the commit to happen, for catalogs that are not a file."""
        head = self.history.head
        return (
            AssertTableUUID(uuid=self.before.table_uuid),
            AssertRefSnapshotId.model_validate(
                {"ref": _MAIN, "snapshot-id": None if head is None else head.id}
            ),
        )

    def change(self, *updates: TableUpdate) -> None:
        """Add changes."""
        self.updates += updates

    def metadata(self, base: Registered) -> TableMetadata:
        """The table as the commit makes it."""
        return update_table_metadata(
            self.before, self.updates, metadata_location=base.metadata_location
        )

    def discard(self) -> None:
        """Remove what was written for it."""
        for path in self._written:
            self._io.delete(path)
        self._written.clear()

    def snapshot(
        self,
        parts: Content | None,
        added: Mapping[str | None, Sequence[DataFile]],
        gone: Callable[[ManifestEntry], bool],
        ending: Ending,
        restored: Iterable[ManifestEntry] = (),
    ) -> None:
        """Add a snapshot: the files that stay, without those that go, and new ones.

        Args:
            parts: the files that there are.
            added: new files by the application that brings them.
            restored: entries of earlier snapshots that come back as they were.
        """
        after = update_table_metadata(self.before, self.updates)
        collector = SnapshotSummaryCollector()
        found: list[ManifestFile] = []
        for application, files in added.items():
            for each in files:
                collector.add_file(each, after.schema(), after.spec())
            entries = [entry(f, _ADDED, self.snapshot_id) for f in files]
            found += self._manifests(entries, after, application)
        removed: list[ManifestEntry] = []
        for listed in parts.listed if parts else ():
            going = [e for e in listed.entries if gone(e)]
            if not going:
                found.append(listed.manifest)
                continue
            removed += going
            staying = [entry(e, _EXISTING, 0) for e in listed.entries if not gone(e)]
            found += self._manifests(staying, self.before, owner(self._io, listed.manifest))
        for one in removed:
            collector.remove_file(one.data_file, self.before.schema(), self._spec(one))
        found += self._manifests([entry(e, _DELETED, self.snapshot_id) for e in removed])
        back = [entry(e, _EXISTING, 0) for e in restored]
        for one in back:
            collector.add_file(one.data_file, self.before.schema(), self._spec(one))
        found += self._manifests(back)
        added_any = any(added.values()) or bool(back)
        operation = Operation.APPEND
        if removed:
            operation = Operation.OVERWRITE if added_any else Operation.DELETE
        self._add(found, operation, collector, ending)

    def _add(
        self,
        found: Sequence[ManifestFile],
        operation: Operation,
        collector: SnapshotSummaryCollector,
        ending: Ending,
    ) -> None:
        numbers = dict(ending.numbers)
        kept = json.dumps({"snapshot": self.snapshot_id, "numbers": numbers}, sort_keys=True)
        self.change(SetPropertiesUpdate(updates={TRANSACTIONS: kept}))
        after = update_table_metadata(self.before, self.updates)
        head = self.history.head
        said = {**ending.more, TRANSACTIONS: json.dumps(numbers, sort_keys=True)}
        if ending.types:
            said[TYPES] = json.dumps(dict(ending.types), sort_keys=True)
        summary = update_snapshot_summaries(
            Summary(operation=operation, **{**said, **collector.build()}),
            None if head is None else head.summary,
        )
        sequence = after.next_sequence_number()
        location = f"{self._folder}/snap-{self.snapshot_id}-qanat-{self._unique}.avro"
        self._written.append(location)
        with write_manifest_list(
            format_version=2,
            output_file=self._io.new_output(location),
            snapshot_id=self.snapshot_id,
            parent_snapshot_id=None if head is None else head.id,
            sequence_number=sequence,
            avro_compression="deflate",
        ) as writer:
            writer.add_manifests(list(found))
        made = Snapshot.model_validate(
            {
                "snapshot-id": self.snapshot_id,
                "parent-snapshot-id": None if head is None else head.id,
                "sequence-number": sequence,
                # Readers take it amiss if time goes backwards, as clocks do.
                "timestamp-ms": max(time.time_ns() // 1_000_000, self.before.last_updated_ms),
                "manifest-list": location,
                "summary": summary,
                "schema-id": after.current_schema_id,
            }
        )
        self.change(
            AddSnapshotUpdate(snapshot=made),
            SetSnapshotRefUpdate.model_validate(
                {
                    "ref-name": _MAIN,
                    "type": SnapshotRefType.BRANCH,
                    "snapshot-id": made.snapshot_id,
                }
            ),
        )

    def _manifests(
        self,
        entries: Sequence[ManifestEntry],
        metadata: TableMetadata | None = None,
        application: str | None = None,
    ) -> list[ManifestFile]:
        """Write entries into manifests, one for each partitioning."""
        metadata = metadata or self.before
        found = []
        for number in dict.fromkeys(e.data_file.spec_id for e in entries):
            location = f"{self._folder}/qanat-{self._unique}-m{len(self._written)}.avro"
            self._written.append(location)
            writer = Writer(
                metadata.specs()[number],
                metadata.schema(),
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

    def _spec(self, of: ManifestEntry) -> PartitionSpec:
        return self.before.specs()[of.data_file.spec_id]


def _set_schema(number: int) -> SetCurrentSchemaUpdate:
    return SetCurrentSchemaUpdate.model_validate({"schema-id": number})


def _set_spec(number: int) -> SetDefaultSpecUpdate:
    return SetDefaultSpecUpdate.model_validate({"spec-id": number})


def parsed(base: Registered) -> TableMetadata:
    """A table's metadata as pyiceberg has it.

    Raises:
        TableTooNewError: pyiceberg does not know its version.
    """
    try:
        return TableMetadataUtil.parse_obj(dict(base.history.metadata))
    except ValueError as error:
        raise TableTooNewError(
            f"pyiceberg cannot read the metadata {base.metadata_location}", got=str(error)
        ) from error


def publishing(commit: Commit, base: Registered, io: FileIO, staging: str) -> Draft:
    """The draft that makes staged files part of a table.

    Raises:
        SchemaMismatchError: an append would take away, retype or reorder what the table has.
        TableTooNewError: the table is of a version that we do not write.
        AdapterError: a staged file is not there, or has changed.
    """
    for each in commit.files:
        check_staged(Path(staging, each.path), each)
    draft = Draft(base, io)
    try:
        _describe(draft, commit)
        _exchange(draft, commit, io, staging)
    except (OSError, QanatError):
        draft.discard()
        raise
    return draft


def retracting(base: Registered, io: FileIO, made: Made, application: str, number: int) -> Draft:
    """The draft that takes back what a snapshot did for an application."""
    draft = Draft(base, io)
    history = base.history
    added, removed, _ = changes(io, made.manifests, made.id)
    parts = content(io, history.head.manifests) if history.head else None
    live = {e.data_file.file_path for e in parts.entries} if parts else set()
    gone = {e.data_file.file_path for e in added}
    back = [e for e in removed if e.data_file.file_path not in live]
    before = None if made.parent is None else history.known.get(made.parent)
    types = history.types
    if back and before is not None and before.schema is not None:
        # A commit that takes rows away may have given the table other columns.
        draft.change(_set_schema(before.schema))
        draft.change(_set_spec(back[0].data_file.spec_id))
        types = history.types_at(before)
    numbers = {**history.numbers, application: number - 1}
    draft.snapshot(
        parts,
        {},
        lambda e: e.data_file.file_path in gone,
        Ending(numbers, types, {"qanat.retracts": f"{application} {number}"}),
        _as_added(history, io, before, back),
    )
    return draft


def _as_added(
    history: History, io: FileIO, before: Made | None, back: Sequence[ManifestEntry]
) -> list[ManifestEntry]:
    """The same files, still with the snapshots that added them (their removal names its own)."""
    if before is None or not back:
        return []
    wanted = {e.data_file.file_path for e in back}
    return [e for e in content(io, before.manifests).entries if e.data_file.file_path in wanted]


def fencing(base: Registered, io: FileIO) -> Draft:
    """A draft that changes nothing, so that no commit on top of the table as it is can succeed."""
    draft = Draft(base, io)
    history = base.history
    parts = content(io, history.head.manifests) if history.head else None
    ending = Ending(history.numbers, history.types, {FENCE: "true"})
    draft.snapshot(parts, {}, lambda e: False, ending)
    return draft


def initial(commit: Commit) -> tuple[IcebergSchema, dict[str, str]]:
    """Columns and properties of a table before its first snapshot."""
    identifiers = Identifiers()
    schema = to_iceberg(commit.schema, identifiers, 0)
    return schema, {MAPPING: identifiers.mapping(), TRANSACTIONS: "{}"}


def check_staged(path: Path, file: StagedFile) -> None:
    """Raise if a staged file is not as the engine left it."""
    try:
        found = path.stat()
    except OSError as error:
        raise disk_error(error, "publish the staged file", path) from error
    if found.st_size != file.size:
        raise AdapterError(
            f"the staged file {path} changed before it was published",
            wanted=f"{file.size} bytes",
            got=f"{found.st_size} bytes",
        )


def _describe(draft: Draft, commit: Commit) -> None:
    """Columns, partitions, comment and properties, as far as the commit changes them."""
    before, history = draft.before, draft.history
    table = commit.table.name
    if history.newest is not None and commit.change is not Change.REPLACE:
        old = from_iceberg(before.schema(), history.types, table)
        filled = history.head is not None and _records(history.head)
        _check_append(commit, old, identity(before.spec(), before.schema()), bool(filled))
    identifiers = Identifiers.of(
        before.schema(), history.properties.get(MAPPING), before.last_column_id
    )
    number = max(s.schema_id for s in before.schemas) + 1
    schema = to_iceberg(commit.schema, identifiers, number)
    same = next((s for s in before.schemas if s.fields == schema.fields), None)
    if same is None:
        draft.change(AddSchemaUpdate(schema=schema), _set_schema(-1))
    elif same.schema_id != before.current_schema_id:
        draft.change(_set_schema(same.schema_id))
    _partition(draft, commit, schema)
    wanted = {**commit.properties, MAPPING: identifiers.mapping()}
    if commit.comment is not None:
        wanted[COMMENT] = commit.comment
    new = {k: v for k, v in wanted.items() if history.properties.get(k) != v}
    if new:
        draft.change(SetPropertiesUpdate(updates=new))


def _partition(draft: Draft, commit: Commit, schema: IcebergSchema) -> None:
    before = draft.before
    missing = [c for c in commit.partition_by if c not in commit.schema.names]
    if missing:
        raise SchemaMismatchError(
            f"{commit.table.name} is partitioned by {missing[0]!r}, which it does not have",
            wanted=f"one of {', '.join(commit.schema.names)}",
        )
    known = {
        (f.source_id, str(f.transform)): f.field_id
        for s in before.partition_specs
        for f in s.fields
    }
    last = before.last_partition_id or _FIRST_PARTITION - 1
    fields = []
    for column in commit.partition_by:
        source = schema.find_field(column).field_id
        number = known.get((source, "identity"))
        if number is None:
            number = last = last + 1
        fields.append(PartitionField(source, number, IdentityTransform(), column))
    same = next((s for s in before.partition_specs if s.fields == tuple(fields)), None)
    if same is None:
        spec_id = max(s.spec_id for s in before.partition_specs) + 1
        draft.change(
            AddPartitionSpecUpdate(spec=PartitionSpec(*fields, spec_id=spec_id)),
            _set_spec(-1),
        )
    elif same.spec_id != before.default_spec_id:
        draft.change(_set_spec(same.spec_id))


def _exchange(draft: Draft, commit: Commit, io: FileIO, staging: str) -> None:
    """The files that go and those that come."""
    history = draft.history
    head = history.head
    parts = content(io, head.manifests) if head else None
    gone: Callable[[ManifestEntry], bool] = lambda e: False  # noqa: E731
    if commit.change is Change.REPLACE:
        gone = lambda e: True  # noqa: E731
    elif commit.change is Change.REPLACE_OWN and parts is not None:
        own = _own(parts, history, io, commit.application)
        gone = lambda e: e.data_file.file_path in own  # noqa: E731
    after = update_table_metadata(draft.before, draft.updates)
    files = [
        staged(f, f"{staging}/{f.path}", after.schema(), after.spec(), draft.snapshot_id)
        for f in commit.files
    ]
    numbers = {**history.numbers, commit.application: commit.number}
    more = {**commit.info, APPLICATION: commit.application, NUMBER: str(commit.number)}
    ending = Ending(numbers, narrow_types(commit.schema), more)
    draft.snapshot(parts, {commit.application: files}, gone, ending)


def _own(parts: Content, history: History, io: FileIO, application: str) -> frozenset[str]:
    """The paths of the live files that an application has brought."""
    found: set[str] = set()
    for listed in parts.listed:
        expired = [e for e in listed.entries if (e.snapshot_id or 0) not in history.known]
        header = owner(io, listed.manifest) if expired else None
        for each in listed.entries:
            made = history.known.get(each.snapshot_id or 0)
            by = header if made is None else made.summary.get(APPLICATION)
            if by == application:
                found.add(each.data_file.file_path)
    return frozenset(found)


def _records(head: Made) -> int:
    return int(head.summary.get("total-records", "1"))


def _check_append(
    commit: Commit, old: Schema, partition_by: tuple[str, ...] | None, filled: bool
) -> None:
    table = commit.table.name
    if commit.partition_by != partition_by:
        raise SchemaMismatchError(
            f"the partitioning of {table} changed",
            wanted=", ".join(partition_by or ()) or "none",
            got=", ".join(commit.partition_by) or "none",
            hint=f"rewrite the table: qanat run --full-refresh {table}",
        )
    new = {f.name: f for f in commit.schema.fields}
    for column in old.fields:
        found = new.pop(column.name, None)
        # A struct may gain fields: they are NULL in the rows that are there.
        if found is None or found.type != grown(column.type, found.type):
            raise _mismatch(table, column, found)
        if column.nullable and not found.nullable and filled:
            raise _mismatch(table, column, found)
    for added in new.values():
        if not added.nullable and filled:
            raise SchemaMismatchError(
                f"{table} has rows without a value for the new column {added.name!r}",
                got=str(added),
                hint="let the column be NULL, or rewrite the table with --full-refresh",
            )


def _mismatch(table: str, old: Field, new: Field | None) -> SchemaMismatchError:
    return SchemaMismatchError(
        f"column {old.name!r} of {table} cannot change while its rows stay",
        wanted=str(old),
        got=str(new) if new else "no such column",
        hint=f"rewrite the table: qanat run --full-refresh {table}",
    )
