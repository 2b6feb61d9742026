"""What the flows of a dataset keep from one epoch to the next."""

from __future__ import annotations

import shlex

from qanat.errors import TableNotFoundError
from qanat.frozen import Frozen
from qanat.model.kept import KeptRows
from qanat.planning.lineage import dataset_of
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.run.sides import state_of


class StreamProgress(Frozen):
    """How far a stream of a flow has come in event time. Times are seconds since 1970 (UTC).

    Args:
        stream: what is read, as `plan` names it.
        partition: of the stream, where it has several.
        newest: the newest event time of its rows; None if none has had one.
        seen: when it last brought a row.
    """

    stream: str
    partition: str
    newest: float | None
    seen: float


class FlowState(Frozen):
    """The state of one flow. Times are seconds since 1970 (UTC).

    Args:
        kind: what keeps it: an aggregate, a join, …
        table: that has it; `version` of it.
        keys: how many rows count.
        rows: how many the table has: also earlier ones of the same keys, until they are compacted.
        watermark: rows that are older come too late; None as long as it is not known.
        next: the watermark at which the next result is due, such as the end of the oldest open
            window; None if none waits for it.
    """

    flow: str
    kind: str
    table: str
    version: int
    keys: int
    rows: int | None
    bytes: int
    files: int
    watermark: float | None = None
    next: float | None = None
    streams: tuple[StreamProgress, ...] = ()


class DatasetState(Frozen):
    """What a dataset's flows keep."""

    dataset: str
    flows: tuple[FlowState, ...]


def state(session: Session, name: str) -> DatasetState:
    """What the flows of a dataset keep.

    Raises:
        DatasetNotFoundError: no such dataset; names the nearest.
        TableNotFoundError: they keep nothing, or have never run.
    """
    session.require()
    dataset = dataset_of(session.pipeline, name)
    flows = session.analysis.flows_into(dataset.name)
    found = tuple(f for flow in flows if (f := _state(session, flow)) is not None)
    if not found:
        keeps = any(flow.stateful is not None for flow in flows)
        raise TableNotFoundError(
            f"{dataset.name} keeps no state{' yet: it has never run' if keeps else ''}",
            location=None if keeps else dataset.location,
            hint=f"run it first: qanat run --select {shlex.quote(f'+{dataset.name}')}"
            if keeps
            else "each of its epochs is computed by itself",
        )
    return DatasetState(dataset.name, found)


def _state(session: Session, flow: CompiledFlow) -> FlowState | None:
    table, operator = state_of(session, flow), flow.stateful
    if table is None or operator is None or session.store.version(table) is None:
        return None
    snapshot = session.store.snapshot(table)
    kept = session.engine.kept(snapshot.batch)
    return FlowState(
        flow.flow.name,
        operator.label,
        table.name,
        snapshot.version,
        kept.keys,
        snapshot.rows,
        snapshot.bytes,
        snapshot.files,
        _seconds(kept.watermark_us),
        _seconds(kept.next_us),
        tuple(_streams(flow, kept)),
    )


def _streams(flow: CompiledFlow, kept: KeptRows) -> list[StreamProgress]:
    labels = {r.name: r.source.label for r in flow.reads}
    return [
        StreamProgress(
            labels.get(mark.stream, mark.stream),
            mark.partition,
            _seconds(mark.newest_us),
            mark.at_us / 1_000_000,
        )
        for mark in kept.marks
    ]


def _seconds(us: int | None) -> float | None:
    return None if us is None else us / 1_000_000
