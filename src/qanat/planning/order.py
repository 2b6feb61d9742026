"""The order in which datasets are computed, and the problems that make it impossible.

A streaming table reads each input row once. If its query needs rows of earlier epochs (an
aggregate over a stream, a join of two streams), one operator keeps them as its state, as Spark
has it (see `eventtime`); a query that would need more than one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import TypeAlias

from qanat.errors import CycleError, DatasetNotFoundError, FlowError, Location, QanatError, nearest
from qanat.model.expectation import Expectation
from qanat.model.name import Names, same
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline
from qanat.model.query import Read
from qanat.planning.changes import (
    problem_of_stream,
    problems_of_changes,
    problems_of_snapshot,
    problems_of_target,
)
from qanat.planning.checks import problems_of_check
from qanat.planning.corrections import problems_of_corrections
from qanat.planning.graph import Graph, closure, resolve, view_of, writers
from qanat.planning.states import problems_of_state
from qanat.planning.succession import problems_of_succession

_APPENDED = (DatasetKind.STREAMING_TABLE, DatasetKind.SINK)
_Edges: TypeAlias = dict[str, dict[str, Location]]
"""By dataset, what it reads, and where that is written."""


def problems_of_flow(pipeline: Pipeline, flow: Flow, target: Dataset) -> Iterator[QanatError]:
    """The reasons why a flow cannot feed its target; none if it can."""
    yield from problems_of_changes(pipeline, flow, target)
    yield from problems_of_corrections(pipeline, flow, target)
    if target.kind not in _APPENDED and flow.changes is None and not same(flow.name, target.name):
        yield FlowError(
            f"flow {flow.name} feeds {target.kind} {target.name}",
            location=flow.location,
            hint="only a STREAMING TABLE or a sink takes several flows",
        )
    if target.kind is DatasetKind.MATERIALIZED_VIEW and flow.changes is None:
        yield from (_stream_into_view(target, r) for r in flow.query.reads if streams(pipeline, r))
    for read in flow.query.reads:
        yield from _problems_of_read(pipeline, flow, read)
    if target.kind is DatasetKind.TEMPORARY_VIEW:
        yield from problems_of_state(flow.query, target, partial(streams, pipeline))
    if _is_snapshot(flow):
        yield from problems_of_snapshot(
            flow, [r for r in flow.query.reads if streams(pipeline, r)]
        )
    elif target.kind in _APPENDED and not flow.once:
        if not any(streams(pipeline, r) for r in flow.query.reads):
            once = flow.changes.first_load.format(target=target.name) if flow.changes else ""
            yield _no_changes(flow, once) if once else _no_stream(flow, target)
        yield from problems_of_state(flow.query, target, partial(streams, pipeline))
        yield from problems_of_succession(pipeline, flow, partial(streams, pipeline))


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


def _problems_of_read(pipeline: Pipeline, flow: Flow, read: Read) -> Iterator[QanatError]:
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
    elif found.kind is DatasetKind.MATERIALIZED_VIEW and read.streaming and not read.source.adds:
        yield FlowError(
            f"{found.name} is a materialized view and cannot be read as a stream: its rows are"
            " replaced, not appended",
            location=read.location,
            hint=f"read it without STREAM, or its changes: STREAM table_changes('{found.name}');"
            f" or make {found.name} a STREAMING TABLE",
        )
    elif found.kind is DatasetKind.STREAMING_TABLE:
        problem = problem_of_stream(pipeline, found, read)
        if problem is not None:
            yield problem
    elif found.kind is DatasetKind.TEMPORARY_VIEW:
        yield from _problems_of_view(pipeline, flow, read, found)


def _problems_of_view(
    pipeline: Pipeline, flow: Flow, read: Read, found: Dataset
) -> Iterator[QanatError]:
    if read.source.options:
        yield FlowError(
            f"temporary view {found.name} is not stored, and so has no commits",
            location=read.location,
            hint=f"say it where {found.name} reads a table",
        )
        return
    inside = streams(pipeline, read)
    if read.streaming and not inside:
        yield FlowError(
            f"temporary view {found.name} streams nothing",
            location=read.location,
            hint="read it without STREAM, or put STREAM before an input of the view",
        )
    # A flow that runs once takes all that is there, stream or not; of snapshots it is told before.
    elif inside and not (read.streaming or flow.once or _is_snapshot(flow)):
        yield FlowError(
            f"temporary view {found.name} is a stream and must be read as one",
            location=read.location,
            wanted=f"STREAM {found.name}",
        )


def _is_snapshot(flow: Flow) -> bool:
    return flow.changes is not None and flow.changes.whole


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


def _no_changes(flow: Flow, once: str) -> FlowError:
    reads = flow.query.reads
    dataset = reads[0].source.dataset if len(reads) == 1 else None
    return FlowError(
        f"nothing that flow {flow.name} reads is a stream, so that it has no changes to take",
        location=reads[0].location if reads else flow.query.location,
        wanted=f"STREAM {dataset}" if dataset else None,
        hint=f"put STREAM before the input that has the changes, or write {once} for a first load",
    )


def build_graph(
    pipeline: Pipeline,
    complete: bool = True,
    may_be_declared: Callable[[str], bool] = lambda name: False,
) -> tuple[Graph, tuple[QanatError, ...]]:
    """Order the datasets, and find every problem with how they fit together.

    Args:
        pipeline: the declarations.
        complete: False if some flows could not be parsed: a dataset without a flow is then not
            reported, since its flow may be one of those.
        may_be_declared: True for a name that a declaration may have which could not be parsed: it
            is then not reported that no dataset has it.

    Returns:
        The graph, and the problems in the order of the declarations.
    """
    problems: list[QanatError] = []
    edges: _Edges = {d.name: {} for d in pipeline.datasets}
    for flow in pipeline.flows:
        problems += _flow_edges(pipeline, flow, edges, may_be_declared)
    fed = Names(flow.target for flow in pipeline.flows)
    for dataset in pipeline.datasets:
        problems += problems_of_target(pipeline, dataset)
        for expectation in dataset.expectations:
            problems += _rule_edges(pipeline, dataset, expectation, edges, may_be_declared)
        if complete and dataset.name not in fed and dataset.kind is not DatasetKind.SINK:
            problems.append(_without_flow(dataset))
    fillers = _fillers(pipeline, edges)
    order, cycle = _sort({n: (*found, *fillers.get(n, ())) for n, found in edges.items()})
    if cycle:
        problems.append(_cycle(cycle, edges))
    reads = {name: tuple(targets) for name, targets in edges.items()}
    readers: dict[str, list[str]] = {name: [] for name in edges}
    for name, targets in reads.items():
        for target_name in targets:
            readers[target_name].append(name)
    graph = Graph(order, reads, {n: tuple(r) for n, r in readers.items()}, fillers)
    return graph, tuple(problems)


def _flow_edges(
    pipeline: Pipeline, flow: Flow, edges: _Edges, may_be_declared: Callable[[str], bool]
) -> Iterator[QanatError]:
    """Add what a flow's target reads through it; yields what is wrong with it."""
    target = pipeline.get(flow.target)
    if target is None and may_be_declared(flow.target):
        return
    if target is None:
        yield FlowError(
            f"flow {flow.name} feeds {flow.target!r}, which is not declared",
            location=flow.location,
            nearest=nearest(flow.target, [d.name for d in pipeline.datasets]),
            hint=f"declare it: CREATE STREAMING TABLE {flow.target};",
        )
        return
    known = True
    for read in flow.query.reads:
        name = read.source.dataset
        if name is None:
            continue
        found = resolve(pipeline, name)
        if found is None:
            known = False
            if not may_be_declared(name):
                yield _unknown_dataset(pipeline, name, read.location)
            continue
        known = known and not _unparsed(pipeline, read)
        if not _same(found, target, name):
            edges[target.name].setdefault(found.name, read.location)
    if known:
        yield from problems_of_flow(pipeline, flow, target)


def _unparsed(pipeline: Pipeline, read: Read) -> bool:
    """True if an input is a temporary view without a query, or one over such a view."""
    seen: set[str] = set()
    stack = [read]
    while stack:
        view = view_of(pipeline, stack.pop())
        if view is not None and view.name not in seen:
            seen.add(view.name)
            flow = next(pipeline.flows_into(view.name), None)
            if flow is None:
                return True
            stack.extend(flow.query.reads)
    return False


def _rule_edges(
    pipeline: Pipeline,
    dataset: Dataset,
    expectation: Expectation,
    edges: _Edges,
    may_be_declared: Callable[[str], bool],
) -> Iterator[QanatError]:
    """Add what a dataset reads through a rule; yields what is wrong with that."""
    rule = expectation.rule
    yield from problems_of_check(dataset, expectation)
    for name in rule.datasets:
        found = resolve(pipeline, name)
        if found is None:
            if not may_be_declared(name):
                yield _unknown_dataset(pipeline, name, expectation.location)
        elif found.kind in (DatasetKind.TEMPORARY_VIEW, DatasetKind.SINK):
            yield _not_stored(found, expectation.name, expectation.location)
        elif found is not dataset:
            edges[dataset.name].setdefault(found.name, expectation.location)


def _fillers(pipeline: Pipeline, edges: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """What must come before the readers of temporary views' quarantines: see `Graph.fillers`."""
    found: dict[str, tuple[str, ...]] = {}
    for flow in pipeline.flows:
        target = pipeline.get(flow.target)
        if target is None:
            continue
        for filler in (f for read in flow.query.reads for f in _filling(pipeline, read)):
            # Not what the reader itself feeds: it reads the rows of the last update there.
            if filler != target.name and target.name not in closure(filler, edges, found):
                found[target.name] = (*found.get(target.name, ()), filler)
    return found


def _filling(pipeline: Pipeline, read: Read) -> tuple[str, ...]:
    """The datasets that fill what is read, if that is a temporary view's quarantine."""
    name = read.source.dataset
    view = None if name is None else resolve(pipeline, name)
    if name is None or view is None or view.kind is not DatasetKind.TEMPORARY_VIEW:
        return ()
    return () if same(name, view.name) else writers(pipeline, name)


def _same(found: Dataset, target: Dataset, name: str) -> bool:
    """True if a dataset reads its own quarantine, which is allowed and no cycle."""
    return found is target and not same(name, found.name)


def _sort(edges: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], list[str]]:
    """The datasets in depth-first order from the first declared, and the first cycle found."""
    order: list[str] = []
    state: dict[str, int] = {}
    cycle: list[str] = []
    for start in edges:
        if start in state:
            continue
        state[start] = 1
        path: list[tuple[str, Iterator[str]]] = [(start, iter(edges[start]))]
        while path:
            name, rest = path[-1]
            step = next(rest, None)
            if step is None:
                path.pop()
                state[name] = 2
                order.append(name)
            elif step not in state:
                state[step] = 1
                path.append((step, iter(edges[step])))
            elif state[step] == 1 and not cycle:
                names = [n for n, _ in path]
                cycle = [*names[names.index(step) :], step]
    return tuple(order), cycle


def _cycle(cycle: list[str], edges: Mapping[str, Mapping[str, Location]]) -> CycleError:
    places = [f"{a} reads {b} ({edges[a][b]})" for a, b in pairwise(cycle)]
    return CycleError(
        "datasets read each other in a circle: " + " → ".join(cycle),
        location=edges[cycle[0]][cycle[1]],
        got="; ".join(places),
        hint="one of them must read something else",
    )


def _unknown_dataset(pipeline: Pipeline, name: str, where: Location) -> DatasetNotFoundError:
    return DatasetNotFoundError(
        f"no dataset {name!r}",
        location=where,
        nearest=nearest(name, [d.name for d in pipeline.datasets]),
    )


def _not_stored(found: Dataset, rule: str, where: Location) -> FlowError:
    return FlowError(
        f"expectation {rule} refers to {found.kind} {found.name}, which has no table",
        location=where,
        hint="make it a MATERIALIZED VIEW",
    )


def _without_flow(dataset: Dataset) -> FlowError:
    return FlowError(
        f"{dataset.kind} {dataset.name} has no query and no flow feeds it",
        location=dataset.location,
        hint=f"add AS SELECT …, or CREATE FLOW … AS INSERT INTO {dataset.name} BY NAME SELECT …,"
        f" or CREATE FLOW … AS AUTO CDC INTO {dataset.name} FROM STREAM …",
    )
