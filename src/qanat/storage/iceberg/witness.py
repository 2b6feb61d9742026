"""What an Iceberg table is to others: the catalog read by SQLite, everything else by pyiceberg."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestEntryStatus, ManifestFile
from pyiceberg.table import StaticTable

_CATALOG = "iceberg.db"
_PRIVATE = "_qanat"


class IcebergWitness:
    """Reads the Iceberg tables of projects, which have their catalogs beside them."""

    @property
    def own(self) -> frozenset[str]:
        """The catalog."""
        return frozenset({_CATALOG})

    def log(self, table: Path) -> IcebergLog:
        """What the metadata of the table in a folder says."""
        return IcebergLog(table, _metadata(table))

    def live(self, table: Path) -> Sequence[Path]:
        """The files of a table as it is now, as pyiceberg finds them."""
        return IcebergLog(table, _metadata(table)).live

    def needed(self, root: Path) -> Iterator[tuple[Path, Sequence[Path]]]:
        """All tables below a folder, with their metadata and their live files."""
        for catalog in sorted(root.glob(f"**/{_PRIVATE}/{_CATALOG}")):
            tables = catalog.parent.parent / "tables"
            for table in sorted(tables.glob("*")):
                log = IcebergLog(table, _metadata(table))
                if log.needed:
                    yield table, log.needed


def _metadata(table: Path) -> Path | None:
    """The newest metadata file of a table, by the catalog of its project."""
    catalog = table.parent.parent / _PRIVATE / _CATALOG
    if not catalog.exists():
        return None
    with tempfile.TemporaryDirectory() as aside:
        # Read a copy: SQLite would roll back an open transaction, which is left to Qanat.
        for path in catalog.parent.glob(f"{_CATALOG}*"):
            shutil.copy2(path, aside)
        with closing(sqlite3.connect(Path(aside, _CATALOG))) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
                return None
            rows = connection.execute("SELECT metadata_location FROM iceberg_tables").fetchall()
    for (location,) in rows:
        name = Path(location)
        # In a copy of a project it has the path of the original.
        if name.parent.parent.name == table.name:
            return table / "metadata" / name.name
    return None


class IcebergLog:
    """What the metadata of a table says.

    Args:
        metadata: its newest metadata file; None if there is no table.
    """

    def __init__(self, table: Path, metadata: Path | None) -> None:
        self._rows: dict[tuple[str, int], int] = {}
        self._mentioned: set[str] = set()
        self.live: list[Path] = []
        """The data files of the table as it is now."""
        self.needed: list[Path] = []
        """What readers of the table as it is now open."""
        if metadata is None:
            return
        self.needed.append(metadata)
        found = StaticTable.from_metadata(str(metadata))
        here = found.location()
        self._mentioned.add(f"metadata/{metadata.name}")
        self._mentioned |= {_below(here, e.metadata_file) for e in found.metadata.metadata_log}
        current = found.current_snapshot()
        for snapshot in sorted(found.snapshots(), key=lambda s: s.sequence_number or 0):
            summary = snapshot.summary
            said = {} if summary is None else summary.additional_properties
            if "qanat.application" in said:
                epoch = said["qanat.application"], int(said["qanat.number"])
                self._rows[epoch] = int(said.get("added-records", 0))
            if "qanat.renames" in said:
                self._rename(*json.loads(said["qanat.renames"]))
            paths = [snapshot.manifest_list]
            for manifest in snapshot.manifests(found.io):
                paths.append(manifest.manifest_path)
                entries = _entries(manifest, found.io)
                self._mentioned.update(_below(here, path) for path in entries)
                if current is not None and snapshot.snapshot_id == current.snapshot_id:
                    self.live += [table / _below(here, p) for p, live in entries.items() if live]
            self._mentioned |= {_below(here, p) for p in paths}
            if current is not None and snapshot.snapshot_id == current.snapshot_id:
                self.needed += [table / _below(here, p) for p in paths]
        self.needed += self.live

    def _rename(self, old: str, new: str | None) -> None:
        """What one application has committed is another's from this snapshot on."""
        kept = {key: n for key, n in self._rows.items() if key[0] not in (old, new)}
        moved = {(new, key[1]): n for key, n in self._rows.items() if new and key[0] == old}
        self._rows = {**kept, **moved}

    def rows(self, application: str, number: int) -> int | None:
        """How many rows the commit of that number added; None if there is none."""
        return self._rows.get((application, number))

    def knows(self, path: str) -> bool:
        """True if a file below the table's folder is part of the table, now or once."""
        return path in self._mentioned


_READ: dict[tuple[str, int], Mapping[str, bool]] = {}


def _entries(manifest: ManifestFile, io: FileIO) -> Mapping[str, bool]:
    """The data files that a manifest mentions, and whether each is live.

    Kept for the process: a manifest never changes, and most snapshots list those of the snapshots
    before them.
    """
    key = manifest.manifest_path, manifest.manifest_length
    if key not in _READ:
        entries = manifest.fetch_manifest_entry(io, discard_deleted=False)
        deleted = ManifestEntryStatus.DELETED
        _READ[key] = {e.data_file.file_path: e.status != deleted for e in entries}
    return _READ[key]


def _below(table: str, location: str) -> str:
    return location.removeprefix("file://").removeprefix(f"{table.removeprefix('file://')}/")
