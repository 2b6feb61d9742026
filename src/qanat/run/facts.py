"""Gather what the decision about a dataset depends on: declarations, ledger, sources, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from qanat.errors import NotAppendOnlyError
from qanat.model.dataset import QUARANTINE, Dataset
from qanat.model.decision import Decision, Step
from qanat.model.query import Read
from qanat.model.record import Definition, Epoch
from qanat.run.compiled import CompiledFlow
from qanat.run.consistency import check_history
from qanat.run.decide import Asked, Facts, FlowFacts, Stored
from qanat.run.inputs import find_unread
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
    _check_kept(session, compiled, generation, around)
    intake = find_unread(session, compiled, generation, without, visible)
    once, done = compiled.flow.once, False
    if once:
        last = visible or session.memory.last_epoch(name)
        done = last is not None and last.generation == generation
    moving = [r for r in compiled.reads if _moves(r, around)]
    return FlowFacts(
        name,
        intake.ranges,
        intake.waiting,
        unread=intake.unread,
        more=intake.more,
        absent=intake.absent,
        once=once,
        done=done,
        moving=_names(moving),
        arriving=_names([r for r in moving if r.streaming]),
        volatile=name in session.analysis.volatile,
    )


def _check_kept(session: Session, compiled: CompiledFlow, generation: int, around: Around) -> None:
    """Refuse to read on as a stream what the same update replaces first.

    Raises:
        NotAppendOnlyError: a full refresh of a dataset takes away rows that the flow has read.
    """
    for read in compiled.reads:
        decision = around.decided.get(read.source.dataset or "")
        if not read.streaming or decision is None or decision.step is not Step.REFRESH:
            continue
        key, flow = read.source.key, compiled.flow.name
        if session.memory.position(flow, generation, key) is not None:
            name = compiled.dataset.name
            raise NotAppendOnlyError(
                f"{decision.dataset} will be rebuilt, and {name} has read it as a stream",
                location=read.location,
                hint=f"start over as well: qanat run --full-refresh {decision.dataset}"
                f" --full-refresh {name}",
            )


def _moves(read: Read, around: Around) -> bool:
    """Whether what is read has another version once the update comes to the reader."""
    name = read.source.dataset
    if name is None:
        return False
    owner = name.removesuffix(QUARANTINE)
    decision = around.decided.get(name) or around.decided.get(owner)
    return decision is not None and decision.step.works


def _names(reads: list[Read]) -> tuple[str, ...]:
    return tuple(sorted({r.source.label for r in reads}))
