"""Which queries may feed which kinds of datasets.

A streaming table reads each input row once, so its query must give the same result rows for a new
row whatever came before. Spark keeps state between batches for queries that cannot (an aggregate
over a stream, a join of two streams). Qanat keeps none, so it refuses them: running them would
give another result than in Spark.
"""

from __future__ import annotations

from collections.abc import Iterator

from qanat.errors import FlowError, QanatError
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.flow import Flow
from qanat.model.pipeline import Pipeline
from qanat.model.query import Query, Read, SqlQuery
from qanat.planning.graph import view_of
from qanat.planning.stateful import first_stateful

_APPENDED = (DatasetKind.STREAMING_TABLE, DatasetKind.SINK)


def problems_of_flow(pipeline: Pipeline, flow: Flow, target: Dataset) -> Iterator[QanatError]:
    """The reasons why a flow cannot feed its target; none if it can."""
    if target.kind not in _APPENDED:
        if flow.name.casefold() != target.name.casefold():
            yield FlowError(
                f"flow {flow.name} feeds {target.kind} {target.name}",
                location=flow.location,
                hint="only a STREAMING TABLE or a sink takes several flows",
            )
        if target.kind is DatasetKind.MATERIALIZED_VIEW:
            for read in flow.query.reads:
                if streams(pipeline, read):
                    yield _stream_into_view(target, read)
    for read in flow.query.reads:
        yield from _problems_of_read(pipeline, read)
    if target.kind is DatasetKind.TEMPORARY_VIEW:
        yield from _stateful(pipeline, flow.query, target)
    if target.kind not in _APPENDED:
        return
    if not flow.once and not any(streams(pipeline, r) for r in flow.query.reads):
        yield _no_stream(flow, target)
    if not flow.once:
        yield from _stateful(pipeline, flow.query, target)


def streams(pipeline: Pipeline, read: Read) -> bool:
    """True if an input is a stream: read with STREAM, directly or inside a temporary view."""
    seen: set[str] = set()
    stack = [read]
    while stack:
        read = stack.pop()
        view = view_of(pipeline, read)
        if view is None:
            if read.streaming:
                return True
        elif view.name not in seen:
            # Visit each view once: a cycle of views would loop here, and is reported elsewhere.
            seen.add(view.name)
            for flow in pipeline.flows_into(view.name):
                stack.extend(flow.query.reads)
    return False


def _problems_of_read(pipeline: Pipeline, read: Read) -> Iterator[QanatError]:
    name = read.source.dataset
    found = None if name is None else pipeline.get(name)
    if found is None:
        return
    if found.kind is DatasetKind.SINK:
        yield FlowError(
            f"{found.name} is a sink and cannot be read",
            location=read.location,
            hint="read what feeds it",
        )
    elif found.kind is DatasetKind.MATERIALIZED_VIEW and read.streaming:
        yield FlowError(
            f"{found.name} is a materialized view and cannot be read as a stream: its rows are"
            " replaced, not appended",
            location=read.location,
            hint=f"read it without STREAM, or make {found.name} a STREAMING TABLE",
        )
    elif found.kind is DatasetKind.TEMPORARY_VIEW:
        inside = streams(pipeline, read)
        if read.streaming and not inside:
            yield FlowError(
                f"temporary view {found.name} streams nothing",
                location=read.location,
                hint="read it without STREAM, or put STREAM before an input of the view",
            )
        elif inside and not read.streaming:
            yield FlowError(
                f"temporary view {found.name} is a stream and must be read as one",
                location=read.location,
                wanted=f"STREAM {found.name}",
            )


def _stream_into_view(target: Dataset, read: Read) -> FlowError:
    return FlowError(
        f"materialized view {target.name} reads a stream",
        location=read.location,
        hint="leave out STREAM: a materialized view is computed from its inputs as they are;"
        " or make it a STREAMING TABLE",
    )


def _no_stream(flow: Flow, target: Dataset) -> FlowError:
    kind = "sink" if target.kind is DatasetKind.SINK else "streaming table"
    return FlowError(
        f"nothing that flow {flow.name} reads is a stream, but {target.name} is a {kind}",
        location=flow.location,
        hint="put STREAM before the input whose new rows it takes, or make it a MATERIALIZED"
        " VIEW, or INSERT INTO ONCE for rows that come a single time",
    )


def _stateful(pipeline: Pipeline, query: Query, target: Dataset) -> Iterator[QanatError]:
    """The first construct over a stream that would need rows of earlier epochs, as an error."""
    if not isinstance(query, SqlQuery):
        return
    streamed = frozenset(r.name for r in query.reads if streams(pipeline, r))
    found = first_stateful(query, streamed)
    if found is not None:
        yield FlowError(
            f"{found.name} over a stream in {target.name}: an update would see only its new rows",
            location=found.location,
            hint="compute it in a MATERIALIZED VIEW over the streaming table",
        )
