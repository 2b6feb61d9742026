"""Whether rows come out of a query in the order in which a stream has them.

Where the last row of a key counts, that order decides what a table has. A join has an order of its
own; the engine sorts its rows again by those of the stream, if each comes from one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from qanat.errors import FlowError
from qanat.model.pipeline import Flow, Pipeline
from qanat.model.query import Query, Read, SqlQuery
from qanat.planning.graph import view_of
from qanat.planning.levels import paths
from qanat.planning.stateful import tree_of


def problems_of_succession(
    pipeline: Pipeline, flow: Flow, streams: Callable[[Read], bool]
) -> Iterator[FlowError]:
    """The reasons why nothing tells which row of a flow is the last one, if that matters to it.

    Args:
        streams: whether an input is a stream.
    """
    if flow.changes is None or not flow.changes.ordered:
        return
    for query in _queries(pipeline, flow.query):
        moving = [r for r in query.reads if streams(r)]
        if moving and isinstance(query, SqlQuery) and _loses(query, {r.name for r in moving}):
            yield FlowError(
                f"{flow.changes.label} of {flow.target} keeps the last row, and this query does"
                " not give rows in the order of the stream",
                location=moving[0].location,
                wanted="plain joins to the stream",
                hint="join the others to the stream: FROM STREAM … JOIN …; or say by AUTO CDC"
                " (SEQUENCE BY) which row counts",
            )


def _queries(pipeline: Pipeline, query: Query) -> Iterator[Query]:
    """A query, and those of the temporary views that it reads."""
    seen: set[str] = set()
    stack = [query]
    while stack:
        query = stack.pop()
        yield query
        for view in filter(None, (view_of(pipeline, read) for read in query.reads)):
            if view.name not in seen:
                seen.add(view.name)
                stack += (f.query for f in pipeline.flows_into(view.name))


def _loses(query: SqlQuery, streamed: set[str]) -> bool:
    tree = tree_of(query)
    if tree.args.get("order"):
        return False
    found = paths(query)
    if found:
        return any(path[0].relation not in streamed for path in found if path)
    return any(not isinstance(join.this, exp.Unnest) for join in tree.find_all(exp.Join))
