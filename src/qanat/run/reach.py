"""What a flow has not read yet, and exactly that data bound for the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from qanat import declare
from qanat.errors import (
    DatasetNotFoundError,
    NotAppendOnlyError,
    SpecNotFoundError,
    TableNotFoundError,
    located,
)
from qanat.model.batch import Batch, TableBatch, ViewBatch
from qanat.model.dataset import Drift
from qanat.model.position import (
    FileRef,
    FilesRange,
    Range,
    TableRange,
    TableSnapshot,
    source_key,
)
from qanat.model.query import DatasetRead, DeltaRead, FilesRead, Read, Source
from qanat.model.schema import NO_COLUMNS
from qanat.run.compiled import CompiledFlow
from qanat.run.workspace import Workspace, folder_name

_SNAPSHOT = "now|"
_REFERENCE = "reference|"


@dataclass(frozen=True, slots=True)
class Reach:
    """The ranges that the next epoch of a flow would take.

    Args:
        ranges: by key: `source_key` for streams, with a prefix for sources read as they are.
        new: whether a stream has anything unread.
    """

    ranges: Mapping[str, Range]
    new: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """Inputs bound for the engine; rows of tables and number of files that they have."""

    inputs: Mapping[str, Batch]
    references: Mapping[str, Batch]
    rows: int
    files: int


def key_of(read: Read) -> str:
    """The key of a read's range in `Epoch.ranges`."""
    return source_key(read.source) if read.streaming else _SNAPSHOT + source_key(read.source)


def start_over(compiled: CompiledFlow) -> str:
    """What to do when a stream's table is no longer the one that has been read."""
    again = f"qanat run --full-refresh {compiled.dataset.name}"
    return f"read it without STREAM, or start over: {again}"


def drift_of(ws: Workspace, compiled: CompiledFlow) -> Drift:
    """What a change of a source's columns does to a flow's target."""
    own = compiled.dataset.property("qanat.schema_drift")
    return Drift(own) if own else ws.project.schema_drift


def choose(
    ws: Workspace, compiled: CompiledFlow, generation: int, without: frozenset[str] = frozenset()
) -> Reach:
    """Find what is unread.

    Args:
        without: paths of files to leave for a later update (they are still being written).

    Raises:
        SourceNotFoundError, FileChangedError: see `qanat.ports.source.Source.unread`.
    """
    ranges: dict[str, Range] = {}
    new = False
    for read in compiled.reads:
        key = key_of(read)
        if key in ranges:
            continue
        with located(read.location):
            if read.streaming:
                found = _unread(ws, compiled, read, generation, key, without)
            else:
                found = _everything(ws, read)
        if found is None:
            continue
        new = new or read.streaming
        ranges[key] = found
    for dataset in compiled.references:
        ranges[_REFERENCE + dataset.casefold()] = _snapshot(ws, str(ws.folder(dataset)))
    return Reach(ranges, new)


def bind(
    ws: Workspace,
    compiled: CompiledFlow,
    ranges: Mapping[str, Range],
    generation: int,
    scratch: Path,
) -> Bound:
    """Exactly these ranges, ready for the engine."""
    inputs: dict[str, Batch] = {name: ViewBatch(view) for name, view in compiled.view_reads}
    rows = files = 0
    for read in compiled.reads:
        key = key_of(read)
        with located(read.location):
            batch, more_rows, more_files = _batch(
                ws, compiled, read, key, ranges.get(key), generation, scratch
            )
        inputs[read.name] = batch
        rows += more_rows
        files += more_files
    references: dict[str, Batch] = {}
    for dataset in compiled.references:
        range_ = ranges.get(_REFERENCE + dataset.casefold())
        folder = str(ws.folder(dataset))
        # A rule may refer to the table it is on, before there is one.
        if isinstance(range_, TableSnapshot) and range_.version >= 0:
            references[dataset.casefold()] = ws.store.snapshot(folder, range_.version).batch
    return Bound(inputs, references, rows, files)


def portable(ws: Workspace, range_: Range) -> Range:
    """A range as the ledger keeps it: a project that moves, moves with what it has read."""
    if not isinstance(range_, FilesRange):
        return range_
    return FilesRange(tuple(replace(f, path=_portable(ws, f.path)) for f in range_.files))


def absolute(ws: Workspace, range_: FilesRange) -> FilesRange:
    """The same range as a source takes it."""
    root = f"{ws.project.root}/"
    return FilesRange(
        tuple(
            f if "://" in f.path or f.path.startswith("/") else replace(f, path=root + f.path)
            for f in range_.files
        )
    )


def _portable(ws: Workspace, path: str) -> str:
    return path.removeprefix(f"{ws.project.root}/")


def place(ws: Workspace, source: Source) -> str:
    """The folder or URL of a table that is read."""
    match source:
        case DatasetRead(dataset):
            return str(ws.folder(dataset))
        case DeltaRead(path, None):
            if "://" in path or Path(path).is_absolute():
                return path
            return str(ws.project.root / path)
        case DeltaRead(path, project):
            folder = (ws.project.root / str(project)).resolve()
            spec: Path | None = None
            with suppress(SpecNotFoundError):
                spec = declare.find_spec(folder)
            # A spec further up is another project's, perhaps this one's own.
            if spec is None or spec.parent != folder:
                raise TableNotFoundError(
                    f"there is no Qanat project in {folder}",
                    wanted="the folder of a project, relative to this one's",
                )
            return str(declare.load_project(spec).tables / folder_name(path))
    raise TypeError(f"{source!r} is no table")


def _unread(
    ws: Workspace,
    compiled: CompiledFlow,
    read: Read,
    generation: int,
    key: str,
    without: frozenset[str],
) -> Range | None:
    flow = compiled.flow.name
    if isinstance(read.source, FilesRead):
        others = {key_of(r) for r in compiled.reads if r.streaming} - {key}

        def counts(source: str) -> bool:
            # A file that was only looked up, or taken by another stream of this flow, has not
            # been taken by this one. One taken under a path that has been rewritten since has.
            return not source.startswith(_SNAPSHOT) and source not in others

        def seen(paths: Iterable[str]) -> Mapping[str, FileRef]:
            kept = {_portable(ws, p): p for p in paths}
            known = ws.memory.seen(flow, generation, kept, counts)
            return {kept[k]: replace(f, path=kept[k]) for k, f in known.items()}

        found = ws.files.unread(read.source, seen, without)
        if not isinstance(found, FilesRange) or not found.files:
            return None
        return portable(ws, found)
    folder = place(ws, read.source)
    version = ws.store.version(folder)
    if version is None:
        _must_exist(read, folder)
        return None
    last = ws.memory.position(flow, generation, key)
    after = last.upto if isinstance(last, TableRange) else -1
    _check_same_table(ws, compiled, read, after, version)
    if version <= after:
        return None
    return TableRange(after, version)


def _check_same_table(
    ws: Workspace, compiled: CompiledFlow, read: Read, after: int, version: int
) -> None:
    """Refuse to go on in a table whose versions began anew: they say nothing about its rows.

    Raises:
        NotAppendOnlyError: it was lost and rebuilt, or restored from an older copy.
    """
    rebuilt = version < after
    if isinstance(read.source, DatasetRead) and after >= 0 and not rebuilt:
        name = read.source.dataset
        mine = ws.memory.last_epoch(compiled.flow.name) if ws.memory.generation(name) else None
        if mine is not None:
            anew = ws.memory.replaced(name, after=mine.id)
            rebuilt = anew is not None and anew <= after
    if rebuilt:
        name = compiled.dataset.name
        raise NotAppendOnlyError(
            f"{place(ws, read.source)} was rebuilt or restored since {name} last read it",
            location=read.location,
            wanted=f"the table of which {compiled.flow.name} has read version {after}",
            got=f"another history, now at version {version}",
            hint=f"read all of it: qanat run --full-refresh {name}",
        )


def _everything(ws: Workspace, read: Read) -> Range:
    if isinstance(read.source, FilesRead):
        return portable(ws, ws.files.everything(read.source))
    folder = place(ws, read.source)
    found = _snapshot(ws, folder)
    if found.version < 0:
        _must_exist(read, folder)
    return found


def _snapshot(ws: Workspace, folder: str) -> TableSnapshot:
    version = ws.store.version(folder)
    return TableSnapshot(-1 if version is None else version)


def _must_exist(read: Read, folder: str) -> None:
    """A dataset of this project may not have run yet; any other table must be there."""
    if isinstance(read.source, DeltaRead):
        raise TableNotFoundError(f"there is no Delta table in {folder}", location=read.location)


def _batch(
    ws: Workspace,
    compiled: CompiledFlow,
    read: Read,
    key: str,
    range_: Range | None,
    generation: int,
    scratch: Path,
) -> tuple[Batch, int, int]:
    if isinstance(read.source, FilesRead):
        files = absolute(ws, range_) if isinstance(range_, FilesRange) else FilesRange(())
        known = ws.memory.source_schema(compiled.flow.name, generation, key) or NO_COLUMNS
        batch = ws.files.fetch(read.source, files, known, drift_of(ws, compiled), scratch)
        return batch, 0, len(files.files)
    folder = place(ws, read.source)
    match range_:
        case TableRange(after, upto):
            try:
                added = ws.store.added(folder, after, upto)
            except NotAppendOnlyError as error:
                # Only here is known who reads.
                error.hint = start_over(compiled)
                raise
            return added.batch, added.rows or 0, 0
        case TableSnapshot(version) if version >= 0:
            snapshot = ws.store.snapshot(folder, version)
            return snapshot.batch, snapshot.rows or 0, 0
    if ws.store.version(folder) is not None:
        # Nothing unread here, but another input of the flow has: no rows, known columns.
        snapshot = ws.store.snapshot(folder)
        return TableBatch((), snapshot.schema, snapshot.partition_by), 0, 0
    name = read.source.dataset if isinstance(read.source, DatasetRead) else folder
    raise DatasetNotFoundError(
        f"{name} has no table yet: nothing has been written to it",
        location=read.location,
        hint=f"run it first: qanat run --select {name}",
    )
