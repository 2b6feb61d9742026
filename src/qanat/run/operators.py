"""The operators with a state in a project's queries, and what that makes of its flows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qanat.dialect import to_engine
from qanat.errors import QanatError
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline
from qanat.model.query import SqlQuery
from qanat.model.results import Results
from qanat.model.stateful import Stateful
from qanat.planning.eventtime import stateful_of
from qanat.planning.order import streams
from qanat.planning.states import mode_of

_KINDS = (DatasetKind.STREAMING_TABLE, DatasetKind.SINK)


def operators_of(pipeline: Pipeline, dialect: str) -> tuple[dict[str, Stateful], frozenset[str]]:
    """By flow, the operator of its query that keeps rows from epoch to epoch, where it has one.

    Args:
        dialect: of the engine, in which the operators are.

    Returns:
        The operators, and the names of flows of which it cannot be told: what is wrong with
        their queries, `qanat.planning.order` says as an error, and no engine can say better.
    """
    found: dict[str, Stateful] = {}
    wrong: set[str] = set()
    for flow in pipeline.flows:
        target = pipeline.get(flow.target)
        if target is None or target.kind not in _KINDS or flow.once:
            continue
        try:
            operator = _operator(pipeline, flow, target, dialect)
        except QanatError:
            wrong.add(flow.name)
            continue
        if operator is not None:
            found[flow.name] = operator
    return found, frozenset(wrong)


def _operator(pipeline: Pipeline, flow: Flow, target: Dataset, dialect: str) -> Stateful | None:
    if not isinstance(flow.query, SqlQuery):
        return None
    streamed = frozenset(r.name for r in flow.query.reads if streams(pipeline, r))
    # Most queries need no state, and no translation to find that out.
    if stateful_of(flow.query, streamed, mode_of(target)) is None:
        return None
    return stateful_of(to_engine(flow.query, dialect, pipeline.own), streamed, mode_of(target))


def with_results(pipeline: Pipeline, operators: Mapping[str, Stateful]) -> Pipeline:
    """The pipeline whose flows change their targets where results replace earlier ones."""
    flows = tuple(
        replace(flow, changes=Results(found.label, flow.name))
        if flow.changes is None and (found := operators.get(flow.name)) and found.changes
        else flow
        for flow in pipeline.flows
    )
    return replace(pipeline, flows=flows)
