"""A table whose folder was copied or moved together with the project's catalog.

Iceberg's files name one another by absolute paths. Reading a copy, `DurableIO` looks for every
file in the new folder; but a commit on top would name files in the old one, and other readers
find nothing. So before the first commit all metadata is written anew, with the paths of today.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import uuid4

from pyiceberg.avro.file import AvroFile
from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestFile,
    write_manifest_list,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema

from qanat.disk import remove
from qanat.errors import QanatError, UnsupportedError, full_refresh
from qanat.model.table import TableRef
from qanat.storage.iceberg.catalog import FileCatalog, Registered
from qanat.storage.iceberg.disk import DurableIO, write_metadata
from qanat.storage.iceberg.history import APPLICATION, MOVED
from qanat.storage.iceberg.manifests import Writer, manifests


def settle(catalog: FileCatalog, table: TableRef, base: Registered) -> None:
    """Write all metadata of a copied table anew, with the paths of where it is now.

    Raises:
        UnsupportedError: another tool has deleted single rows of it.
    """
    if base.moved_from is None:
        return
    rewriting = _Rewriting(base.moved_from, table.location)
    try:
        done = _rewrite(rewriting, catalog, table, base)
    except (OSError, QanatError):
        # It may be in the catalog all the same: the disk may have refused only what follows.
        found = catalog.find(table)
        if found is not None and found.moved_from is not None:
            _remove(rewriting.written)
        raise
    # Another process that was first has written the same metadata.
    _remove(rewriting.superseded if done else rewriting.written)


def _rewrite(
    rewriting: _Rewriting, catalog: FileCatalog, table: TableRef, base: Registered
) -> bool:
    """Write the metadata anew; whether it is now the table's."""
    metadata = rewriting.metadata(base)
    number = base.metadata_location.rpartition("/")[2].partition("-")[0]
    version = int(number) + 1 if number.isdigit() else 0
    location = write_metadata(table.location, metadata, version)
    rewriting.written.append(location)
    rewriting.superseded.append(rewriting.here(base.metadata_location))
    return catalog.swap(table, base.metadata_location, location)


def _remove(paths: Iterable[str]) -> None:
    remove(*map(Path, paths))


class _Rewriting:
    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new
        self._unique = uuid4().hex
        self._io: FileIO = DurableIO(moved=(old, new))
        self._done: dict[str, ManifestFile] = {}
        self.written: list[str] = []
        """Files that have been written."""
        self.superseded: list[str] = []
        """Files that no metadata names any more once those are in the catalog."""

    def metadata(self, base: Registered) -> dict[str, Any]:
        found = deepcopy(dict(base.history.metadata))
        found["location"] = self._new
        found["properties"] = {**base.history.properties, MOVED: self._unique}
        for snapshot in found.get("snapshots") or ():
            snapshot["manifest-list"] = self._list(snapshot)
        for entry in found.get("metadata-log") or ():
            entry["metadata-file"] = self.here(entry["metadata-file"])
        for kind in ("statistics", "partition-statistics"):
            for entry in found.get(kind) or ():
                entry["statistics-path"] = self.here(entry["statistics-path"])
        return found

    def here(self, location: str) -> str:
        """A location with the path of today."""
        path = location.removeprefix("file://")
        return self._new + path[len(self._old) :] if path.startswith(f"{self._old}/") else location

    def _list(self, snapshot: dict[str, Any]) -> str:
        number = snapshot["snapshot-id"]
        location = f"{self._new}/metadata/snap-{number}-qanat-{self._unique}.avro"
        self.written.append(location)
        with write_manifest_list(
            format_version=2,
            output_file=self._io.new_output(location),
            snapshot_id=number,
            parent_snapshot_id=snapshot.get("parent-snapshot-id"),
            sequence_number=snapshot.get("sequence-number") or 0,
            avro_compression="deflate",
        ) as writer:
            self.superseded.append(self.here(snapshot["manifest-list"]))
            known = manifests(self._io, snapshot["manifest-list"])
            writer.add_manifests([self._manifest(m) for m in known])
        return location

    def _manifest(self, manifest: ManifestFile) -> ManifestFile:
        done = self._done.get(manifest.manifest_path)
        if done is not None:
            return done
        if manifest.content is ManifestContent.DELETES:
            raise UnsupportedError(
                f"{self._new} was copied from {self._old}, and rows of it were deleted by another"
                " tool: its metadata cannot be written anew",
                hint=f"move its folder away and start over: {full_refresh()}",
            )
        location = f"{self._new}/metadata/qanat-{self._unique}-m{len(self._done)}.avro"
        self.written.append(location)
        schema, spec, application = self._header(manifest)
        writer = Writer(
            spec,
            schema,
            self._io.new_output(location),
            manifest.added_snapshot_id or 0,
            "deflate",
        )
        writer.application = application
        with writer:
            for entry in manifest.fetch_manifest_entry(self._io, discard_deleted=False):
                entry.data_file[1] = self.here(entry.data_file.file_path)
                writer.add_entry(entry)
        found = writer.to_manifest_file()
        found.sequence_number = manifest.sequence_number
        found.min_sequence_number = manifest.min_sequence_number
        self._done[manifest.manifest_path] = found
        self.superseded.append(self.here(manifest.manifest_path))
        return found

    def _header(self, manifest: ManifestFile) -> tuple[Schema, PartitionSpec, str | None]:
        """The columns and partitions a manifest was written with, and its application."""
        with AvroFile[ManifestEntry](
            self._io.new_input(manifest.manifest_path),
            MANIFEST_ENTRY_SCHEMAS[2],
            read_types={-1: ManifestEntry, 2: DataFile},
        ) as reader:
            header = reader.header.meta
        fields = [PartitionField(**f) for f in json.loads(header["partition-spec"])]
        spec = PartitionSpec(*fields, spec_id=manifest.partition_spec_id)
        return Schema.model_validate_json(header["schema"]), spec, header.get(APPLICATION)
