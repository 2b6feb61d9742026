"""Flows whose rows change their target: what they cannot feed, and what they lack.

And their expressions as rules that an engine is asked about; nothing here needs a parser.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qanat.errors import ColumnNotFoundError, FlowError, QanatError, nearest
from qanat.model.changes import Changes
from qanat.model.envelope import envelope_of
from qanat.model.expectation import Action, Expectation
from qanat.model.name import Names
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline
from qanat.model.query import Read
from qanat.model.rule import ORDERED, Monotonic, Predicate
from qanat.model.schema import Schema

_FEW = 20
"""A message lists the known columns up to this many."""


def first_changing(pipeline: Pipeline, dataset: Dataset) -> tuple[Flow, Changes] | None:
    """The first flow whose rows change a dataset, and how; None if no flow's do."""
    flows = pipeline.flows_into(dataset.name)
    return next(((f, f.changes) for f in flows if f.changes is not None), None)


def problems_of_changes(pipeline: Pipeline, flow: Flow, target: Dataset) -> Iterator[QanatError]:
    """The reasons why a flow cannot feed its target, of those that have to do with changes."""
    first = first_changing(pipeline, target)
    if first is None:
        return
    other, theirs = first
    if flow.changes is not None and target.kind is not DatasetKind.STREAMING_TABLE:
        yield FlowError(
            f"flow {flow.name} changes the rows of {target.kind} {target.name}",
            location=flow.location,
            hint=f"{theirs.label} keeps a streaming table: CREATE STREAMING TABLE {target.name};",
        )
    elif flow is not other and _any_whole(flow.changes, theirs):
        yield FlowError(
            f"flows {other.name} and {flow.name} feed {target.name}, and a snapshot would delete"
            " what the other has brought",
            location=flow.location,
            hint="give each a table of its own; or take one snapshot of both: FROM SNAPSHOT"
            " (SELECT … UNION ALL SELECT …)",
        )
    elif flow.changes is None and target.kind is DatasetKind.STREAMING_TABLE:
        yield FlowError(
            f"flow {flow.name} adds rows to {target.name}, which flow {other.name} keeps by"
            f" {theirs.label}",
            location=flow.location,
            hint=f"{theirs.joining.format(target=target.name)}; or give it a table of its own",
        )
    elif flow.changes is not None:
        for part, mine, wanted in _differences(flow.changes, theirs):
            yield FlowError(
                f"flows {other.name} and {flow.name} keep {target.name} in different ways",
                location=flow.location,
                wanted=f"{part} {wanted}, as at {other.location}".lstrip(),
                got=f"{part} {mine}".lstrip(),
            )
        if flow.changes.may_delete and _opens(pipeline, flow, Names()):
            yield FlowError(
                f"flow {flow.name} computes rows from messages in an envelope, and does not say"
                " which of them delete a row",
                location=flow.location,
                hint="keep their columns: FROM (SELECT * FROM STREAM …), or say it: APPLY AS"
                " DELETE WHEN __op = 'd', with __op in the SELECT",
            )


def _opens(pipeline: Pipeline, flow: Flow, seen: Names) -> bool:
    """True if a query reads messages in an envelope, or rows that came from some.

    A materialized view or a table that is kept by changes has other rows: those are computed from
    all messages.

    Args:
        seen: datasets that have been looked at: they may read each other in a circle.
    """
    for read in flow.query.reads:
        if envelope_of(read.source) is not None:
            return True
        above = pipeline.get(read.source.dataset or "")
        if above is None or above.name in seen or above.kind is DatasetKind.MATERIALIZED_VIEW:
            continue
        below = (each for each in pipeline.flows_into(above.name) if each.changes is None)
        if any(_opens(pipeline, each, Names((*seen, above.name))) for each in below):
            return True
    return False


def _differences(mine: Changes, theirs: Changes) -> Iterator[tuple[str, str, str]]:
    if type(mine) is not type(theirs):
        yield "", mine.label, theirs.label
    else:
        yield from mine.parts(theirs)


def _any_whole(*changes: Changes | None) -> bool:
    return any(each.whole for each in changes if each is not None)


def problems_of_snapshot(flow: Flow, streamed: Sequence[Read]) -> Iterator[QanatError]:
    """The reasons why a flow cannot take snapshots of what it reads.

    Args:
        streamed: what it reads as streams, directly or in temporary views.
    """
    for read in streamed:
        yield FlowError(
            f"flow {flow.name} {flow.changes.needs_all if flow.changes else ''}, and reads"
            f" {read.source.label} as a stream: that has only what is new",
            location=read.location,
            hint="read it without STREAM, or take its rows as changes: AUTO CDC INTO"
            f" {flow.target} FROM STREAM …",
        )


def problems_of_target(pipeline: Pipeline, dataset: Dataset) -> Iterator[QanatError]:
    """The reasons why flows cannot keep a dataset by changes, as it is declared."""
    first = first_changing(pipeline, dataset)
    if first is None:
        return
    for expectation in dataset.expectations:
        # The rows of a snapshot are about one row each.
        if not isinstance(expectation.rule, ORDERED) or first[1].whole:
            continue
        why = "several may be about one row"
        hint = (
            f"leave it out{first[1].unique}; or check it in a MATERIALIZED VIEW over"
            f" {dataset.name}"
        )
        if isinstance(expectation.rule, Monotonic):
            why = "a table whose rows are changed has none that come after others"
            hint = "leave it out; or check the changes in a STREAMING TABLE that keeps them all"
        yield FlowError(
            f"expectation {expectation.name}: the rows that come to {dataset.name} are changes,"
            f" and {why}",
            location=expectation.location,
            got=str(expectation.rule),
            hint=hint,
        )
    names = dataset.schema.names
    lacking = [n for n in first[1].adds if n not in Names(names)]
    if names and lacking:
        yield FlowError(
            f"{dataset.name} keeps versions (SCD type 2), but has no column"
            f" {' and no '.join(lacking)}",
            location=dataset.location,
            hint="declare it with the type of SEQUENCE BY, or declare no columns",
        )


def problem_of_stream(pipeline: Pipeline, found: Dataset, read: Read) -> FlowError | None:
    """The error for reading a table that is kept by changes as a stream."""
    first = first_changing(pipeline, found)
    if not read.streaming or read.source.survives or first is None:
        return None
    return FlowError(
        f"{found.name} is kept by {first[1].label} and cannot be read as a stream: its rows are"
        " changed and deleted, not only appended",
        location=read.location,
        hint="read it without STREAM in a MATERIALIZED VIEW, or its changes:"
        f" STREAM table_changes('{found.name}'), or only rows that are new:"
        f" STREAM {found.name} WITH (skip_change_commits)",
    )


def missing_columns(flow: Flow, given: Schema) -> list[QanatError]:
    """An error for every column that changes name and the flow's query does not give.

    Args:
        flow: the flow.
        given: the columns of its query.
    """
    changes = flow.changes
    if changes is None:
        return []
    parts = tuple(changes.columns_named.items())
    lacking = {n: part for part, names in reversed(parts) for n in names if given.get(n) is None}
    return [
        ColumnNotFoundError(
            f"flow {flow.name}: {part} names column {name!r}, which its source does not have",
            location=flow.location,
            wanted=", ".join(given.names) if len(given.names) <= _FEW else None,
            nearest=nearest(name, given.names),
        )
        for name, part in lacking.items()
    ]


def probes(flow: Flow, changes: Changes | None) -> Iterator[Expectation]:
    """The expressions of a flow's changes as rules, so that an engine can say what is wrong.

    Args:
        flow: the flow.
        changes: what they are in the engine's dialect.
    """
    for clause, value in changes.expressions if changes is not None else ():
        rule = Predicate(f"({value.sql}) IS NOT NULL", value.dialect, str(value))
        yield Expectation(clause, rule, Action.WARN, value.location or flow.location)
