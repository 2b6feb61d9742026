"""The graph of datasets: which reads which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from qanat.errors import SelectionError, nearest
from qanat.model.pipeline import QUARANTINE, Dataset, DatasetKind, Pipeline
from qanat.model.query import Read


@dataclass(frozen=True, slots=True)
class Graph:
    """Datasets and what they read, by their declared names.

    Args:
        order: all datasets, each after everything that it reads; otherwise as declared.
        reads: by dataset, the datasets that it reads directly, temporary views included.
        readers: by dataset, the datasets that read it directly.
    """

    order: tuple[str, ...]
    reads: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]

    def upstream(self, name: str) -> frozenset[str]:
        """All datasets that a dataset is computed from, directly or indirectly."""
        return _closure(name, self.reads)

    def downstream(self, name: str) -> frozenset[str]:
        """All datasets that are computed from a dataset, directly or indirectly."""
        return _closure(name, self.readers)


def _closure(name: str, edges: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    found: set[str] = set()
    stack = list(edges.get(name, ()))
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(edges.get(node, ()))
    return frozenset(found)


def resolve(pipeline: Pipeline, name: str) -> Dataset | None:
    """The dataset that a name stands for; `x__quarantine` stands for x. None if there is none."""
    found = pipeline.get(name)
    if found is None and name.casefold().endswith(QUARANTINE):
        found = pipeline.get(name[: -len(QUARANTINE)])
    return found


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
        patterns: names or globs; `+name` adds everything upstream, `name+` everything downstream.

    Raises:
        SelectionError: a pattern matches nothing; names the nearest dataset.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        bare = pattern.removeprefix("+").removesuffix("+").casefold()
        matched = [n for n in graph.order if fnmatchcase(n.casefold(), bare)]
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
