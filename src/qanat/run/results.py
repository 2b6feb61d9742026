"""What this layer is asked (a selection of datasets), and what its functions return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from qanat.errors import QanatError
from qanat.frozen import Frozen
from qanat.model.event import EventRecord, Recovered
from qanat.model.name import Named, Names
from qanat.model.pipeline import DatasetKind
from qanat.model.record import Definition, Epoch, UpdateRecord
from qanat.model.schema import Schema
from qanat.model.staged import Counts, RuleCount
from qanat.planning.graph import select
from qanat.planning.lineage import Lineage as Lineage, LineageNode as LineageNode
from qanat.run.asked import asked_for
from qanat.run.checked import LastCheck
from qanat.run.full_refresh import (
    Loss,
    check_losses,
    check_resets,
    check_sends,
    check_taken_along,
    losses,
    taken_along,
)
from qanat.run.owner import check_owners
from qanat.run.session import Session


class QueryRows(Frozen):
    """The first rows of a query.

    Args:
        complete: False if there are more than were asked for.
    """

    schema: Schema
    rows: Sequence[tuple[Any, ...]]
    complete: bool = True


class Selection(Frozen):
    """Which datasets an update takes, by name or glob.

    Args:
        select: only these (empty: all). `+name` adds everything upstream, `name+` downstream.
        refresh: these even when unchanged.
        full_refresh: these from the start, replacing what is there, and with them what has read
            them as a stream.
        full_refresh_all: all of them, but for those that their authors protect.
        read_again: add to these what they would read from its start, although they may have it
            already, under another name.
        only: leave out what has read them as a stream.
        accept_loss: even if rows are lost because the files that they came from are gone.
        replace: files that replace, this once, what was read of them.
    """

    select: tuple[str, ...] = ()
    refresh: tuple[str, ...] = ()
    full_refresh: tuple[str, ...] = ()
    full_refresh_all: bool = False
    read_again: tuple[str, ...] = ()
    only: bool = False
    accept_loss: bool = False
    replace: tuple[str, ...] = ()


class DatasetResult(Frozen):
    """What an update did with one dataset.

    Args:
        status: `updated`, `unchanged`, `failed` or `skipped` (something upstream failed).
        reason: why, one sentence.
        read: rows read where known; `files` read.
        seconds: wall time.
        notes: how columns have changed; why a dataset is paused that was updated all the same.
        off: whether it is a sink of an environment that sends nothing.
        epochs: how many were committed.
        snapshots: whether each of them was a snapshot of all that there is.
        paused: whether it stands still until it is told to go on.
    """

    dataset: str
    kind: str
    status: str
    reason: str
    counts: Counts
    rules: tuple[RuleCount, ...]
    files: int
    seconds: float
    version: int | None = None
    read: int | None = None
    error: QanatError | None = None
    notes: tuple[str, ...] = ()
    off: bool = False
    epochs: int = 0
    snapshots: bool = False
    paused: bool = False


class UpdateResult(Frozen):
    """What an update did. `id` is empty when nothing had to be written.

    Args:
        recovered: what became of epochs that a crash had left open.
    """

    id: str
    status: str
    seconds: float
    datasets: tuple[DatasetResult, ...]
    recovered: tuple[Recovered, ...] = ()

    @property
    def failed(self) -> tuple[DatasetResult, ...]:
        """The datasets that failed themselves; not those skipped because of them."""
        return tuple(d for d in self.datasets if d.status == "failed")


class Validation(Frozen):
    """All that is wrong with a project, found without running it."""

    problems: tuple[QanatError, ...]
    datasets: tuple[tuple[str, str], ...]
    """Name and kind of each, in the order an update would take them."""
    flows: int
    expectations: int
    notes: tuple[str, ...] = ()
    """What contracts say that no check is of, each with its place."""


class FirstRows(Frozen):
    """The first rows of a table, and what is known of it."""

    dataset: str
    kind: str
    folder: str
    version: int
    schema: Schema
    rows: Sequence[tuple[Any, ...]]
    total: int | None
    bytes: int
    files: int
    partition_by: tuple[str, ...] = ()
    comment: str | None = None
    environment: str = ""
    """The one that the table is of, if it is another than the project's."""
    checks: tuple[LastCheck, ...] = ()
    """The expectations of its dataset, if they are about this table as it is."""


class HistoryEntry(Frozen):
    """One update and its epochs, oldest epoch first."""

    update: UpdateRecord
    epochs: tuple[Epoch, ...]


class UpdateEvents(Frozen):
    """An update, and what it has told so far, in its order."""

    update: UpdateRecord
    events: tuple[EventRecord, ...]


class QuarantineSummary(Frozen):
    """How many rows of a dataset wait in quarantine, by rule (a row may break several)."""

    dataset: str
    rows: int
    rules: Mapping[str, int]


class ReplayResult(Frozen):
    """What a replay did with the quarantine of one dataset.

    Args:
        replayed: rows that the table has gained.
        left_out: rows that are gone, as the query leaves them out now that it can compute them.
    """

    dataset: str
    examined: int
    replayed: int
    remaining: int
    version: int | None = None
    left_out: int = 0


class DiscardResult(Frozen):
    """What a discard has thrown away of the quarantine of one dataset."""

    dataset: str
    discarded: int
    remaining: int


class ExportResult(Frozen):
    """How many rows of a quarantine were written to a file."""

    dataset: str
    file: str
    rows: int


class MoveResult(Frozen):
    """What got another name, or went.

    Args:
        what: `dataset`, `flow` or `source`.
        new: None if it was dropped.
        definitions: datasets whose definitions differ from how they were last run by the name
            alone, and count as unchanged now.
    """

    what: str
    old: str
    new: str | None
    definitions: tuple[str, ...] = ()


class PromotedDataset(Frozen):
    """A dataset whose table is, or would be, that of another environment.

    Args:
        origin_version, rows: of the table there.
        replaces: rows of the table that was here; None if there was none.
        outdated: whether it was computed from inputs that have moved on here: the next update
            computes it again.
        counts: rows written, and those that rules kept out; None in a dry run.
        version: of the table here, afterwards.
    """

    dataset: str
    kind: str
    origin_version: int
    rows: int | None
    replaces: int | None
    outdated: bool = False
    counts: Counts | None = None
    rules: tuple[RuleCount, ...] = ()
    version: int | None = None


class PromotionResult(Frozen):
    """What a promotion did, or would do.

    Args:
        id: of its update; empty in a dry run.
        environment: that has the tables now, computed in `origin`.
    """

    id: str
    environment: str
    origin: str
    dry_run: bool
    datasets: tuple[PromotedDataset, ...]


class Finding(Frozen):
    """One thing that `qanat doctor` looked at.

    Args:
        level: `ok`, `absent` (an optional package), `warning` or `error`.
        what: what was looked at, a few words.
        detail: what was found, one sentence.
        hint: the way out, empty if nothing is wrong.
        errors: that were met, where there were any.
    """

    level: str
    what: str
    detail: str
    hint: str = ""
    errors: tuple[QanatError, ...] = ()


class Chosen(Frozen):
    """A selection, resolved.

    Args:
        datasets: stored datasets and sinks to update, in order.
        runnable: the same and the temporary views between them.
        refresh, full_refresh: those to recompute, and those to start over (as asked for,
            because they used to be materialized views, or because of others).
        restarted_by: of those that start over because of another, by dataset, that other one.
        losses: by dataset, the rows that starting over loses.
        accept_loss: whether rows may be lost.
        read_again: datasets that may read what they may have read under another name.
        corrects: files that replace, this once, what was read of them.
    """

    datasets: tuple[str, ...]
    runnable: tuple[str, ...]
    refresh: frozenset[str]
    full_refresh: frozenset[str]
    restarted_by: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, Loss] = field(default_factory=dict)
    accept_loss: bool = False
    read_again: frozenset[str] = frozenset()
    corrects: frozenset[str] = frozenset()


def _former_views(session: Session, before: Named[Definition]) -> frozenset[str]:
    """Streaming tables whose stored table is still that of a materialized view.

    Its rows are none that a stream has brought, so that a stream cannot go on from there.
    """
    return frozenset(
        d.name
        for d in session.pipeline.datasets
        if d.kind is DatasetKind.STREAMING_TABLE
        and (old := before.get(d.name)) is not None
        and old.kind == str(DatasetKind.MATERIALIZED_VIEW)
    )


def choose_datasets(session: Session, selection: Selection) -> Chosen:
    """Resolve names and globs.

    As in Spark Declarative Pipelines, `--refresh` and `--full-refresh` with names restrict the
    update to those names, and to what has to start over with them. What a sink has sent before
    cannot be taken back: it starts over if it is named itself, or reads what does.

    Raises:
        SelectionError: a pattern matches nothing.
        PlanError: a sink that would start over sends nothing in this environment.
        ResetError: a dataset that would start over is protected.
        RowsLostError: rows would be lost.
        ForeignTableError: a table that would start over is another project's.
    """

    def selected(patterns: tuple[str, ...]) -> frozenset[str]:
        return (
            frozenset(select(session.graph, session.pipeline, patterns))
            if patterns
            else frozenset()
        )

    refresh, full = selected(selection.refresh), selected(selection.full_refresh)
    literal = Names(selection.full_refresh)
    full = frozenset(
        n for n in full if session.pipeline.dataset(n).kind is not DatasetKind.SINK or n in literal
    )
    if selection.select:
        wanted = selected(selection.select) | refresh | full
    elif (refresh or full) and not selection.full_refresh_all:
        wanted = refresh | full
    else:
        wanted = frozenset(session.graph.order)
    if full:
        check_sends(session, full)
        check_resets(session, full)
    if selection.full_refresh_all:
        everything = (session.pipeline.dataset(n) for n in wanted)
        full |= {d.name for d in everything if d.kind is not DatasetKind.SINK and d.may_reset}
    before = session.recorded.definitions() if session.has_ledger else Named()
    restarted_by: Mapping[str, str] = {}
    lost: Mapping[str, Loss] = {}
    if full:
        restarted_by = taken_along(session, full)
        # A protected reader that is left out could never go on: it may not start over either.
        check_taken_along(session, restarted_by)
        restarted_by = {} if selection.only else restarted_by
        full |= restarted_by.keys()
        for name in sorted(full):
            check_owners(session, session.pipeline.dataset(name), anew=True)
        wanted |= restarted_by.keys()
        lost = losses(session, full)
        check_losses(lost, selection.accept_loss)
    full |= wanted & _former_views(session, before)
    views = DatasetKind.TEMPORARY_VIEW
    between = {n for n in session.graph.order if session.pipeline.dataset(n).kind is views}
    return Chosen(
        datasets=tuple(n for n in session.graph.order if n in wanted and n not in between),
        runnable=tuple(n for n in session.graph.order if n in wanted or n in between),
        refresh=refresh,
        full_refresh=full,
        restarted_by=restarted_by,
        losses=lost,
        accept_loss=selection.accept_loss,
        read_again=selected(selection.read_again),
        corrects=asked_for(session, selection.replace) if selection.replace else frozenset(),
    )
