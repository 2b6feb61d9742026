"""Everything that can be known of a project from its files alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from qanat import plugins
from qanat.declare.captured import Captured
from qanat.declare.library import load_pipeline
from qanat.dialect import check_to_engine, has_function, to_engine, unsupported
from qanat.errors import CycleError, QanatError
from qanat.frozen import Frozen
from qanat.model.expectation import Expectation
from qanat.model.function import taken
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline, ProjectSpec
from qanat.model.query import Query, Read, SqlQuery
from qanat.model.stateful import Stateful
from qanat.planning.eventtime import without_windows
from qanat.planning.fingerprint import by_the_clock, definition, volatile
from qanat.planning.graph import Graph, view_of
from qanat.planning.order import build_graph
from qanat.run.changing import compile_changes, problems_of_expressions, rules_of_changes
from qanat.run.memo import Analysis, CompiledFlow, CompiledView
from qanat.run.operators import operators_of, with_results


class Analysed(Frozen):
    """An analysis, and everything that is wrong with the declarations.

    With problems the analysis has only the flows that nothing is wrong with.
    """

    analysis: Analysis
    problems: tuple[QanatError, ...]


def analyse(
    project: ProjectSpec, dialect: str, ran: Mapping[Path, Captured] | None = None
) -> Analysed:
    """Declare, order, compile and fingerprint a project.

    Args:
        dialect: of the engine.
        ran: Python files that have been run already.
    """
    declared = load_pipeline(project, plugins.connectors(), plugins.formats(), ran)
    operators, wrong = operators_of(declared.pipeline, dialect)
    pipeline = with_results(declared.pipeline, operators)
    graph, misfits = build_graph(pipeline, not declared.problems, declared.may_declare)
    problems = (*declared.problems, *misfits, *_problems(pipeline, dialect))
    if problems:
        sound = _sound(pipeline, problems, dialect, operators, wrong)
        return Analysed(Analysis(pipeline, graph, sound, {}, {}, (), {}), problems)
    return Analysed(compiled(pipeline, graph, dialect, operators), ())


def compiled(
    pipeline: Pipeline, graph: Graph, dialect: str, operators: Mapping[str, Stateful]
) -> Analysis:
    """What is known of declarations that nothing is wrong with.

    Args:
        operators: see `operators_of`.

    Raises:
        UnsupportedError: a construct does not mean the same in the engine's dialect.
    """
    targets = {d.name for d in pipeline.datasets if d.kind is not DatasetKind.TEMPORARY_VIEW}
    flows = {
        f.name: compile_flow(pipeline, f, dialect, operators.get(f.name)) for f in pipeline.flows
    }
    rules = {d.name: rules_of(d, dialect, pipeline.own) for d in pipeline.datasets}
    clocked = {n: tuple(e for e in some if by_the_clock(e.rule)) for n, some in rules.items()}
    return Analysis(
        pipeline,
        graph,
        flows,
        rules,
        {n: definition(pipeline, pipeline.dataset(n), operators) for n in sorted(targets)},
        tuple(name for name, flow in flows.items() if _volatile(pipeline, flow)),
        {n: some for n, some in clocked.items() if some},
    )


def _sound(
    pipeline: Pipeline,
    problems: tuple[QanatError, ...],
    dialect: str,
    operators: Mapping[str, Stateful],
    wrong: frozenset[str],
) -> dict[str, CompiledFlow]:
    """The flows that can be compiled although something in the project is wrong.

    Args:
        wrong: names of those whose queries are.
    """
    # Gathering views that read each other in a circle would never end.
    if any(isinstance(p, CycleError) for p in problems):
        return {}
    sound: dict[str, CompiledFlow] = {}
    for flow in pipeline.flows:
        known = pipeline.get(flow.target) is not None and _fed(pipeline, flow)
        if not known or flow.name in wrong:
            continue
        # Its error is among the problems already.
        with suppress(QanatError):
            sound[flow.name] = compile_flow(pipeline, flow, dialect, operators.get(flow.name))
    return sound


def _fed(pipeline: Pipeline, flow: Flow) -> bool:
    """True if each temporary view that a flow reads has a query."""
    views = [v for r in flow.query.reads if (v := view_of(pipeline, r)) is not None]
    flows = [next(pipeline.flows_into(v.name), None) for v in views]
    return all(f is not None and _fed(pipeline, f) for f in flows)


def compile_flow(
    pipeline: Pipeline, flow: Flow, dialect: str, operator: Stateful | None = None
) -> CompiledFlow:
    """Transpile a flow and gather the temporary views below it.

    Args:
        operator: what its query keeps from epoch to epoch.

    Raises:
        UnsupportedError: a construct does not mean the same in the engine's dialect.
    """
    dataset = pipeline.dataset(flow.target)
    views: dict[str, CompiledView] = {}
    reads: list[Read] = []
    view_reads: list[tuple[str, str]] = []

    def gather(query: Query) -> None:
        for read in query.reads:
            view = view_of(pipeline, read)
            if view is None:
                reads.append(read)
                continue
            view_reads.append((read.name, view.name))
            if view.name in views:
                continue
            own = next(pipeline.flows_into(view.name)).query
            gather(own)
            rules = rules_of(view, dialect, pipeline.own)
            views[view.name] = CompiledView(view, _query(own, dialect, pipeline.own), rules)

    gather(flow.query)
    return CompiledFlow(
        flow,
        dataset,
        _query(flow.query, dialect, pipeline.own, operator),
        (
            *rules_of(dataset, dialect, pipeline.own),
            *rules_of_changes(flow, dataset.partition_by, dialect, pipeline.own),
        ),
        tuple(views.values()),
        # The only epoch of a flow that runs once takes all that is there.
        tuple(_unlimited(r) for r in reads) if flow.once else tuple(reads),
        tuple(view_reads),
        changes=compile_changes(flow, dialect, pipeline.own),
        stateful=operator,
    )


def _unlimited(read: Read) -> Read:
    source = read.source
    options = plugins.connector(source.connector).options.unlimited(source.options)
    return replace(read, source=replace(source, options=options))


def _problems(pipeline: Pipeline, dialect: str) -> Iterator[QanatError]:
    """What the engine's dialect cannot carry, in all queries and rules."""
    for function in pipeline.functions:
        if has_function(function.name, pipeline.project.dialect):
            yield taken(function)
    for flow in pipeline.flows:
        if isinstance(flow.query, SqlQuery):
            yield from unsupported(flow.query, dialect, pipeline.own)
        yield from problems_of_expressions(flow, dialect, pipeline.own)
    for dataset in pipeline.datasets:
        for expectation in dataset.expectations:
            try:
                check_to_engine(expectation, dialect, pipeline.own)
            except QanatError as error:
                yield error


def _volatile(pipeline: Pipeline, compiled: CompiledFlow) -> bool:
    views = [f for v in compiled.views for f in pipeline.flows_into(v.dataset.name)]
    return any(volatile(f.query) for f in (compiled.flow, *views))


def _query(
    query: Query, dialect: str, own: frozenset[str], operator: Stateful | None = None
) -> Query:
    """A query as the engine runs it; what an operator with a state computes, it finds itself."""
    if not isinstance(query, SqlQuery):
        return query
    translated = to_engine(query, dialect, own)
    return without_windows(translated) if operator is None else translated


def rules_of(dataset: Dataset, dialect: str, own: frozenset[str]) -> tuple[Expectation, ...]:
    """A dataset's expectations with their conditions in the engine's dialect."""
    return tuple(check_to_engine(e, dialect, own) for e in dataset.expectations)
