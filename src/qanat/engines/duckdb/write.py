"""Write the rows of a SELECT as staged files: Parquet with statistics, synced to disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.disk import sync
from qanat.engines.duckdb.output import copy_text
from qanat.engines.duckdb.statistics import column_statistics
from qanat.errors import AdapterError, StorageFullError, disk_full
from qanat.model.schema import Schema
from qanat.model.work import DataFile, Output, StagedTable


def write(con: DuckDBPyConnection, select: str, schema: Schema, output: Output) -> StagedTable:
    """Run a SELECT whose columns are `schema` into new files of `output`, durably.

    No file is left behind on an error, nor for an empty result.

    Raises:
        StorageFullError: the disk is full.
        AdapterError: the folder cannot be written.
        duckdb.Error: the query fails.
    """
    try:
        output.folder.mkdir(parents=True, exist_ok=True)
        found = con.execute(copy_text(select, output)).fetchall()
        if output.format == "parquet":
            described = [_parquet_file(row, schema, output) for row in found]
        else:
            described = [_text_file(output, int(rows), name) for rows, (name,) in found]
        files = tuple(f for f in described if _kept(output.folder / f.path, f.rows))
        _sync([output.folder / f.path for f in files], output.folder)
    except OSError as error:
        discard(output)
        raise _storage_error(error, output.folder) from error
    except BaseException:
        discard(output)
        raise
    return StagedTable(schema, files)


def discard(output: Output) -> None:
    """Remove whatever this attempt staged, durably: the epoch is about to be given up."""
    staged = list(output.folder.rglob(f"{output.prefix}*"))
    for path in staged:
        path.unlink(missing_ok=True)
    for folder in {p.parent for p in staged}:
        # What failed first matters more than a disk that cannot make this sure.
        with suppress(OSError):
            sync(folder)


def _kept(path: Path, rows: int) -> bool:
    # A file without rows says nothing that the log does not say.
    if rows == 0:
        path.unlink(missing_ok=True)
    return rows > 0


def _text_file(output: Output, rows: int, name: str) -> DataFile:
    path = Path(name)
    relative = path.relative_to(output.folder).as_posix()
    return DataFile(relative, path.stat().st_size, rows)


def _parquet_file(row: tuple[Any, ...], schema: Schema, output: Output) -> DataFile:
    path, rows, size, _footer, statistics, partitions, *_ = row
    relative = Path(str(path)).relative_to(output.folder).as_posix()
    return DataFile(
        relative,
        int(size),
        int(rows),
        dict(partitions or {}),
        column_statistics(statistics or {}, schema, output.partition_by),
    )


def _sync(paths: list[Path], folder: Path) -> None:
    """fsync files, then the folders that name them: after this a power cut keeps them."""
    for path in paths:
        sync(path)
    folders = {folder}
    for path in paths:
        parent = path.parent
        while parent != folder:
            folders.add(parent)
            parent = parent.parent
    for each in sorted(folders, reverse=True):
        sync(each)


def _storage_error(error: OSError, folder: Path) -> AdapterError:
    if disk_full(error):
        return StorageFullError(
            f"no space left in {folder}",
            got=str(error),
            hint="free space and run again; nothing was published",
        )
    return AdapterError(f"cannot write to {folder}", got=str(error))
