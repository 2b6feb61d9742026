"""Flows in the engine's dialect, with everything that they need to run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from qanat.dialect import predicate, to_engine, unsupported
from qanat.errors import QanatError
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.expectation import Expectation, Predicate, References
from qanat.model.flow import Flow
from qanat.model.pipeline import Pipeline
from qanat.model.query import DatasetRead, Query, Read, SqlQuery
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
    """

    flow: Flow
    dataset: Dataset
    query: Query
    expectations: tuple[Expectation, ...]
    views: tuple[CompiledView, ...]
    reads: tuple[Read, ...]
    view_reads: tuple[tuple[str, str], ...]

    @property
    def references(self) -> tuple[str, ...]:
        """The datasets that its rules refer to."""
        rules = [*self.expectations, *(e for v in self.views for e in v.expectations)]
        names = (e.rule.dataset for e in rules if isinstance(e.rule, References))
        return tuple(dict.fromkeys(names))


def compile_flow(pipeline: Pipeline, flow: Flow, dialect: str) -> CompiledFlow:
    """Transpile a flow and gather the temporary views below it.

    Raises:
        UnsupportedError: a construct does not mean the same in the engine's dialect.
    """
    dataset = pipeline.dataset(flow.target)
    views: dict[str, CompiledView] = {}
    reads: list[Read] = []
    view_reads: list[tuple[str, str]] = []

    def gather(query: Query) -> None:
        for read in query.reads:
            view = _view(pipeline, read)
            if view is None:
                reads.append(read)
                continue
            view_reads.append((read.name, view.name))
            if view.name in views:
                continue
            own = next(pipeline.flows_into(view.name)).query
            gather(own)
            views[view.name] = CompiledView(view, _query(own, dialect), rules_of(view, dialect))

    gather(flow.query)
    return CompiledFlow(
        flow,
        dataset,
        _query(flow.query, dialect),
        rules_of(dataset, dialect),
        tuple(views.values()),
        tuple(reads),
        tuple(view_reads),
    )


def problems_of(pipeline: Pipeline, graph: Graph, dialect: str) -> Iterator[QanatError]:
    """What the engine's dialect cannot carry, in all queries."""
    for flow in pipeline.flows:
        if isinstance(flow.query, SqlQuery):
            yield from unsupported(flow.query, dialect)
    for dataset in pipeline.datasets:
        for expectation in dataset.expectations:
            if isinstance(expectation.rule, Predicate):
                try:
                    predicate(expectation.rule, dialect, expectation.location)
                except QanatError as error:
                    yield error


def _view(pipeline: Pipeline, read: Read) -> Dataset | None:
    if not isinstance(read.source, DatasetRead):
        return None
    found = pipeline.get(read.source.dataset)
    return found if found and found.kind is DatasetKind.TEMPORARY_VIEW else None


def _query(query: Query, dialect: str) -> Query:
    return to_engine(query, dialect) if isinstance(query, SqlQuery) else query


def rules_of(dataset: Dataset, dialect: str) -> tuple[Expectation, ...]:
    """A dataset's expectations with their predicates in the engine's dialect."""
    return tuple(
        replace(e, rule=Predicate(predicate(e.rule, dialect, e.location), dialect))
        if isinstance(e.rule, Predicate)
        else e
        for e in dataset.expectations
    )
