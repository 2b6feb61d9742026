"""What the timetable of a continuous update has to know of each of its datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qanat.model.name import Names
from qanat.model.pipeline import TRIGGER_INTERVAL, DatasetKind
from qanat.model.upkeep import parse_duration
from qanat.planning.graph import writers
from qanat.run.agenda import Entry
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session


def entries_of(session: Session, names: Sequence[str]) -> Mapping[str, Entry]:
    """What it has to know, by dataset, of an update of these datasets."""
    inside = Names(names)
    return {name: _entry(session, name, inside) for name in names}


def _entry(session: Session, name: str, inside: Names) -> Entry:
    dataset = session.pipeline.dataset(name)
    flows = session.analysis.flows_into(name)
    read = {d for flow in flows for d in _read(session, flow)}
    # Where two read each other's quarantine, one of them has to come first.
    upstream = session.graph.upstream
    above = {d for d in read - {name} if d in inside and name not in upstream(d)}
    asks = any(not r.source.dataset for f in flows for r in f.reads) or bool(read - above - {name})
    whole = dataset.kind is DatasetKind.MATERIALIZED_VIEW
    written = dataset.table_property(TRIGGER_INTERVAL)
    default = session.project.configuration.get(TRIGGER_INTERVAL)
    interval = parse_duration(written or default or "0 seconds")
    return Entry(tuple(sorted(above)), asks or _functions(flows), whole, interval)


def _read(session: Session, flow: CompiledFlow) -> set[str]:
    """The datasets of the project that fill what a flow reads, and what its rules refer to."""
    named = [r.source.dataset for r in flow.reads if r.source.dataset]
    return {w for n in (*named, *flow.references) for w in writers(session.pipeline, n)}


def _functions(flows: Sequence[CompiledFlow]) -> bool:
    """True if a flow has no source that could tell news: a function gives its rows."""
    return any(not f.reads for f in flows)
