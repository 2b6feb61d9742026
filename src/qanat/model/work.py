"""One epoch as an engine sees it: what to compute (`Work`), and from what (`Batch`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from qanat.frozen import Frozen
from qanat.model.amount import Amount
from qanat.model.changes import Changes
from qanat.model.expectation import Expectation
from qanat.model.inference import OWN, Inference
from qanat.model.name import Name
from qanat.model.pipeline import Drift
from qanat.model.query import Computation, Query
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.snapshots import Version
from qanat.model.stateful import Stateful
from qanat.model.upkeep import Layout


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that an engine can open.

    Args:
        path: what the author and the quarantine call it (absolute path or URL).
        local: absolute path on this machine, maybe a copy's; empty if the file is gone or changed.
        size: bytes of the original.
        modified_ns: of the original, nanoseconds since 1970 (UTC).
    """

    path: str
    local: str
    size: int
    modified_ns: int


class _Rows(Frozen):
    @property
    def shareable(self) -> frozenset[str]:
        """Files that give another version of a table, which has them too, the same rows."""
        return frozenset()

    def less(self, files: frozenset[str]) -> Self:
        """The same without some of the shareable files."""
        del files
        return self


class FilesBatch(_Rows):
    """Whole files of one format.

    Args:
        format: `csv`, `json`, `ndjson` or `parquet` (a connector has converted the others).
        options: of `read_files`, without those that the connector itself consumed.
        declared: columns the author declared (`schema => '…'`), empty to infer.
        known: columns found in earlier epochs, in order; empty in the first.
        drift: what to do with columns that are not in `known`.
        path: as the author wrote it, for messages.
        root: what the paths of files begin with, if they lie below the project: rows that tell
            their file leave it out, so that a project may be moved.
        inference: which types columns get that nobody declared.
        partitions: of a stream that has several, all their names; a file has that of its own.
    """

    files: tuple[LocalFile, ...]
    format: str
    options: tuple[tuple[str, Any], ...]
    declared: Schema
    known: Schema
    drift: Drift
    path: str
    root: str = ""
    inference: Inference = OWN
    partitions: tuple[str, ...] = ()


class TableBatch(_Rows):
    """Parquet files of a table, in hive-style folders where it is partitioned.

    Args:
        files: absolute paths on this machine.
        fetch: brings the files there if they lie elsewhere; None if they are there.
        narrower: the first of the files (or none), written before columns got wider types, with
            the columns of then; all values fit those of the next one, and at last `schema`.
        copied: the folder that files are fetched to, and the URL of the one that they lie in.
        told: columns that the files lack: by name, the value of each file as text.
        without: numbers of files, and the source files whose rows are left out of so many of the
            first files: they have been corrected since.
        sources: by path, the source file that all rows of a file come from, where the file itself
            does not say it.
        deleted: gives the rows that are left out, by path, counted from 0; None: there are none.
        moments: by path, the moment (milliseconds since 1970, UTC) by which a file has its place
            among those of the table; none of files of changes.
    """

    files: tuple[str, ...]
    schema: Schema
    partition_by: tuple[str, ...] = ()
    fetch: Callable[[], None] | None = None
    narrower: tuple[TableBatch, ...] = ()
    copied: tuple[str, str] | None = None
    told: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    without: tuple[tuple[int, tuple[str, ...]], ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    deleted: Callable[[], Mapping[str, Sequence[int]]] | None = None
    moments: Mapping[str, int] = field(default_factory=dict)

    def part(self, files: Sequence[str]) -> TableBatch | None:
        """The rows of some of the files; None if files alone do not tell which rows those are."""
        tied = (self.fetch, self.narrower, self.without, self.told, self.deleted)
        return None if any(tied) else replace(self, files=tuple(files))

    @property
    def shareable(self) -> frozenset[str]:
        """Its files, if nothing else than these says which rows they give."""
        more = self.narrower or self.told or self.without or self.deleted is not None
        return frozenset() if more else frozenset(self.files)

    def less(self, files: frozenset[str]) -> Self:
        """The same without some of its files."""
        return replace(self, files=tuple(f for f in self.files if f not in files))

    def ready(self) -> None:
        """See that the files are there; to be called before any of them is opened.

        Raises:
            FileVanishedError: one is gone.
            SourceUnavailableError: where they lie does not answer.
        """
        if self.fetch is not None:
            self.fetch()


class ArrowBatch(_Rows):
    """Data that only another library can read; `open` gives a fresh Arrow C stream each time."""

    open: Callable[[], Any]
    schema: Schema | None = None


class ViewBatch(_Rows):
    """The rows of a temporary view of the same work (`Work.views`)."""

    view: str


Batch: TypeAlias = FilesBatch | TableBatch | ArrowBatch | ViewBatch


Inputs: TypeAlias = Mapping[str, Batch]


class Input(Frozen):
    """A range of a source, bound for an engine.

    Args:
        amount: as far as it is known.
        remarks: what to tell of the range, once its epoch is committed.
    """

    batch: Batch
    amount: Amount = field(default_factory=Amount)
    remarks: tuple[str, ...] = ()


class Stored(Frozen):
    """The rows of a table at a version.

    Args:
        plain: whether its files may have no columns but those of the table.
    """

    batch: Batch
    version: int
    plain: bool = False


class Output(Frozen):
    """Where and how to stage one table's rows.

    Args:
        folder: absolute folder to put files in; partition folders go below it.
        prefix: start of every file's name, unique to this attempt of this epoch.
        format: `parquet` for tables; sinks also `csv` and `json`.
        schema: the table's columns so far (empty: it does not exist yet).
        declared: columns the author declared (empty: take the query's).
        partition_by: columns that become folders.
        existing: what the table holds, for UNIQUE; None if nothing (or to be overwritten).
        stored: what the table holds, to be written again if columns widen; None if none may.
        options: of the sink.
        placed_ms: the moment (milliseconds since 1970, UTC) from which new rows are numbered, of a
            table whose rows tell their place in its order; None: they need not.
    """

    folder: Path
    prefix: str
    format: str = "parquet"
    schema: Schema = NO_COLUMNS
    declared: Schema = NO_COLUMNS
    partition_by: tuple[str, ...] = ()
    existing: Batch | None = None
    stored: Stored | None = None
    options: tuple[tuple[str, str], ...] = ()
    placed_ms: int | None = None


class ViewWork(Frozen):
    """A temporary view that the flow reads, in the order to define them."""

    name: str
    query: Query
    expectations: tuple[Expectation, ...]
    quarantine: Output

    @property
    def row_rules(self) -> tuple[Expectation, ...]:
        """Its expectations about single rows."""
        return tuple(e for e in self.expectations if e.rule.level.of_rows)


def _no_files(read: str, paths: Sequence[str]) -> Batch | None:
    del read, paths
    return None


class Recomputation(Frozen):
    """A flow as it is now, for rows that could not be parsed, or that its query did not compute.

    Args:
        flow: its name.
        query: of the flow.
        views: the temporary views that it reads, in order. A row that breaks a rule of theirs
            stays where it is.
        files: by `Read.name` of a stream, and paths of files: those that it has read, with the
            options of today, for rows that could not be parsed; None if it reads no files.
    """

    flow: str
    query: Computation
    views: tuple[ViewWork, ...] = ()
    files: Callable[[str, Sequence[str]], Batch | None] = _no_files

    def key(self, name: str) -> str:
        """The name in `Work.inputs` of an input of the flow.

        Its streams give nothing: the rows to compute take their place.
        """
        return f"{self.flow}::{name}"


class Merge(Frozen):
    """How the rows of an epoch change the table, instead of being added to it.

    Args:
        changes: of which kind, and all that it says; expressions are in the engine's dialect.
        target: the table: its columns so far, those that are declared, its partitions and, as
            `stored`, its rows; None there if it has none or starts over.
        events: changes of earlier epochs that its rows do not tell; None if there are none.
        forgets_ns: events that have been kept since before then (nanoseconds since 1970, UTC) are
            forgotten.
        feed: whether files for readers of changes are written.
        adopts: the rows of another environment's table; None: it is none that takes them over.
        version: of the snapshot that the rows are; None if they are none, or only their columns
            are asked for.
    """

    changes: Changes
    target: Output
    events: Batch | None
    forgets_ns: int
    feed: bool
    version: Version | None = None
    adopts: Batch | None = None


class Stale(Frozen):
    """A table, or a quarantine, of which rows go because the files that they come from changed.

    Args:
        output: where its files are staged, with the rows that it has as `stored`.
        known: tells of files of it that do not say so from which source file all rows come, as
            far as that is known otherwise.
        flow: of whose rows; empty: of all.
        flows: those whose rows there may be.
    """

    output: Output
    known: Callable[[Sequence[str]], Mapping[str, str]]
    flow: str = ""
    flows: tuple[str, ...] = ()


class Correction(Frozen):
    """Source files that have come back with new content: their earlier rows go.

    Args:
        files: as rows tell them.
        table: of the epoch; None if it has none yet.
        quarantines: by dataset, those that the flow may have put rows into.
        feed: whether files for readers of changes are written.
    """

    files: tuple[str, ...]
    table: Stale | None
    quarantines: Mapping[str, Stale] = field(default_factory=dict)
    feed: bool = True


class StateWork(Frozen):
    """What an epoch needs of what its flow keeps.

    Args:
        output: where its changed rows are staged.
        stored: the state before the epoch; None: the flow starts over.
        table: the identity of the table that has it; empty: there is none yet.
        at_us: when the epoch was intended, microseconds since 1970 (UTC).
        idle_us: a stream without a row for so long holds no watermark; None: it always does.
        keeps_late: whether rows that came too late go to quarantine.
        compacts: whether the epoch may replace files of the state (`StagedTable.removed`).
    """

    stateful: Stateful
    output: Output
    stored: Stored | None = None
    table: str = ""
    at_us: int = 0
    idle_us: int | None = None
    keeps_late: bool = False
    compacts: bool = False


class Work(Frozen):
    """One epoch: run `query` over exactly `inputs`, split the rows by the rules, stage them.

    Args:
        flow: name of the flow into `dataset`; `epoch` its number; `update` that of the update.
        inputs: by `Read.name`, for the query and all views.
        references: by dataset, for rules that read others.
        at_ns: start of the update, nanoseconds since 1970 (UTC), for `_quarantine_at`.
        scratch: folder for spills and temporary files; removed afterwards.
        ordered: whether the order of the rows matters to what reads them: UNIQUE keeps the first.
        sets_aside: True if rows that cannot be computed go to quarantine; False: one fails all.
        again: of a readmission, the flows that parse and compute such rows again.
        widens: whether inferred types of a source may widen for values that do not fit them.
        unchanged: whether this definition wrote the table last: only inputs have other types then.
        merge: how the rows change the table; None: they are added. Then `output` has nothing of
            the table: its columns are those of the query, on which expectations are checked.
        rearranged: files of the table that are written again; None: there are none.
        sourced: by `Read.name`, the inputs whose rows tell which source file they come from; rows
            of the result tell it as well, where each comes from one of theirs.
        correction: source files whose earlier rows go; None: there are none.
        state: what the flow keeps from epoch to epoch; None: nothing.
    """

    flow: str
    epoch: int
    update: str
    dataset: str
    query: Computation
    inputs: Inputs
    output: Output
    quarantine: Output
    scratch: Path
    at_ns: int
    views: tuple[ViewWork, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    references: Mapping[Name, Batch] = field(default_factory=dict)
    ordered: bool = False
    sets_aside: bool = False
    again: tuple[Recomputation, ...] = ()
    widens: bool = False
    unchanged: bool = False
    merge: Merge | None = None
    rearranged: Layout | None = None
    sourced: frozenset[str] = frozenset()
    correction: Correction | None = None
    state: StateWork | None = None

    @property
    def row_rules(self) -> tuple[Expectation, ...]:
        """Its expectations about single rows."""
        return tuple(e for e in self.expectations if e.rule.level.of_rows)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All places where files are staged."""
        views = tuple(v.quarantine for v in self.views)
        state = () if self.state is None else (self.state.output,)
        return (self.output, self.quarantine, *views, *state)

    @property
    def row_wise(self) -> tuple[Computation, ...]:
        """The queries of which rows may be left out: the flow's, or those below its operator."""
        if self.state is None:
            return (self.query,)
        return tuple(each.query for each in self.state.stateful.inputs)
