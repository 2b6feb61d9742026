"""What an engine gets of a table: its files as they are, or rows that delta-rs reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from qanat.errors import FileVanishedError, TableTooNewError, full_refresh
from qanat.model.amount import Amount
from qanat.model.name import Named
from qanat.model.schema import Schema, grown
from qanat.model.table import Added, TableRef
from qanat.model.work import ArrowBatch, Batch, TableBatch
from qanat.storage.delta.events import event_columns, event_files
from qanat.storage.delta.files import Files
from qanat.storage.delta.gains import added_files, kept_files
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import (
    LiveFile,
    TableState,
    local_path,
    local_paths,
    paths_of,
    total,
)
from qanat.storage.delta.vectors import can_be_fetched, deleted_rows


def batch_of(table: TableRef, state: TableState, files: Files | None) -> Batch:
    """All rows of a table at one version.

    Args:
        files: of the table; None at a URL that only delta-rs can read.
    """
    if files is None:
        return ArrowBatch(partial(_table().scan, table.location, state.version), state.schema)
    log = files.log
    paths = paths_of(log, state)
    if paths is not None and _is_near(files, state):
        fetch = files.fetching(state.files)
        return TableBatch(
            paths,
            state.schema,
            state.partition_by,
            fetch,
            copied=_copied(log, fetch),
            deleted=deleted_rows(files, state),
            moments=_moments(paths, state.files),
        )
    return ArrowBatch(partial(_table().scan, log.shown, state.version), state.schema)


def _is_near(files: Files, state: TableState) -> bool:
    """False of a table in an object store with rows that files outside of it say are deleted."""
    return not state.masked or files.fetching(state.files) is None or can_be_fetched(state)


def events_of(state: TableState, files: Files | None) -> Batch | None:
    """The changes that are kept beside a table's rows; None if there are none.

    Args:
        files: of the table; None at a URL that only delta-rs can read.
    """
    found = event_files(state.properties)
    if files is None or not found:
        return None
    paths = (local_path(files.log.table, f.path) for f in found)
    columns = event_columns(state.properties)
    return TableBatch(tuple(p for p in paths if p), columns, (), files.fetching(found))


def added(
    table: TableRef,
    there: Files,
    after: int,
    upto: int,
    state_at: Callable[[int], TableState],
    skip: bool = False,
) -> Added:
    """The rows that a table gained after one version, up to and with another.

    Args:
        skip: see `TableStore.added`.
        state_at: gives its state at a version.

    Raises:
        NotAppendOnlyError, TableCorruptError, FileVanishedError: see `DeltaStore.added`.
        TableTooNewError: its files cannot be read as they are.
    """
    log = there.log
    taken = kept_files(log, after, upto) if skip else added_files(log, after, upto)
    found = taken.files
    files = tuple(file for _, file in found)
    state = state_at(upto)
    if state.mapped:
        raise TableTooNewError(f"cannot read {table} as a stream: it needs columnMapping")
    fetch = there.fetching(files)
    paths = local_paths(log, files, state)
    moments = _moments(paths, files)
    narrower: list[TableBatch] = []
    first = 0
    for widened, schema in _widened(log, after, upto, state_at) if found else ():
        last = sum(version < widened for version, _ in found)
        narrower.append(
            TableBatch(
                paths[first:last],
                schema,
                state.partition_by,
                copied=_copied(log, fetch),
                moments=moments,
            )
        )
        first = last
    batch = TableBatch(
        paths,
        state.schema,
        state.partition_by,
        fetch,
        tuple(narrower),
        _copied(log, fetch),
        without=taken.without,
        moments=moments,
    )
    if fetch is None and (gone := there.missing(files)):
        raise FileVanishedError(
            f"{table} lost rows that have not been read yet",
            got=f"{gone[0]} is gone (vacuumed?)",
            hint=f"start over from what is there: {full_refresh()}",
        )
    size = sum(f.size for f in files)
    # What is left out, the engine counts.
    rows = None if taken.corrections else total(f.rows for f in files)
    return Added(batch, Amount(len(files), size, rows), taken.corrected)


def _moments(paths: Sequence[str], files: Sequence[LiveFile]) -> dict[str, int]:
    """By path, when files were made, by which they are in order."""
    return {path: file.made_ms for path, file in zip(paths, files, strict=True)}


def _copied(log: Log, fetch: Callable[[], None] | None) -> tuple[str, str] | None:
    return None if fetch is None else (str(log.table), log.shown)


def _widened(
    log: Log, after: int, upto: int, state_at: Callable[[int], TableState]
) -> Iterator[tuple[int, Schema]]:
    """The versions that gave columns of a table other types, each with the columns before it."""
    for version in _with_other_columns(log, after, upto):
        before, now = state_at(version - 1).schema, state_at(version).schema
        columns = Named((f.name, f) for f in now.fields)
        for column in before.fields:
            found = columns.get(column.name)
            if found is not None and found.type != grown(column.type, found.type):
                yield version, before
                break


def _with_other_columns(log: Log, after: int, upto: int) -> Iterator[int]:
    """The versions that may have changed the columns of a table.

    Most versions with metadata only set a property (`qanat.events`), and to tell what a table is
    at each of them would read its log again and again.
    """
    known = None
    for version in range(max(after + 1, 1), upto + 1):
        for action in log.actions(version):
            if "metaData" in action:
                found = action["metaData"].get("schemaString")
                if found != known:
                    yield version
                known = found


def _table() -> Any:
    """The module that imports deltalake, which an unchanged run must not pay for."""
    return import_module("qanat.storage.delta.table")
