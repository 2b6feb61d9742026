"""Metadata files that survive a power loss.

pyiceberg never syncs what it writes. This `FileIO` writes local files under another name, syncs
them, gives them their name and syncs that, so that a metadata file, manifest list or manifest is
on the disk, whole, before any catalog can name it. Everything that is not a local file is
pyiceberg's affair.

It also reads a table that was copied to another folder: whatever is named as in the old one is
looked for in the new one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from pyiceberg.io import InputFile, InputStream, OutputFile, OutputStream
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.typedef import EMPTY_DICT, Properties

from qanat.disk import disk_error, remove, sync, sync_path

UNFINISHED = ".qanat-tmp"
"""How files end that have not got their names yet."""


class DurableIO(PyArrowFileIO):
    """Reads and writes the files of tables; what it wrote is on the disk when it is closed.

    Args:
        moved: the folder in which a table was and the one in which it is, if it was copied.
    """

    def __init__(
        self, properties: Properties = EMPTY_DICT, moved: tuple[str, str] | None = None
    ) -> None:
        super().__init__(properties)
        self._moved = moved

    def here(self, location: str) -> str:
        """Where a file is that the table's metadata names."""
        if self._moved is not None:
            old, new = self._moved
            path = location.removeprefix("file://")
            if path.startswith(f"{old}/"):
                return new + path[len(old) :]
        return location

    # pyiceberg's own returns a class that only opens files through PyArrow.
    def new_input(self, location: str) -> InputFile:  # type: ignore[override]
        """A file to read."""
        found = local_path(self.here(location))
        return super().new_input(location) if found is None else _Input(location, found)

    def new_output(self, location: str) -> OutputFile:  # type: ignore[override]
        """A file to write."""
        found = local_path(self.here(location))
        return super().new_output(location) if found is None else _Output(location, found)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete a file."""
        name = location if isinstance(location, str) else location.location
        found = local_path(self.here(name))
        if found is None:
            super().delete(location)
        else:
            remove(found)


def local_path(location: str) -> Path | None:
    """The path of a file on this machine; None if it is at a URL.

    >>> local_path("file:///t/x"), local_path("s3://b/x")
    (PosixPath('/t/x'), None)
    """
    path = location.removeprefix("file://")
    return None if "://" in path else Path(path)


def write_metadata(table: str, metadata: Mapping[str, Any], version: int) -> str:
    """Write a metadata file of a local table, durably; its location.

    Raises:
        StorageFullError: the disk is full.
        AdapterError: the folder cannot be written to.
    """
    location = f"{table.rstrip('/')}/metadata/{version:05d}-{uuid4()}.metadata.json"
    try:
        with DurableIO().new_output(location).create() as file:
            file.write(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
    except OSError as error:
        raise disk_error(error, "commit to", table) from error
    return location


def write_new(table: str, schema: Schema, properties: Mapping[str, str]) -> str:
    """Write the first metadata file of a local table, durably; its location."""
    metadata = new_table_metadata(
        schema,
        UNPARTITIONED_PARTITION_SPEC,
        UNSORTED_SORT_ORDER,
        table.rstrip("/"),
        dict(properties),
    )
    return write_metadata(table, json.loads(metadata.model_dump_json(by_alias=True)), 0)


class _Input(InputFile):
    def __init__(self, location: str, path: Path) -> None:
        super().__init__(location)
        self._path = path

    def __len__(self) -> int:
        return self._path.stat().st_size

    def exists(self) -> bool:
        return self._path.exists()

    def open(self, seekable: bool = True) -> InputStream:
        return self._path.open("rb")


class _Output(OutputFile):
    def __init__(self, location: str, path: Path) -> None:
        super().__init__(location)
        self._path = path

    def __len__(self) -> int:
        return self._path.stat().st_size

    def exists(self) -> bool:
        return self._path.exists()

    def to_input_file(self) -> InputFile:
        return _Input(self.location, self._path)

    def create(self, overwrite: bool = False) -> OutputStream:
        if not overwrite and self._path.exists():
            raise FileExistsError(f"{self._path} exists already")
        return _Durable(self._path)


class _Durable:
    """A file that gets its name once it is on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f"{uuid4().hex}{UNFINISHED}")
        folder = path.parent
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            sync_path(folder)
        self._file = self._temporary.open("xb")

    def write(self, b: bytes) -> int:
        return self._file.write(b)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Sync it and give it its name."""
        if self._file.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.rename(self._path)
            sync(self._path.parent)
        except OSError:
            self._discard()
            remove(self._path)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exctype: type[BaseException] | None,
        excinst: BaseException | None,
        exctb: TracebackType | None,
    ) -> None:
        if exctype is None:
            self.close()
        else:
            self._discard()

    def _discard(self) -> None:
        # Closing writes what is buffered, which a full disk refuses.
        with suppress(OSError):
            self._file.close()
        remove(self._temporary)
