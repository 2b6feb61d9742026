"""Datasets and what they read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from qanat.errors import SelectionError, nearest
from qanat.model.dataset import QUARANTINE, Dataset, DatasetKind
from qanat.model.pipeline import Pipeline
from qanat.model.query import Read


@dataclass(frozen=True, slots=True)
class Graph:
    """Datasets and what they read, by the names they are declared under.

    Args:
        order: every dataset after all that it reads; otherwise as declared.
        reads: by dataset, the datasets it reads directly, temporary views included.
        readers: the other way round.
    """

    order: tuple[str, ...]
    reads: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]

    def upstream(self, name: str) -> frozenset[str]:
        """Everything a dataset is computed from, at any distance."""
        return _closure(name, self.reads)

    def downstream(self, name: str) -> frozenset[str]:
        """Everything computed from a dataset, at any distance."""
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
    """The dataset that a name reads; `x__quarantine` reads the quarantine of x."""
    found = pipeline.get(name)
    if found is None and name.casefold().endswith(QUARANTINE):
        found = pipeline.get(name[: -len(QUARANTINE)])
    return found


def view_of(pipeline: Pipeline, read: Read) -> Dataset | None:
    """The temporary view that is read; None if something else is."""
    name = read.source.dataset
    found = None if name is None else pipeline.get(name)
    return found if found and found.kind is DatasetKind.TEMPORARY_VIEW else None


def select(graph: Graph, pipeline: Pipeline, patterns: Iterable[str]) -> tuple[str, ...]:
    """Datasets by name or glob, in order; `+name` with all upstream, `name+` downstream.

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
