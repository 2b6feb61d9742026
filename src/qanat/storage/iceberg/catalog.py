"""The project's own catalog: which metadata file is the newest of each table.

A SQLite file with the tables of Iceberg's SQL (JDBC) catalogs, read and written by the standard
library: pyiceberg's `SqlCatalog` opens the same file, but takes SQLAlchemy to do so (0.2 s), and
writes metadata files without syncing them.

A commit exchanges one name for another if it is still the one that the commit was built on. With
`synchronous = EXTRA` the exchange is on the disk before the call returns: FULL does not sync the
removal of the rollback journal, so that a power loss may undo the commit.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from qanat.disk import explained, remove, sync, sync_path
from qanat.errors import (
    AdapterError,
    QanatError,
    StorageFullError,
    TableCorruptError,
    UpdateRunningError,
    full_refresh,
    needing,
)
from qanat.frozen import Frozen
from qanat.model.table import TableRef
from qanat.storage.iceberg.history import History

NAME = "qanat"
"""The catalog's name in its own tables; readers have to open it by that name."""
_SECONDS = 10.0
"""How long to wait for another process that writes to the catalog."""
_AGAIN_SECONDS = 0.2
"""How long to wait once such a wait was in vain."""

_TABLES = """\
CREATE TABLE IF NOT EXISTS iceberg_tables (
  catalog_name VARCHAR(255) NOT NULL,
  table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL,
  metadata_location VARCHAR(1000),
  previous_metadata_location VARCHAR(1000),
  iceberg_type VARCHAR(5),
  PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
  catalog_name VARCHAR(255) NOT NULL,
  namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255) NOT NULL,
  property_value VARCHAR(1000) NOT NULL,
  PRIMARY KEY (catalog_name, namespace, property_key)
);
"""


class Registered(Frozen):
    """A table as its catalog has it.

    Args:
        metadata_location: the metadata file, as the catalog names it.
        history: what it says.
        moved_from: where the table was when that was written, if it has been copied since.
        handle: what the catalog needs to know of it again.
    """

    metadata_location: str
    history: History
    moved_from: str | None = None
    handle: Any = field(default=None, compare=False)


class Catalog(Protocol):
    """Where the newest metadata of tables is found, and exchanged for newer."""

    def find(self, table: TableRef) -> Registered | None:
        """The table; None if there is none of that name in that place."""
        ...

    def tables(self) -> Sequence[TableRef]:
        """All tables of the namespace."""
        ...

    def create(self, table: TableRef, schema: Any, properties: Mapping[str, str]) -> None:
        """Register a table without a snapshot, unless another process has just done so."""
        ...

    def commit(self, table: TableRef, base: Registered, draft: Any) -> bool:
        """Exchange a table's metadata; False if it is no longer that which the draft builds on."""
        ...

    def remove(self, table: TableRef, base: Registered) -> None:
        """Forget a table, unless it is another than it was."""
        ...

    def secure(self) -> None:
        """Make every commit durable, also those of other processes."""
        ...


def driver(module: str) -> Any:
    """A module of this package that imports pyiceberg.

    Raises:
        MissingExtraError: pyiceberg is not installed.
    """
    with needing("an Iceberg table", "iceberg"):
        return import_module(f"qanat.storage.iceberg.{module}")


class FileCatalog:
    """The catalog in the project's storage.

    Args:
        private: folder for its file, made when first written to.
        namespace: of all tables.
    """

    def __init__(self, private: Path, namespace: str) -> None:
        self.path = private / "iceberg.db"
        self.namespace = namespace
        self._read: dict[Path, tuple[str, History]] = {}
        self._patience = _SECONDS

    def find(self, table: TableRef) -> Registered | None:
        """The table; None if there is none of that name in that place."""
        rows = self._select("table_name = ?", table.name)
        return self._registered(table, str(rows[0][1])) if rows else None

    def tables(self) -> Sequence[TableRef]:
        """All tables of the namespace, where they were when they were written."""
        rows = self._select("metadata_location IS NOT NULL")
        return [TableRef(table_folder(location), name) for name, location in rows]

    def create(self, table: TableRef, schema: Any, properties: Mapping[str, str]) -> None:
        """Register a table without a snapshot, unless another process has just done so.

        Raises:
            AdapterError: there is one of that name in another place.
        """
        known = [location for _, location in self._select("table_name = ?", table.name)]
        for each in known:
            if Path(each).exists():
                raise AdapterError(
                    f"the catalog {self.path} has {table.name} in another place",
                    wanted=table.location,
                    got=table_folder(each),
                    hint="give each storage a folder of its own",
                )
        location = driver("disk").write_new(table.location, schema, properties)
        try:
            done = self._insert(table, location, known)
        except QanatError:
            # It may be registered all the same: the disk may have refused only what follows.
            if all(location != new for _, new in self._select("table_name = ?", table.name)):
                remove(Path(location))
            raise
        if not done:
            remove(Path(location))

    def _insert(self, table: TableRef, location: str, known: Sequence[str]) -> bool:
        with self._writing() as connection:
            values = (NAME, self.namespace, table.name, location, "TABLE", *known[:1])
            # The new table replaces the entry of one whose folder was taken away.
            again = "UPDATE SET metadata_location = excluded.metadata_location"
            again += ", previous_metadata_location = NULL WHERE metadata_location = ?"
            done = connection.execute(
                "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name,"
                " metadata_location, iceberg_type) VALUES (?, ?, ?, ?, ?)"
                f" ON CONFLICT DO {again if known else 'NOTHING'}",
                values,
            )
        return done.rowcount > 0

    def commit(self, table: TableRef, base: Registered, draft: Any) -> bool:
        """Exchange a table's metadata; False if it is no longer that which the draft builds on."""
        number = Path(base.metadata_location).name.partition("-")[0]
        version = int(number) + 1 if number.isdigit() else 0
        location = driver("disk").write_metadata(table.location, draft.document(), version)
        draft.note(location)
        return self.swap(table, base.metadata_location, location)

    def swap(self, table: TableRef, old: str, new: str) -> bool:
        """Exchange one metadata file for another; whether it still was the one."""
        with self._writing() as connection:
            done = connection.execute(
                "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?"
                " WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"
                " AND metadata_location = ?",
                (new, old, NAME, self.namespace, table.name, old),
            )
        return done.rowcount > 0

    def rename(self, table: TableRef, to: TableRef) -> None:
        """Give a table whose folder has another name by now that name, unless it has it already.

        Its metadata has the old place still, see `qanat.storage.iceberg.moving`.
        """
        for _, location in self._select("table_name = ?", table.name):
            # The new place must be that of this table; else it is one that a sleeper remembers.
            if not Path(to.location, "metadata", Path(location).name).exists():
                continue
            with self._writing() as connection:
                key = (NAME, self.namespace)
                known = "catalog_name = ? AND table_namespace = ? AND table_name = ?"
                # Where there is a row of that name, its table's folder was taken away.
                connection.execute(f"DELETE FROM iceberg_tables WHERE {known}", (*key, to.name))
                connection.execute(
                    f"UPDATE iceberg_tables SET table_name = ? WHERE {known}"
                    " AND metadata_location = ?",
                    (to.name, *key, table.name, location),
                )

    def remove(self, table: TableRef, base: Registered) -> None:
        """Forget a table, unless it is another than it was."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ?"
                " AND table_name = ? AND metadata_location = ?",
                (NAME, self.namespace, table.name, base.metadata_location),
            )

    def secure(self) -> None:
        """Make every commit durable, also those of other processes."""
        if self.path.exists():
            with explained("sync the catalog", self.path):
                sync(self.path)
                sync_path(self.path.parent)

    def _registered(self, table: TableRef, location: str) -> Registered | None:
        here = Path(table.location, "metadata", Path(location).name)
        origin = table_folder(location)
        moved = None if origin == table.location else origin
        if not here.exists():
            # Another table of that name, elsewhere; a table whose folder was taken away; or one
            # that a sleeper registered, without a version, after others had swept its file.
            unborn = here.name.startswith("00000-")
            if moved is not None or unborn or not here.parent.exists():
                return None
        return Registered(location, self._history(here), moved)

    def _history(self, path: Path) -> History:
        # A metadata file never changes: as long as its name is the newest, so is its content.
        known = self._read.get(path.parent)
        if known is not None and known[0] == path.name:
            return known[1]
        found = read_history(path)
        self._read[path.parent] = (path.name, found)
        return found

    def _select(self, condition: str, *values: object) -> list[tuple[str, str]]:
        if not self.path.exists():
            return []
        with self._connection() as connection:
            if not _has_tables(connection):
                return []
            return connection.execute(
                "SELECT table_name, metadata_location FROM iceberg_tables WHERE catalog_name = ?"
                f" AND table_namespace = ? AND {condition} ORDER BY table_name",
                (NAME, self.namespace, *values),
            ).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with explained("make the folder of the catalog", self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection("rwc") as connection:
            if not _has_tables(connection):
                # Sync before the tables are made: if this process is killed in between, the next
                # one finds no tables and syncs again.
                sync_path(self.path.parent)
                connection.executescript(_TABLES)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT OR IGNORE INTO iceberg_namespace_properties"
                " VALUES (?, ?, 'exists', 'true')",
                (NAME, self.namespace),
            )
            yield connection
            connection.execute("COMMIT")
        # Only once the commit succeeded: a sleeper that keeps writers out lets readers in.
        self._patience = _SECONDS

    @contextmanager
    def _connection(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        uri = f"file:{quote(str(self.path))}?mode={mode}"
        try:
            opened = sqlite3.connect(uri, uri=True, timeout=self._patience, isolation_level=None)
            with closing(opened) as connection:
                connection.execute("PRAGMA synchronous = EXTRA")
                yield connection
        except (sqlite3.Error, OSError) as error:
            text = str(error)
            if "is full" in text or "No space left" in text:
                raise StorageFullError(
                    f"no space left for the catalog {self.path}",
                    hint="free space and run again; nothing is half-written",
                ) from error
            if "locked" in text:
                # The process that holds the lock is asleep. An update asks for each table: the
                # next waits are shorter.
                self._patience = _AGAIN_SECONDS
                raise UpdateRunningError(
                    f"another process holds the catalog {self.path}",
                    hint="wait until it has finished, or end it, and run again",
                ) from error
            # SQLite does not tell what the disk refused: where it cannot open a file for writing,
            # it opens it for reading and complains later.
            refused = "Input/output error, or a full disk"
            got = text.replace("disk I/O error", refused)
            if "readonly" in text or "unable to open" in text:
                got = f"{text} ({refused}, or no right to write there)"
            raise AdapterError(f"cannot use the catalog {self.path}", got=got) from error


def _has_tables(connection: sqlite3.Connection) -> bool:
    # A process may have been killed between making the file and its last table.
    found = "SELECT 1 FROM sqlite_master WHERE name = 'iceberg_namespace_properties'"
    return bool(connection.execute(found).fetchall())


def table_folder(metadata_location: str) -> str:
    """The folder of a table whose metadata file this is.

    >>> table_folder("/lake/t/metadata/00000-a.metadata.json")
    '/lake/t'
    """
    return metadata_location.removeprefix("file://").rpartition("/")[0].removesuffix("/metadata")


def read_history(path: Path) -> History:
    """What a metadata file says.

    Raises:
        TableCorruptError: it is gone, or is no metadata.
    """
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return History(json.loads(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableCorruptError(
            f"the metadata of {path.parent.parent} is damaged",
            got=f"{path.name}: {error}",
            hint="restore the file from a backup; or move the table's folder away and start over:"
            f" {full_refresh()}",
        ) from error
