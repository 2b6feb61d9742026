"""Data files in Iceberg's form, and the manifests that list them.

Engines stage Parquet files with plain statistics; here they become entries of manifests. Every
manifest that we write names in its header the application whose files it lists, so that these can
still be told from others when the snapshots that added them have been expired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal as Number
from functools import partial
from typing import Any

from pyiceberg import types
from pyiceberg.avro.file import AvroFile
from pyiceberg.conversions import to_bytes
from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    read_manifest_list,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.utils.datetime import date_to_days, datetime_to_micros

from qanat.errors import UnsupportedError
from qanat.frozen import Frozen
from qanat.model import staged as model
from qanat.storage.iceberg.history import APPLICATION

_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class Listed(Frozen):
    """A manifest with its live entries."""

    manifest: ManifestFile
    entries: tuple[ManifestEntry, ...]


class Content(Frozen):
    """All files of one snapshot.

    Args:
        masked: whether other files say that rows of these are deleted.
    """

    listed: tuple[Listed, ...]
    masked: bool

    @property
    def entries(self) -> Iterator[ManifestEntry]:
        """The live entries, oldest first."""
        found = [e for each in self.listed for e in each.entries]
        yield from sorted(found, key=lambda e: (e.sequence_number or 0, e.data_file.file_path))


def content(io: FileIO, manifest_list: str) -> Content:
    """The files of a snapshot."""
    found, masked = [], False
    for manifest in listed(manifests(io, manifest_list)):
        if manifest.content is ManifestContent.DELETES:
            masked = True
        else:
            found.append(Listed(manifest, tuple(manifest.fetch_manifest_entry(io))))
    return Content(tuple(found), masked)


def listed(found: Iterable[ManifestFile]) -> list[ManifestFile]:
    """Those manifests that list live files, and not only what a snapshot removed."""
    return [m for m in found if m.has_added_files() or m.has_existing_files()]


def manifests(io: FileIO, manifest_list: str) -> tuple[ManifestFile, ...]:
    """The manifests of a snapshot."""
    return tuple(read_manifest_list(io.new_input(manifest_list)))


def changes(
    io: FileIO, manifest_list: str, snapshot: int
) -> tuple[list[ManifestEntry], list[ManifestEntry], bool]:
    """What a snapshot added, what it removed, and whether it deleted single rows."""
    added, removed, masked = [], [], False
    for manifest in manifests(io, manifest_list):
        if manifest.added_snapshot_id != snapshot:
            continue
        if manifest.content is ManifestContent.DELETES:
            masked = True
            continue
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=False):
            if entry.snapshot_id == snapshot:
                if entry.status is ManifestEntryStatus.ADDED:
                    added.append(entry)
                elif entry.status is ManifestEntryStatus.DELETED:
                    removed.append(entry)
    # Within a snapshot in the order of `Content.entries`, in which a reader of all files has them.
    return sorted(added, key=lambda e: e.data_file.file_path), removed, masked


def owner(io: FileIO, manifest: ManifestFile) -> str | None:
    """The application whose files a manifest of ours lists; None if another tool wrote it."""
    schema = MANIFEST_ENTRY_SCHEMAS[2]
    with AvroFile[ManifestEntry](
        io.new_input(manifest.manifest_path), schema, read_types={-1: ManifestEntry, 2: DataFile}
    ) as reader:
        return reader.header.meta.get(APPLICATION)


class Writer(ManifestWriterV2):
    """Writes a manifest that names the application whose files it lists."""

    application: str | None = None

    @property
    def _meta(self) -> dict[str, str]:
        mine = {APPLICATION: self.application} if self.application else {}
        return {**super()._meta, **mine}


def staged(file: model.DataFile, location: str, schema: Schema, spec: PartitionSpec) -> DataFile:
    """A staged file as Iceberg describes it.

    Args:
        location: its path, as the table names it.
    """
    bounds = _Bounds(file, schema)
    values = []
    for each in spec.fields:
        column = schema.find_field(each.source_id)
        text = file.partition_values.get(column.name)
        values.append(partition_value(column.field_type, text, column.name))
    found = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=Record(*values),
        record_count=file.rows,
        file_size_in_bytes=file.size,
        column_sizes=None,
        value_counts=bounds.values or None,
        null_value_counts=bounds.nulls or None,
        nan_value_counts=None,
        lower_bounds=bounds.lower or None,
        upper_bounds=bounds.upper or None,
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
    )
    found.spec_id = spec.spec_id
    return found


def entry(
    of: DataFile | ManifestEntry, status: ManifestEntryStatus, snapshot: int
) -> ManifestEntry:
    """An entry of a manifest: a new file, or one that was there in another role."""
    if isinstance(of, DataFile):
        return ManifestEntry.from_args(status=status, snapshot_id=snapshot, data_file=of)
    # A file's entry names the snapshot that added it while it stays, then the one that removed it.
    added = status is ManifestEntryStatus.EXISTING
    return ManifestEntry.from_args(
        status=status,
        snapshot_id=of.snapshot_id if added else snapshot,
        sequence_number=of.sequence_number,
        file_sequence_number=of.file_sequence_number,
        data_file=of.data_file,
    )


class _Bounds:
    """Counts and bounds of a file's columns by field identifier."""

    def __init__(self, file: model.DataFile, schema: Schema) -> None:
        self.values: dict[int, int] = {}
        self.nulls: dict[int, int] = {}
        self.lower: dict[int, bytes] = {}
        self.upper: dict[int, bytes] = {}
        for column in schema.fields:
            known = file.statistics.get(column.name)
            if known is None or not isinstance(column.field_type, types.PrimitiveType):
                continue
            self.values[column.field_id] = file.rows
            if known.nulls is not None:
                self.nulls[column.field_id] = known.nulls
            pair = _pair(column.field_type, known) if known.bounded else None
            if pair is not None:
                self.lower[column.field_id], self.upper[column.field_id] = pair


def _pair(type_: types.PrimitiveType, known: model.ColumnStatistics) -> tuple[bytes, bytes] | None:
    low, high = known.low, known.high
    match type_:
        case types.DecimalType():
            step = Number(1).scaleb(-type_.scale)
            low, high = (
                Number(low).quantize(step, ROUND_FLOOR),
                Number(high).quantize(step, ROUND_CEILING),
            )
            if max(len(n.as_tuple().digits) for n in (low, high)) > type_.precision:
                return None
        case types.FloatType() | types.DoubleType():
            # Zeros of both signs are equal, but not as bytes: the wider bounds hold for both.
            low, high = low if low != 0 else -0.0, high if high != 0 else 0.0
        case types.TimestampType() | types.TimestamptzType():
            low, high = _micros(low), _micros(high)
    write: Any = partial(to_bytes, type_)
    return write(low), write(high)


def partition_value(type_: types.IcebergType, text: str | None, column: str) -> Any:
    """The value of a partition, from its text, as manifests keep it.

    Raises:
        UnsupportedError: values of that type cannot be told from their text.
    """
    if text is None or text == _HIVE_NULL:
        return None
    match type_:
        case types.StringType():
            return text
        case types.IntegerType() | types.LongType():
            return int(text)
        case types.BooleanType():
            return text.lower() in ("true", "1", "t")
        case types.DateType():
            return date_to_days(date.fromisoformat(text))
        case types.TimestampType() | types.TimestamptzType():
            return _micros(datetime.fromisoformat(text))
        case types.DecimalType():
            return Number(text).quantize(Number(1).scaleb(-type_.scale))
    # No floats: pyiceberg 0.12 rounds a double that it reads from a manifest to a float, and the
    # value of a partition is nowhere else.
    raise UnsupportedError(
        f"an Iceberg table cannot be partitioned by {column!r}, a column of the type {type_}",
        hint="partition by a text, a number or a date",
    )


def _micros(at: datetime) -> int:
    """Microseconds since 1970; without an offset as if it were UTC."""
    if at.tzinfo is not None:
        at = at.astimezone(UTC).replace(tzinfo=None)
    return int(datetime_to_micros(at))


def identity(spec: PartitionSpec, schema: Schema) -> tuple[str, ...] | None:
    """The columns by which a table is partitioned; None if by something made of them."""
    if any(str(f.transform) != "identity" for f in spec.fields):
        return None
    return tuple(schema.find_field(f.source_id).name for f in spec.fields)
