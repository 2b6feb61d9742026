"""What tables are made from: datasets, files, tables of others, in one tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from qanat.errors import DatasetNotFoundError, nearest
from qanat.model.dataset import Dataset
from qanat.model.expectation import References
from qanat.model.pipeline import Pipeline
from qanat.model.query import FunctionQuery
from qanat.model.source import SourceRef
from qanat.planning.graph import Graph, resolve

FUNCTION = "python function"
QUARANTINE = "quarantine"
REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A dataset, source or column with what it comes from.

    Args:
        name: `table` or `table.column`; of files their path (and the column behind a dot).
        kind: `streaming table`, …, `files`, `delta table`, `python function`, `quarantine`,
            `column`, `files column`, `delta table column`, or `unknown`.
        upstream: what it is computed from.
        expression: of a column, in SQL, where it is more than a copy.
        via: how the node above it uses it: `references` for a rule that only compares with
            it, empty where its rows or values are taken.
    """

    name: str
    kind: str
    upstream: tuple[LineageNode, ...] = ()
    expression: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The answer of `qanat lineage`: trees, and the same as nodes and edges.

    Args:
        nodes: kinds by name, each after what it comes from.
        edges: (from, to): `to` is computed from `from`.
        references: those of the edges that are only rules.
    """

    roots: tuple[LineageNode, ...]
    nodes: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()
    references: frozenset[tuple[str, str]] = frozenset()


def table_lineage(pipeline: Pipeline, graph: Graph, target: str | None = None) -> Lineage:
    """What a dataset is made from; without one: every dataset that nothing else reads.

    Raises:
        DatasetNotFoundError: nobody declares the dataset; names the nearest.
    """
    made: dict[str, LineageNode] = {}
    if target is None:
        wanted = set(graph.order)
    else:
        start = dataset_of(pipeline, target).name
        wanted = {start, *graph.upstream(start)}
    for name in graph.order:
        # Each comes after all that it reads, so that no pipeline is too long for recursion.
        if name in wanted:
            dataset = pipeline.dataset(name)
            upstream = tuple(_inputs(pipeline, dataset, made))
            made[name] = LineageNode(name, str(dataset.kind), upstream)
    if target is None:
        # Only a circle leaves nothing that is read by nothing.
        roots = [n for n in graph.order if not graph.readers.get(n)] or list(graph.order)
        return as_graph(tuple(made[n] for n in roots))
    root = made[start]
    if target.casefold() != start.casefold():
        root = _quarantine(pipeline.dataset(start), root)
    return as_graph((root,))


def dataset_of(pipeline: Pipeline, name: str) -> Dataset:
    """The dataset of a name, or of the name of its quarantine.

    Raises:
        DatasetNotFoundError: nobody declares it; names the nearest.
    """
    found = resolve(pipeline, name)
    if found is None:
        names = [d.name for d in pipeline.datasets]
        known = [*names, *(d.quarantine for d in pipeline.datasets)]
        raise DatasetNotFoundError(
            f"no dataset {name!r}",
            wanted=", ".join(names) if 0 < len(names) <= 10 else None,
            nearest=nearest(name, known),
        )
    return found


def source_node(source: SourceRef) -> LineageNode:
    """A source outside the project."""
    return LineageNode(source.label, source.kind)


def as_graph(roots: tuple[LineageNode, ...]) -> Lineage:
    """The same trees with their nodes and edges, each once, however often it is shared."""
    nodes: dict[str, str] = {}
    edges: dict[tuple[str, str], bool] = {}
    seen: set[tuple[str, str]] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            nodes.setdefault(node.name, node.kind)
            continue
        if (node.name, node.kind) in seen:
            continue
        seen.add((node.name, node.kind))
        stack.append((node, True))
        for parent in node.upstream:
            edge = (parent.name, node.name)
            edges[edge] = edges.get(edge, True) and parent.via == REFERENCES
        stack.extend((parent, False) for parent in reversed(node.upstream))
    return Lineage(roots, nodes, tuple(edges), frozenset(e for e, rule in edges.items() if rule))


def _inputs(
    pipeline: Pipeline, dataset: Dataset, made: Mapping[str, LineageNode]
) -> Iterator[LineageNode]:
    """What a dataset is made from directly, then what its rules refer to."""
    seen: set[str] = set()
    for flow in pipeline.flows_into(dataset.name):
        nodes = (_read(pipeline, dataset, r.source, made) for r in flow.query.reads)
        fresh = {n.name: n for n in nodes if n.name not in seen}
        if isinstance(flow.query, FunctionQuery):
            yield LineageNode(f"{flow.name}()", FUNCTION, tuple(fresh.values()))
        else:
            yield from fresh.values()
            seen |= fresh.keys()
    for expectation in dataset.expectations:
        if isinstance(expectation.rule, References):
            other = resolve(pipeline, expectation.rule.dataset)
            if other is None or other is dataset or other.name in seen:
                continue
            seen.add(other.name)
            node = made.get(other.name, LineageNode(other.name, str(other.kind)))
            yield replace(node, via=REFERENCES)


def _read(
    pipeline: Pipeline, reader: Dataset, source: SourceRef, made: Mapping[str, LineageNode]
) -> LineageNode:
    name = source.dataset
    if name is None:
        return source_node(source)
    found = resolve(pipeline, name)
    if found is None:
        return LineageNode(name, "unknown")
    # A circle ends where it closes.
    node = made.get(found.name, LineageNode(found.name, str(found.kind)))
    if name.casefold() == found.name.casefold():
        return node
    return _quarantine(found, node if found is not reader else None)


def _quarantine(dataset: Dataset, node: LineageNode | None) -> LineageNode:
    return LineageNode(dataset.quarantine, QUARANTINE, (node,) if node else ())
