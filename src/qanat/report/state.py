"""What the flows of a dataset keep from one epoch to the next."""

from __future__ import annotations

from qanat.report.html import Part, heading, page, table
from qanat.report.keys import VERSION_KEY, moment
from qanat.report.shape import Key, Shape
from qanat.run.keeping import DatasetState, FlowState, StreamProgress
from qanat.text import PLAIN, Layout, Value, count, grid, printable, size, utc

STREAM = Shape(
    "StreamProgress",
    StreamProgress,
    (
        "stream",
        Key("partition", of=str | None, make=lambda s: s.partition or None),
        Key("newest", of=str | None, make=lambda s: _moment(s.newest)),
        Key("seen", of=str, make=lambda s: moment(s.seen)),
    ),
    "How far a stream has come. `newest` is the newest event time of its rows, `seen` when it\n"
    "last brought one.",
)
FLOW = Shape(
    "FlowState",
    FlowState,
    (
        *("flow", "kind", "table"),
        Key("table_version", "version"),
        *("keys", "rows", "bytes", "files"),
        Key("watermark", of=str | None, make=lambda s: _moment(s.watermark)),
        Key("next", of=str | None, make=lambda s: _moment(s.next)),
        "streams",
    ),
    "What a flow keeps. `keys` counts the rows that are valid, `rows` those of the table, which\n"
    "also has earlier ones. `next` is the watermark at which the next result is due.",
)
STATE = Shape(
    "StateDocument",
    DatasetState,
    (VERSION_KEY, "dataset", "flows"),
    "What the flows of a dataset keep from one epoch to the next.",
)
PARTS = (FLOW, STREAM)

_HEADERS = ("Stream", "Partition", "Newest event time", "Last row")


def state_text(state: DatasetState, layout: Layout = PLAIN) -> str:
    """What each flow keeps, and how far its streams have come."""
    parts = []
    for flow in state.flows:
        lines = [layout.paint(printable(_name(state, flow)), "bold") + f": {_facts(flow)}"]
        lines += _times(flow)
        if flow.streams:
            lines += ["", *grid(_HEADERS, _rows(flow), layout)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def state_html(state: DatasetState) -> str:
    """The same for a notebook."""
    parts: list[Part] = []
    for flow in state.flows:
        parts.append(heading(f"{_name(state, flow)}: {_facts(flow)}", "ok"))
        if flow.streams:
            parts.append(table(_HEADERS, _rows(flow)))
    return page(*parts)


def _name(state: DatasetState, flow: FlowState) -> str:
    own = flow.flow == state.dataset
    return state.dataset if own else f"{state.dataset}, flow {flow.flow}"


def _facts(flow: FlowState) -> str:
    parts = [flow.kind, count(flow.keys, "key")]
    if flow.rows is not None:
        parts.append(count(flow.rows, "row"))
    return ", ".join((*parts, count(flow.files, "file"), size(flow.bytes)))


def _times(flow: FlowState) -> list[str]:
    lines = []
    if flow.watermark is not None:
        lines.append(f"watermark: {utc(flow.watermark)}")
    if flow.next is not None:
        lines.append(f"next result at watermark: {utc(flow.next)}")
    return lines


def _rows(flow: FlowState) -> list[list[Value]]:
    return [
        [s.stream, s.partition or None, None if s.newest is None else utc(s.newest), utc(s.seen)]
        for s in flow.streams
    ]


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else moment(seconds)
