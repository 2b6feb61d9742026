"""Flows whose rows each tell which source file they come from, so that those of one can go again.

That is so where each row of the result comes from one row of a stream: of files, or of a table
whose rows tell it.
"""

from __future__ import annotations

from collections.abc import Iterator

from qanat.errors import FlowError
from qanat.model.pipeline import Dataset, Flow, Pipeline
from qanat.model.query import Query, Read, SqlQuery
from qanat.planning.graph import view_of
from qanat.planning.levels import paths


def why_not(pipeline: Pipeline, flow: Flow, target: Dataset) -> str:
    """Why rows of a flow that come from a source file cannot go again; empty if they can."""
    if target.sink is not None:
        return "what a sink has sent stays where it is"
    if flow.changes is not None:
        return f"{flow.changes.label} changes rows that came from other files"
    streams = {r.source.key for r in _reads(pipeline, flow.query) if r.streaming}
    rows = _row_reads(pipeline, flow.query)
    told = {r.source.key for r in rows if r.streaming}
    if not rows or not all(r.streaming for r in rows) or not streams <= told:
        return f"rows of {target.name} do not each come from one row of what it reads"
    return ""


def problems_of_corrections(
    pipeline: Pipeline, flow: Flow, target: Dataset
) -> Iterator[FlowError]:
    """The streams of a flow whose files are to replace rows that do not tell their file."""
    if not target.stored and target.sink is None:
        return
    for read in _reads(pipeline, flow.query):
        if read.streaming and read.source.corrects:
            why = why_not(pipeline, flow, target)
            if why:
                yield FlowError(
                    f"{read.source.label} cannot replace rows of {target.name}: {why}",
                    location=read.location,
                    hint="read the files into a streaming table of their own, row by row, and"
                    " compute the rest in a MATERIALIZED VIEW over it",
                )


def _reads(pipeline: Pipeline, query: Query, above: tuple[Query, ...] = ()) -> Iterator[Read]:
    """What a query reads, itself and through temporary views; of views in a circle, nothing."""
    for read in query.reads:
        below = _view(pipeline, read)
        if below is None:
            yield read
        elif below not in above:
            yield from _reads(pipeline, below, (*above, below))


def _row_reads(
    pipeline: Pipeline, query: Query, above: tuple[Query, ...] = ()
) -> tuple[Read, ...]:
    """The reads whose rows those of a query come from, one by one; none if there are others."""
    found: list[Read] = []
    names = {r.name: r for r in query.reads}
    for path in paths(query) if isinstance(query, SqlQuery) else ():
        read = names.get(path[0].relation)
        view = None if read is None else _view(pipeline, read)
        if read is None or view in above:
            return ()
        below = (read,) if view is None else _row_reads(pipeline, view, (*above, view))
        if not below:
            return ()
        found += below
    return tuple(found)


def _view(pipeline: Pipeline, read: Read) -> Query | None:
    view = view_of(pipeline, read)
    flow = None if view is None else next(pipeline.flows_into(view.name), None)
    return None if flow is None else flow.query
