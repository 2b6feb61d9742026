"""Gather what the decision about a dataset depends on: declarations, ledger, sources, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from qanat.errors import NotAppendOnlyError
from qanat.model.dataset import Dataset
from qanat.model.decision import Decision, Step
from qanat.model.query import Read
from qanat.model.record import Definition, Epoch
from qanat.planning.graph import resolve, writers
from qanat.run.compiled import CompiledFlow
from qanat.run.consistency import check_history
from qanat.run.decide import Asked, Facts, FlowFacts, Stored
from qanat.run.inputs import Intake, find_unread
from qanat.run.published import published
from qanat.run.selection import Chosen
from qanat.run.session import Session


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds the decision about one dataset.

    Args:
        definitions: as last run, by case-folded name.
        decided: by name, what the update does before it comes to the dataset; empty once that
            is done.
        open: by flow, epochs that a crash left open. An update brings them to an end before it
            decides anything; whoever only looks must see what it will find then.
    """

    definitions: Mapping[str, Definition]
    decided: Mapping[str, Decision] = field(default_factory=dict)
    open: Mapping[str, Epoch] = field(default_factory=dict)


def gather(
    session: Session,
    dataset: Dataset,
    chosen: Chosen,
    around: Around,
    generation: int,
    without: frozenset[str] = frozenset(),
) -> Facts:
    """The facts about one dataset.

    Args:
        generation: that the update works in: a full refresh begins the next one.
        without: files to leave for a later update (they are still being written).

    Raises:
        QanatError: something stands in the dataset's way.
    """
    name = dataset.name
    facts = declared(session, dataset, chosen, around)
    if facts.failing:
        return facts
    compiled = session.analysis.flows_into(name)
    if facts.asked is not Asked.FULL_REFRESH:
        for each in compiled:
            # An open epoch may have been published without the ledger knowing it yet.
            if each.flow.name not in around.open:
                check_history(session, each)
    exists = dataset.stored and session.store.version(session.table(name)) is not None
    anew = facts.asked is Asked.FULL_REFRESH or facts.changed
    return replace(
        facts,
        exists=exists,
        # Only a change of what is there asks how much that is.
        stored=_stored(session, dataset) if exists and anew else None,
        restarted=bool(generation) and not _started(session, dataset, generation, around),
        flows=tuple(_flow(session, c, generation, around, without) for c in compiled),
    )


def declared(session: Session, dataset: Dataset, chosen: Chosen, around: Around) -> Facts:
    """What is known of a dataset without a look at its table or its sources."""
    name = dataset.name
    fingerprint, text = session.analysis.definitions[name]
    asked = Asked.ONLY_WHAT_IS_NEW
    if name in chosen.full_refresh:
        asked = Asked.FULL_REFRESH
    elif name in chosen.refresh:
        asked = Asked.REFRESH
    upstream = session.graph.upstream(name)
    failing = [n for n, d in around.decided.items() if d.step is Step.FAIL and n in upstream]
    before = around.definitions.get(name.casefold())
    return Facts(dataset, fingerprint, text, before, asked, failing=tuple(sorted(failing)))


def _stored(session: Session, dataset: Dataset) -> Stored:
    snapshot = session.store.snapshot(session.table(dataset.name))
    return Stored(snapshot.partition_by, snapshot.rows)


def _started(session: Session, dataset: Dataset, generation: int, around: Around) -> bool:
    flows = {c.flow.name for c in session.analysis.flows_into(dataset.name)}
    ends = (e for f, e in around.open.items() if f in flows and e.generation == generation)
    if any(published(session, e) for e in ends):
        return True
    return session.memory.generation_started(dataset.name, generation)


def _flow(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    around: Around,
    without: frozenset[str],
) -> FlowFacts:
    name = compiled.flow.name
    opened = around.open.get(name)
    visible = None
    # What was read before a full refresh is unread again.
    if opened is not None and opened.generation == generation and published(session, opened):
        visible = opened
    once = compiled.flow.once
    if once:
        last = visible or session.memory.last_epoch(name)
        if last is not None and last.generation == generation:
            return FlowFacts(name, {}, once=True, done=True)
        # What a flow that runs once leaves, no later update takes.
        without = frozenset()
    intake = find_unread(session, compiled, generation, without, visible)
    _check_kept(session, compiled, generation, around, intake)
    moving = [r for r in compiled.reads if any(d.step.works for d in _first(session, r, around))]
    return FlowFacts(
        name,
        intake.ranges,
        intake.waiting,
        unread=intake.unread,
        more=intake.more,
        absent=intake.absent,
        once=once,
        moving=_names(moving),
        arriving=_names([r for r in moving if r.streaming]),
        volatile=name in session.analysis.volatile,
    )


def _check_kept(
    session: Session, compiled: CompiledFlow, generation: int, around: Around, intake: Intake
) -> None:
    """Refuse to read on as a stream what the same update replaces first.

    Raises:
        NotAppendOnlyError: rows that the flow has read are taken away before it reads on.
    """
    for read in compiled.reads if around.decided else ():
        decisions = _first(session, read, around) if read.streaming else []
        rebuilt = next((d for d in decisions if _takes_away(session, d, read)), None)
        if rebuilt is not None and _has_read(session, compiled, generation, read, intake):
            name = compiled.dataset.name
            raise NotAppendOnlyError(
                f"{rebuilt.dataset} will be rebuilt, and {name} has read"
                f" {'it' if _is_of(read, rebuilt) else read.source.label} as a stream",
                location=read.location,
                hint=f"start over as well: qanat run --full-refresh {rebuilt.dataset}"
                f" --full-refresh {name}",
            )


def _takes_away(session: Session, decision: Decision, read: Read) -> bool:
    """Whether a dataset's part of the update replaces rows of what is read."""
    if decision.step is not Step.REFRESH and not any(t.replaces for t in decision.takes):
        return False
    read_of = resolve(session.pipeline, read.source.dataset or "")
    if read_of is None or read_of.name == decision.dataset:
        return True
    # A view's quarantine loses the rows of the flows that start over, and no others.
    generation = session.memory.generation(decision.dataset)
    marks = [
        session.memory.quarantine_mark(t.flow, generation, read_of.name) for t in decision.takes
    ]
    return any(m is not None and not m.emptied for m in marks)


def _has_read(
    session: Session, compiled: CompiledFlow, generation: int, read: Read, intake: Intake
) -> bool:
    """Whether a table still has rows that a flow has read as a stream."""
    if session.memory.position(compiled.flow.name, generation, read.source.key) is None:
        return False
    table = session.table(read.source.dataset or "")
    if session.store.version(table) is None:
        return True
    rows = session.store.snapshot(table).rows
    unread = [w.amount.rows for w in intake.waiting if w.source == read.source.label]
    return rows is None or None in unread or rows > sum(r or 0 for r in unread)


def _is_of(read: Read, decision: Decision) -> bool:
    return (read.source.dataset or "").casefold() == decision.dataset.casefold()


def _first(session: Session, read: Read, around: Around) -> list[Decision]:
    """What the update does, before it comes to the reader, with what writes to what is read."""
    name = read.source.dataset
    if name is None or not around.decided:
        return []
    names = writers(session.pipeline, name)
    return [around.decided[n] for n in names if n in around.decided]


def _names(reads: list[Read]) -> tuple[str, ...]:
    return tuple(sorted({r.source.label for r in reads}))
