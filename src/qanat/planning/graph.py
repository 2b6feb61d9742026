"""The graph of datasets: which reads which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from fnmatch import fnmatchcase

from qanat.errors import SelectionError, nearest
from qanat.frozen import Frozen
from qanat.model.name import fold, same
from qanat.model.pipeline import QUARANTINE, Dataset, DatasetKind, Pipeline
from qanat.model.query import Read


class Graph(Frozen):
    """Datasets and what they read, by their declared names.

    Args:
        order: all datasets, each after everything that it reads; otherwise as declared.
        reads: by dataset, the datasets that it reads directly, temporary views included.
        readers: by dataset, the datasets that read it directly.
        fillers: by dataset that reads the quarantine of a temporary view, the datasets whose
            flows put rows there and must come first, as far as an order allows that.
    """

    order: tuple[str, ...]
    reads: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]
    fillers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def upstream(self, name: str) -> frozenset[str]:
        """All datasets that a dataset is computed from, directly or indirectly."""
        return closure(name, self.reads, self.fillers)

    def downstream(self, name: str) -> frozenset[str]:
        """All datasets that are computed from a dataset, directly or indirectly."""
        filled: dict[str, list[str]] = {}
        for reader, fillers in self.fillers.items():
            for each in fillers:
                filled.setdefault(each, []).append(reader)
        return closure(name, self.readers, filled)


def closure(name: str, *edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """All names that can be reached from one."""
    found: set[str] = set()
    stack = [name]
    some = [e for e in edges if e]
    while stack:
        node = stack.pop()
        for each in some:
            for other in each.get(node, ()):
                if other not in found:
                    found.add(other)
                    stack.append(other)
    return frozenset(found)


def resolve(pipeline: Pipeline, name: str) -> Dataset | None:
    """The dataset that a name stands for; `x__quarantine` stands for x. None if there is none."""
    found = pipeline.get(name)
    if found is None and fold(name).endswith(QUARANTINE):
        found = pipeline.get(name[: -len(QUARANTINE)])
    return found


def writers(pipeline: Pipeline, table: str) -> tuple[str, ...]:
    """The datasets whose flows put rows into a table that a query names.

    That is the dataset itself; but rows that break a rule of a temporary view are put into its
    quarantine by whatever reads the view, also through other views.
    """
    found = resolve(pipeline, table)
    if found is None:
        return ()
    if found.kind is not DatasetKind.TEMPORARY_VIEW or same(found.name, table):
        return (found.name,)
    filling: dict[str, None] = {}
    views = [found.name]
    for view in views:
        for flow in pipeline.flows:
            if any(same(r.source.dataset or "", view) for r in flow.query.reads):
                target = pipeline.get(flow.target)
                if target is None:
                    continue
                if target.kind is not DatasetKind.TEMPORARY_VIEW:
                    filling[target.name] = None
                elif target.name not in views:
                    views.append(target.name)
    return tuple(filling)


def view_of(pipeline: Pipeline, read: Read) -> Dataset | None:
    """The temporary view that an input reads; None if it reads something else."""
    name = read.source.dataset
    found = None if name is None else pipeline.get(name)
    return found if found and found.kind is DatasetKind.TEMPORARY_VIEW else None


def select(graph: Graph, pipeline: Pipeline, patterns: Iterable[str]) -> tuple[str, ...]:
    """The selected datasets, in the graph's order.

    Args:
        graph: the order, and what is upstream and downstream.
        pipeline: the declarations, for the nearest name.
        patterns: names or globs, also several between commas; `+name` adds everything upstream,
            `name+` everything downstream.

    Raises:
        SelectionError: a pattern matches nothing; names the nearest dataset.
    """
    chosen: set[str] = set()
    for pattern in _apart(pipeline, patterns):
        bare = fold(pattern.removeprefix("+").removesuffix("+"))
        matched = [n for n in graph.order if fnmatchcase(fold(n), bare)]
        if not matched:
            names = [d.name for d in pipeline.datasets]
            raise SelectionError(
                f"no dataset matches {pattern!r}",
                wanted=", ".join(names) if len(names) <= 10 else None,
                nearest=nearest(bare, names),
            )
        for name in matched:
            chosen.add(name)
            if pattern.startswith("+"):
                chosen |= graph.upstream(name)
            if pattern.endswith("+"):
                chosen |= graph.downstream(name)
    return tuple(n for n in graph.order if n in chosen)


def _apart(pipeline: Pipeline, patterns: Iterable[str]) -> Iterator[str]:
    """Patterns one by one: Spark's command line has commas between them."""
    for pattern in patterns:
        if pipeline.get(pattern) is not None:
            yield pattern
        else:
            yield from (p.strip() for p in pattern.split(",") if p.strip() or pattern == p)
