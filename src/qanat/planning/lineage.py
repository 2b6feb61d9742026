"""Table lineage: the datasets, files and foreign tables that a dataset is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace

from qanat.errors import DatasetNotFoundError, nearest
from qanat.frozen import Frozen
from qanat.model.name import same
from qanat.model.pipeline import Dataset, Pipeline
from qanat.model.query import FunctionQuery, SourceRef
from qanat.planning.graph import Graph, resolve

FUNCTION = "python function"
QUARANTINE = "quarantine"
REFERENCES = "references"


class LineageNode(Frozen):
    """A dataset, source or column, with what it is computed from.

    Args:
        name: `table` or `table.column`; for files their path, or `column in path`.
        kind: `streaming table`, …, `files`, `delta table`, `python function`, `quarantine`,
            `column`, `files column`, `delta table column`, or `unknown`.
        upstream: what it is computed from.
        expression: a column's SQL expression if it is more than a copy, else empty.
        via: how the reader uses it: `references` for a rule that only compares with it, empty
            if the reader takes its rows or values.
        environment: the one whose table it is, if it is another than the project's.
        project: the name of the project that it is of, if that is another one.
        version: the newest of the table, where the project reads that of another one.
    """

    name: str
    kind: str
    upstream: tuple[LineageNode, ...] = ()
    expression: str = ""
    via: str = ""
    environment: str = ""
    project: str = ""
    version: int | None = None


class Lineage(Frozen):
    """The answer of `qanat lineage`: trees, and the same graph as nodes and edges.

    Args:
        roots: one tree for each dataset or column asked for.
        nodes: every node's kind by its name, each after what it is computed from.
        edges: pairs (from, to): `to` is computed from `from`.
        references: the edges that exist only because a rule compares with the table.
        environments: by node, the environment whose table it is, if it is another one's.
        projects: by node, the name of the project that it is of, if it is another one's.
        versions: by node, the newest version of a table of another project.
    """

    roots: tuple[LineageNode, ...]
    nodes: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()
    references: frozenset[tuple[str, str]] = frozenset()
    environments: Mapping[str, str] = field(default_factory=dict)
    projects: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)


class Abroad(Frozen):
    """How lineage goes on in other projects; each answers None for a source that is of none.

    Args:
        table: the node of a source, with all that it is made from there.
        column: the same of one of its columns.
        columns: the names of its columns.
    """

    table: Callable[[SourceRef], LineageNode | None]
    column: Callable[[SourceRef, str], LineageNode | None]
    columns: Callable[[SourceRef], tuple[str, ...] | None]


HERE = Abroad(lambda _: None, lambda _, __: None, lambda _: None)
"""Lineage that ends where the project does."""


def table_lineage(
    pipeline: Pipeline,
    graph: Graph,
    target: str | None = None,
    environment_of: Callable[[str], str] = lambda _: "",
    abroad: Abroad = HERE,
) -> Lineage:
    """The lineage of a dataset, or of every dataset that no other reads.

    Args:
        pipeline: the declarations.
        graph: the order of the pipeline's datasets.
        target: a dataset or its quarantine; None for every dataset that no other reads.
        environment_of: the environment whose table a dataset is read from; empty for its own.
        abroad: how it goes on in other projects.

    Raises:
        DatasetNotFoundError: no file declares the dataset; names the nearest.
    """
    made: dict[str, LineageNode] = {}
    if target is None:
        wanted = set(graph.order)
    else:
        start = dataset_of(pipeline, target).name
        wanted = {start, *graph.upstream(start)}
    for name in graph.order:
        # The inputs of a dataset come before it, so the loop needs no recursion.
        if name in wanted:
            dataset = pipeline.dataset(name)
            upstream = tuple(_inputs(pipeline, dataset, made, abroad))
            environment = environment_of(name)
            made[name] = LineageNode(name, str(dataset.kind), upstream, environment=environment)
    if target is None:
        # Every dataset is read only in a cycle; then all of them are roots.
        roots = [n for n in graph.order if not graph.readers.get(n)] or list(graph.order)
        return as_graph(tuple(made[n] for n in roots))
    root = made[start]
    if not same(target, start):
        root = _quarantine(pipeline.dataset(start), root)
    return as_graph((root,))


def dataset_of(pipeline: Pipeline, name: str) -> Dataset:
    """The dataset with a name, or whose quarantine has that name.

    Raises:
        DatasetNotFoundError: no file declares it; names the nearest.
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
    """The node of a source outside the project."""
    return LineageNode(source.label, source.noun)


def as_graph(roots: tuple[LineageNode, ...]) -> Lineage:
    """Trees as a graph; a node or edge that occurs in several trees is listed once."""
    nodes: dict[str, str] = {}
    edges: dict[tuple[str, str], bool] = {}
    environments: dict[str, str] = {}
    projects: dict[str, str] = {}
    versions: dict[str, int] = {}
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
        if node.environment:
            environments[node.name] = node.environment
        if node.project:
            projects[node.name] = node.project
        if node.version is not None:
            versions[node.name] = node.version
        for parent in node.upstream:
            edge = (parent.name, node.name)
            edges[edge] = edges.get(edge, True) and parent.via == REFERENCES
        stack.extend((parent, False) for parent in reversed(node.upstream))
    references = frozenset(e for e, rule in edges.items() if rule)
    return Lineage(roots, nodes, tuple(edges), references, environments, projects, versions)


def _inputs(
    pipeline: Pipeline, dataset: Dataset, made: Mapping[str, LineageNode], abroad: Abroad
) -> Iterator[LineageNode]:
    """The nodes that a dataset is made from directly, then those that its rules refer to."""
    seen: set[str] = set()
    for flow in pipeline.flows_into(dataset.name):
        nodes = (_read(pipeline, dataset, r.source, made, abroad) for r in flow.query.reads)
        fresh = {n.name: n for n in nodes if n.name not in seen}
        if isinstance(flow.query, FunctionQuery):
            yield LineageNode(f"{flow.name}()", FUNCTION, tuple(fresh.values()))
        else:
            yield from fresh.values()
            seen |= fresh.keys()
    for expectation in dataset.expectations:
        for name in expectation.rule.datasets:
            other = resolve(pipeline, name)
            if other is None or other is dataset or other.name in seen:
                continue
            seen.add(other.name)
            node = made.get(other.name, LineageNode(other.name, str(other.kind)))
            yield replace(node, via=REFERENCES)


def _read(
    pipeline: Pipeline,
    reader: Dataset,
    source: SourceRef,
    made: Mapping[str, LineageNode],
    abroad: Abroad,
) -> LineageNode:
    name = source.dataset
    if name is None:
        return abroad.table(source) or source_node(source)
    found = resolve(pipeline, name)
    if found is None:
        return LineageNode(name, "unknown")
    # In a cycle the node is not built yet: name it without its own inputs.
    node = made.get(found.name, LineageNode(found.name, str(found.kind)))
    if same(name, found.name):
        return node
    return _quarantine(found, node if found is not reader else None)


def _quarantine(dataset: Dataset, node: LineageNode | None) -> LineageNode:
    return LineageNode(dataset.quarantine, QUARANTINE, (node,) if node else ())
