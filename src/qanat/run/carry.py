"""Rows that go into a quarantine as they are, beside those that an epoch puts there itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qanat.model.query import SqlQuery
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.staged import Counts, Staged, StagedTable
from qanat.model.work import Output, Work
from qanat.planning.fit import quarantined
from qanat.run.attempt import Attempt
from qanat.run.inputs import drift_of, key_of

Progress = Callable[[float | None], None]


def with_waiting(attempt: Attempt, work: Work, progress: Progress) -> Staged:
    """Stage an epoch's work, and the quarantined rows that it takes over."""
    session, compiled = attempt.session, attempt.compiled
    staged = session.engine.stage(work, progress)
    read = compiled.quarantined
    if read is None or staged.failed:
        return staged
    range_ = attempt.epoch.ranges[key_of(read)]
    source, drift = session.source(read.source), drift_of(session, compiled)
    bound = source.bind(read.source, range_, NO_COLUMNS, drift, work.scratch)
    text = f"SELECT * FROM {read.name}"
    folder, prefix = work.quarantine.folder, work.quarantine.prefix
    copy = replace(
        work,
        query=SqlQuery(text, text, session.dialect, (read,), read.location),
        inputs={read.name: bound.batch},
        # A prefix of the same beginning: what clears up after the epoch finds these files, too.
        output=Output(folder, f"{prefix}-waiting"),
        expectations=(),
        views=(),
        sourced=frozenset({read.name} if work.sourced else ()),
        correction=None,
        merge=None,
    )
    attempt.tried.append(copy)
    waiting = session.engine.stage(copy, progress).table
    return _together(staged, work.dataset, waiting)


def _together(staged: Staged, dataset: str, waiting: StagedTable) -> Staged:
    new = staged.quarantines.get(dataset)
    rows, files = waiting.rows, waiting.files
    schema = waiting.schema
    if new is not None:
        schema = Schema(quarantined(schema, new.schema)[0])
        files = (*files, *new.files)
    # They count as rows of this epoch: it puts them where they are, and has to mark that.
    counts = staged.counts + Counts(out=rows, quarantined=rows)
    quarantines = {**staged.quarantines, dataset: StagedTable(schema, files)}
    return replace(staged, counts=counts, quarantines=quarantines)
