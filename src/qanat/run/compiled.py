"""Flows in the engine's dialect, with everything that they need to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qanat.model.dataset import Dataset
from qanat.model.expectation import Expectation, References
from qanat.model.flow import Flow
from qanat.model.pipeline import Pipeline
from qanat.model.query import Computation, Query, Read
from qanat.planning.graph import Graph


@dataclass(frozen=True, slots=True)
class CompiledView:
    """A temporary view that a flow reads."""

    dataset: Dataset
    query: Query
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    """A flow ready to run.

    Args:
        views: the temporary views it reads, also through one another, in order.
        reads: what it reads outside itself: its own inputs and those of its views.
        view_reads: by `Read.name`, the temporary view it stands for.
        readmits: whether its rows come out of the target's quarantine, and leave it if they pass.
    """

    flow: Flow
    dataset: Dataset
    query: Computation
    expectations: tuple[Expectation, ...]
    views: tuple[CompiledView, ...]
    reads: tuple[Read, ...]
    view_reads: tuple[tuple[str, str], ...]
    readmits: bool = False

    @property
    def references(self) -> tuple[str, ...]:
        """The datasets that its rules refer to."""
        rules = [*self.expectations, *(e for v in self.views for e in v.expectations)]
        names = (e.rule.dataset for e in rules if isinstance(e.rule, References))
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that can be known of a project from its files alone.

    Args:
        flows: by flow name.
        rules: by dataset name, its expectations in the engine's dialect.
        definitions: by dataset name, its fingerprint and canonical text.
        volatile: names of flows whose queries (or whose views') depend on time or chance.
    """

    pipeline: Pipeline
    graph: Graph
    flows: Mapping[str, CompiledFlow]
    rules: Mapping[str, tuple[Expectation, ...]]
    definitions: Mapping[str, tuple[str, str]]
    volatile: tuple[str, ...]

    def flows_into(self, dataset: str) -> list[CompiledFlow]:
        """The compiled flows that feed a dataset, as declared."""
        return [self.flows[f.name] for f in self.pipeline.flows_into(dataset)]
