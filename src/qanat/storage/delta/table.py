"""Loads tables and writes checkpoints with delta-rs; the only module that imports deltalake."""

from __future__ import annotations

import json
import os
import re
import shutil
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError as NoDeltaTable

from qanat.disk import sync
from qanat.errors import (
    AdapterError,
    SourceUnavailableError,
    StorageFullError,
    TableCorruptError,
    TableNotFoundError,
    TableTooNewError,
)
from qanat.model.schema import Schema
from qanat.storage.delta.features import Features
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import LiveFile, TableState, local_path

# delta-rs raises few classes of errors; only the text tells which feature is missing.
_FEATURE = re.compile(
    r"Feature '?(\w+)'? is not supported|table features required: \[(.*?)\]"
    r"|(minimum reader version \d+)|(catalog-managed)|unknown variant `(\w+)`"
)
_UNREACHABLE = re.compile(r"timed? ?out|error sending request|connection|dns error", re.IGNORECASE)
_NUMBERED = re.compile(r"(\d{20})\.(?:json|checkpoint\..+)")
_CREDENTIALS = ("AWS_", "AZURE_", "GOOGLE_")


def newest(table: str) -> int | None:
    """The newest version of a table by folder or URL; None if there is no table."""
    try:
        with _errors(table):
            return _open(table, None).version()
    except TableNotFoundError:
        return None


def load(table: str, version: int | None = None, application: str | None = None) -> TableState:
    """The state of a table by folder or URL.

    Args:
        table: the folder or URL.
        version: the version; None for the newest.
        application: the application whose last number the state includes.

    Raises:
        TableNotFoundError: there is no table, or no such version.
        TableTooNewError: the table needs a feature that delta-rs or Qanat lacks.
        TableCorruptError: the log is damaged.
        SourceUnavailableError: the store cannot be reached.
    """
    with _errors(table):
        handle = _open(table, version)
        meta, protocol = handle.metadata(), handle.protocol()
        actions = handle.get_add_actions(flatten=True)
        number = handle.transaction_version(application) if application else None
        reader = frozenset(protocol.reader_features or ())
        masks = "deletionVectors" in reader and _hides_rows(handle)
        partition_by = tuple(meta.partition_columns)
        schema_json = json.loads(handle.schema().to_json())
    try:
        schema = Schema.from_json(schema_json)
    except ValueError as error:
        raise TableTooNewError(f"cannot read {table}: {error}") from error
    names = ("modification_time", "path", "size_bytes", "num_records")
    # Oldest first: a stream that starts at this version reads rows in the order they were added.
    columns = [actions.column(c).to_pylist() for c in names]
    values = _partition_values(actions, partition_by)
    rows: list[Any] = sorted(zip(*columns, values, strict=True), key=lambda row: row[:2])
    return TableState(
        version=handle.version(),
        id=str(meta.id),
        name=meta.name,
        created=meta.created_time,
        written=schema_json,
        schema=schema,
        partition_by=partition_by,
        comment=meta.description,
        properties=dict(meta.configuration),
        features=Features(
            protocol.min_reader_version,
            protocol.min_writer_version,
            reader,
            frozenset(protocol.writer_features or ()),
        ),
        files=tuple(LiveFile(path, size, n, v, made) for made, path, size, n, v in rows),
        transactions={} if number is None or application is None else {application: number},
        masked=masks,
    )


def _hides_rows(handle: deltalake.DeltaTable) -> bool:
    """True if a table has deletion vectors, or if they cannot be read here.

    Files with vectors lie beside the table, and are missing where only its log has been copied
    from an object store. What the log says of them is found out later (`with_vectors`).
    """
    try:
        return any(batch.num_rows for batch in handle.deletion_vectors())
    except (DeltaError, OSError, ValueError):
        return True


def _partition_values(actions: Any, partition_by: Sequence[str]) -> list[dict[str, str | None]]:
    """The partition values of each file, as the protocol writes them."""
    known = set(actions.schema.names)
    found: list[dict[str, str | None]] = [{} for _ in range(actions.num_rows)]
    # Of mapped columns, delta-rs names the physical ones; Qanat does not write such tables.
    for column in (c for c in partition_by if f"partition.{c}" in known):
        values = actions.column(f"partition.{column}").to_pylist()
        for file, value in zip(found, values, strict=True):
            file[column] = _partition_text(value)
    return found


def _partition_text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case bytes():
            return value.decode(errors="replace")
        case datetime(tzinfo=None):
            return value.isoformat(" ", "microseconds")
        case datetime():
            moment = value.astimezone(UTC).replace(tzinfo=None)
            return f"{moment.isoformat(timespec='microseconds')}Z"
    return str(value)


def deleted_rows(table: str, version: int) -> dict[str, Sequence[int]]:
    """The rows that deletion vectors hide, by the absolute path of their file, from 0 on."""
    found: dict[str, Sequence[int]] = {}
    with _errors(table):
        for batch in _open(table, version).deletion_vectors():
            paths, masks = batch.column("filepath"), batch.column("selection_vector")
            for path, mask in zip(paths.to_pylist(), masks.to_pylist(), strict=True):
                rows = array("q", (row for row, kept in enumerate(mask) if not kept))
                found[local_path(Path(table), path) or path] = rows
    return found


def scan(table: str, version: int) -> Any:
    """A new Arrow C stream of a table's rows, with deletion vectors and column mapping applied."""
    with _errors(table):
        return _open(table, version).scan()


def checkpoint(
    log: Log, gate: Path | None = None, keep: Callable[[Path, str], object] | None = None
) -> None:
    """Write a checkpoint of the newest version; readers see all of it or none.

    delta-rs writes a checkpoint without syncing it. So it writes into a shadow of the table, a
    folder with the same log and no data, and the synced files are moved from there.

    Args:
        log: the table's.
        gate: the folder for the shadow, if it is on the table's file system: it is removed at the
            end of the update even if removing the shadow fails. Default: the table's folder.
        keep: puts a file into the log under a name; default: moves it there, durably.

    Raises:
        AdapterError, OSError: no checkpoint was written; the table is unharmed.
    """
    near = gate is not None and gate.stat().st_dev == log.table.stat().st_dev
    shadow = log.shadow(gate if near else None)
    put = keep or (lambda path, name: _move(path, log.folder / name))
    try:
        _mirror(log, shadow)
        with _errors(str(shadow.table)):
            handle = _open(str(shadow.table), None)
            handle.create_checkpoint()
        for path in shadow.folder.glob(f"{handle.version():020}.checkpoint*"):
            put(path, path.name)
        put(shadow.hint, log.hint.name)
    finally:
        shutil.rmtree(shadow.table, ignore_errors=True)


def _mirror(log: Log, shadow: Log) -> None:
    """Copy to a shadow the part of a log that is needed to read its newest version."""
    newest = max(log.checkpoints(), default=0)
    # No `parents=True`: a gate that another update has removed must not come back.
    shadow.table.mkdir()
    shadow.folder.mkdir()
    for path in log.folder.iterdir():
        numbered = _NUMBERED.match(path.name)
        if numbered and int(numbered[1]) >= newest:
            try:
                os.link(path, shadow.folder / path.name)
            except OSError:
                shutil.copyfile(path, shadow.folder / path.name)
        elif path == log.hint:
            # Copied, not linked: delta-rs overwrites it in place, and readers use the original.
            shutil.copyfile(path, shadow.hint)


def _move(source: Path, target: Path) -> None:
    sync(source)
    source.replace(target)
    sync(target.parent)


def _open(table: str, version: int | None) -> deltalake.DeltaTable:
    options = None
    if "://" in table:
        options = {k: v for k, v in os.environ.items() if k.startswith(_CREDENTIALS)}
    return deltalake.DeltaTable(table, version=version, storage_options=options)


@contextmanager
def _errors(table: str) -> Iterator[None]:
    try:
        yield
    except NoDeltaTable as error:
        raise TableNotFoundError(f"there is no Delta table at {table}") from error
    except (DeltaError, OSError, ValueError) as error:
        raise _translated(table, str(error).partition("\n")[0]) from error


def _translated(table: str, text: str) -> AdapterError:
    if match := _FEATURE.search(text):
        feature = next(g for g in match.groups() if g)
        return TableTooNewError(
            f"cannot read {table}: it needs {feature}",
            hint="the table was written by a newer tool; upgrade Qanat and deltalake, or write "
            "the table without that feature",
        )
    if "No space left" in text:
        return StorageFullError(f"no space left for {table}")
    if "://" in table:
        if _UNREACHABLE.search(text):
            return SourceUnavailableError(f"cannot reach {table}", got=text)
    elif damage := Log(Path(table)).damage():
        return damage
    if "version" in text and ("not found" in text or "does not exist" in text):
        return TableNotFoundError(f"there is no such version of {table}", got=text)
    return TableCorruptError(f"cannot read the log of {table}", got=text)
