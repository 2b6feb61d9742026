"""The order in which datasets are computed, and the problems that make it impossible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from qanat.errors import CycleError, DatasetNotFoundError, FlowError, QanatError, nearest
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.expectation import Expectation, References, Unique
from qanat.model.location import Location
from qanat.model.pipeline import Pipeline
from qanat.model.query import Read
from qanat.planning.graph import Graph, closure, resolve, writers
from qanat.planning.meaning import problems_of_flow


def build_graph(pipeline: Pipeline, complete: bool = True) -> tuple[Graph, tuple[QanatError, ...]]:
    """Order the datasets, and find every problem with how they fit together.

    Args:
        pipeline: the declarations.
        complete: False if some flows could not be parsed: a dataset without a flow is then not
            reported, since its flow may be one of those.

    Returns:
        The graph, and the problems in the order of the declarations.
    """
    problems: list[QanatError] = []
    edges: dict[str, dict[str, Location]] = {d.name: {} for d in pipeline.datasets}
    fed: set[str] = set()
    for flow in pipeline.flows:
        target = pipeline.get(flow.target)
        if target is None:
            names = [d.name for d in pipeline.datasets]
            problems.append(
                FlowError(
                    f"flow {flow.name} feeds {flow.target!r}, which is not declared",
                    location=flow.location,
                    nearest=nearest(flow.target, names),
                    hint=f"declare it: CREATE STREAMING TABLE {flow.target};",
                )
            )
            continue
        fed.add(target.name)
        known = True
        for read in flow.query.reads:
            name = read.source.dataset
            if name is None:
                continue
            found = resolve(pipeline, name)
            if found is None:
                known = False
                problems.append(_unknown_dataset(pipeline, name, read.location))
            elif not _same(found, target, name):
                edges[target.name].setdefault(found.name, read.location)
        if known:
            problems.extend(problems_of_flow(pipeline, flow, target))
    for dataset in pipeline.datasets:
        for expectation in dataset.expectations:
            if dataset.kind is DatasetKind.SINK and isinstance(expectation.rule, Unique):
                problems.append(_unique_on_sink(dataset, expectation))
            if not isinstance(expectation.rule, References):
                continue
            found = resolve(pipeline, expectation.rule.dataset)
            if found is None:
                where = expectation.location
                problems.append(_unknown_dataset(pipeline, expectation.rule.dataset, where))
            elif found.kind in (DatasetKind.TEMPORARY_VIEW, DatasetKind.SINK):
                problems.append(_not_stored(found, expectation.name, expectation.location))
            elif found is not dataset:
                edges[dataset.name].setdefault(found.name, expectation.location)
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


def _fillers(pipeline: Pipeline, edges: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """What must come before the readers of temporary views' quarantines: see `Graph.fillers`."""
    found: dict[str, tuple[str, ...]] = {}
    for flow in pipeline.flows:
        target = pipeline.get(flow.target)
        if target is None:
            continue
        for filler in (f for read in flow.query.reads for f in _filling(pipeline, read)):
            # What the reader feeds, or is itself, comes first: its rows of the last update count.
            if filler != target.name and target.name not in closure(filler, edges, found):
                found[target.name] = (*found.get(target.name, ()), filler)
    return found


def _filling(pipeline: Pipeline, read: Read) -> tuple[str, ...]:
    """The datasets that fill what is read, if that is a temporary view's quarantine."""
    name = read.source.dataset
    view = None if name is None else resolve(pipeline, name)
    if name is None or view is None or view.kind is not DatasetKind.TEMPORARY_VIEW:
        return ()
    return () if name.casefold() == view.name.casefold() else writers(pipeline, name)


def _same(found: Dataset, target: Dataset, name: str) -> bool:
    """True if a dataset reads its own quarantine, which is allowed and no cycle."""
    return found is target and name.casefold() != found.name.casefold()


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


def _unique_on_sink(sink: Dataset, expectation: Expectation) -> FlowError:
    return FlowError(
        f"expectation {expectation.name}: sink {sink.name} does not know what it has sent",
        location=expectation.location,
        got=str(expectation.rule),
        hint="put the rule on a streaming table and let the sink read that",
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
        hint=f"add AS SELECT …, or CREATE FLOW … AS INSERT INTO {dataset.name} BY NAME SELECT …",
    )
