"""Flows whose rows change their target (AUTO CDC): what they cannot feed, and what they lack.

And their expressions as rules that an engine is asked about; nothing here needs a parser.
"""

from __future__ import annotations

from collections.abc import Iterator

from qanat.errors import ColumnNotFoundError, FlowError, QanatError, nearest
from qanat.model.changes import END_AT, START_AT, AutoCdc, Chosen, Expression, ScdType
from qanat.model.envelope import envelope_of
from qanat.model.name import Names
from qanat.model.pipeline import (
    Action,
    Dataset,
    DatasetKind,
    Expectation,
    Flow,
    Pipeline,
    Predicate,
    Unique,
)
from qanat.model.query import Read
from qanat.model.schema import Schema
from qanat.planning.graph import view_of

_FEW = 20
"""A message lists the known columns up to this many."""


def first_changing(pipeline: Pipeline, dataset: Dataset) -> tuple[Flow, AutoCdc] | None:
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
            hint=f"AUTO CDC keeps a streaming table: CREATE STREAMING TABLE {target.name};",
        )
    elif flow.changes is None and target.kind is DatasetKind.STREAMING_TABLE:
        yield FlowError(
            f"flow {flow.name} adds rows to {target.name}, which flow {other.name} keeps by"
            " AUTO CDC",
            location=flow.location,
            hint="make its rows changes, too: a first load is AUTO CDC ONCE INTO"
            f" {target.name}; or give it a table of its own",
        )
    elif flow.changes is not None:
        for part, mine, wanted in _parts(flow.changes, theirs):
            yield FlowError(
                f"flows {other.name} and {flow.name} keep {target.name} in different ways",
                location=flow.location,
                wanted=f"{part} {wanted}, as at {other.location}",
                got=f"{part} {mine}",
            )
        if flow.changes.deletes is None and _opens(pipeline, flow):
            yield FlowError(
                f"flow {flow.name} computes rows from messages in an envelope, and does not say"
                " which of them delete a row",
                location=flow.location,
                hint="keep their columns: FROM (SELECT * FROM STREAM …), or say it: APPLY AS"
                " DELETE WHEN __op = 'd', with __op in the SELECT",
            )


def _opens(pipeline: Pipeline, flow: Flow, seen: frozenset[str] = frozenset()) -> bool:
    """True if a query, or a temporary view in it, reads messages in an envelope.

    Args:
        seen: views that have been looked at: they may read each other in a circle.
    """
    for read in flow.query.reads:
        if envelope_of(read.source) is not None:
            return True
        view = view_of(pipeline, read)
        if view is not None and view.name not in seen:
            below = pipeline.flows_into(view.name)
            if any(_opens(pipeline, each, seen | {view.name}) for each in below):
                return True
    return False


def _parts(mine: AutoCdc, theirs: AutoCdc) -> Iterator[tuple[str, str, str]]:
    """In what two flows into one table differ that must be the same: the part, and both values."""
    # `* EXCEPT (…)` may differ: it leaves out what only one of the sources has.
    listed = not (mine.columns.all_but and theirs.columns.all_but)
    if Names(mine.keys) != Names(theirs.keys):
        yield "KEYS", f"({', '.join(mine.keys)})", f"({', '.join(theirs.keys)})"
    if len(mine.sequence) != len(theirs.sequence):
        yield "SEQUENCE BY", _values(mine), _values(theirs)
    if mine.scd is not theirs.scd:
        yield "SCD TYPE", mine.scd.value, theirs.scd.value
    if listed and not _alike(mine.columns, theirs.columns):
        yield "COLUMNS", str(mine.columns), str(theirs.columns)
    if not _alike(mine.tracked, theirs.tracked):
        yield "TRACK HISTORY ON", str(mine.tracked), str(theirs.tracked)


def _alike(mine: Chosen, theirs: Chosen) -> bool:
    return mine.all_but is theirs.all_but and Names(mine.names) == Names(theirs.names)


def _values(changes: AutoCdc) -> str:
    return f"({', '.join(map(str, changes.sequence))})"


def problems_of_target(pipeline: Pipeline, dataset: Dataset) -> Iterator[QanatError]:
    """The reasons why flows cannot keep a dataset by changes, as it is declared."""
    first = first_changing(pipeline, dataset)
    if first is None:
        return
    for expectation in dataset.expectations:
        if isinstance(expectation.rule, Unique):
            yield FlowError(
                f"expectation {expectation.name}: the rows that come to {dataset.name} are"
                " changes, and several may be about one row",
                location=expectation.location,
                got=str(expectation.rule),
                hint="leave it out: KEYS keeps one row for each key; or check it in a"
                f" MATERIALIZED VIEW over {dataset.name}",
            )
    names = dataset.schema.names
    lacking = [n for n in (START_AT, END_AT) if n not in Names(names)]
    if names and lacking and first[1].scd is ScdType.TWO:
        yield FlowError(
            f"{dataset.name} keeps versions (SCD type 2), but has no column"
            f" {' and no '.join(lacking)}",
            location=dataset.location,
            hint="declare it with the type of SEQUENCE BY, or declare no columns",
        )


def problem_of_stream(pipeline: Pipeline, found: Dataset, read: Read) -> FlowError | None:
    """The error for reading a table that is kept by changes as a stream."""
    if not read.streaming or read.source.survives or first_changing(pipeline, found) is None:
        return None
    return FlowError(
        f"{found.name} is kept by AUTO CDC and cannot be read as a stream: its rows are changed"
        " and deleted, not only appended",
        location=read.location,
        hint="read it without STREAM in a MATERIALIZED VIEW, or its changes:"
        f" STREAM table_changes('{found.name}'), or only rows that are new:"
        f" STREAM {found.name} WITH (skip_change_commits)",
    )


def missing_columns(flow: Flow, given: Schema) -> list[QanatError]:
    """An error for every column that AUTO CDC names and the flow's query does not give.

    Args:
        flow: the flow.
        given: the columns of its query.
    """
    changes = flow.changes
    if changes is None:
        return []
    parts = (
        ("KEYS", changes.keys),
        ("COLUMNS", changes.columns.names),
        ("IGNORE NULL UPDATES", changes.keeps.names if changes.keeps else ()),
        ("TRACK HISTORY ON", changes.tracked.names),
    )
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


def probes(flow: Flow, changes: AutoCdc | None) -> Iterator[Expectation]:
    """The expressions of a flow's changes as rules, so that an engine can say what is wrong.

    Args:
        flow: the flow.
        changes: what they are in the engine's dialect.
    """
    for clause, value in expressions_of(changes):
        rule = Predicate(f"({value.sql}) IS NOT NULL", value.dialect, str(value))
        yield Expectation(clause, rule, Action.WARN, value.location or flow.location)


def expressions_of(changes: AutoCdc | None) -> Iterator[tuple[str, Expression]]:
    """All expressions, each with the clause that it is of."""
    if changes is None:
        return
    yield from (("SEQUENCE BY", each) for each in changes.sequence)
    if changes.deletes is not None:
        yield "APPLY AS DELETE WHEN", changes.deletes
    if changes.truncates is not None:
        yield "APPLY AS TRUNCATE WHEN", changes.truncates
