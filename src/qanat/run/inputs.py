"""What a flow has not read yet, given what the ledger remembers, bound for the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from qanat.errors import NotAppendOnlyError, full_refresh, located, naming
from qanat.frozen import Frozen
from qanat.model.amount import Amount
from qanat.model.name import Name, Names, fold, same
from qanat.model.pipeline import Drift, ProjectSpec
from qanat.model.query import Read
from qanat.model.record import Epoch, Range
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import Batch, Recomputation, ViewBatch
from qanat.planning.graph import resolve, writers
from qanat.ports.source import ENVIRONMENT
from qanat.run.decide import Decision, Step
from qanat.run.facts import Borrowed, Waiting
from qanat.run.memo import CompiledFlow
from qanat.run.past import SNAPSHOT, FlowPast, LookedPast
from qanat.run.session import Session

ONCE = f"{SNAPSHOT}once"
"""The key by which the ledger remembers that a flow was declared to run a single time."""

PROMOTED = f"{SNAPSHOT}promoted"
"""The key by which the ledger tells an epoch whose rows another environment has computed."""


REFERENCE = "reference|"
"""Before the folded name of a dataset that a rule refers to."""


class Intake(Frozen):
    """What the next epoch of a flow would take.

    Args:
        ranges: by key: that of the source for streams, with a prefix for sources read as they
            are, and for tables that rules refer to.
        waiting: what each stream has that the flow has not read.
        unread: whether there is any of that.
        more: whether an epoch after this one finds more of what is there now.
        absent: datasets that are read and have no table yet.
        borrowed: what is read from the tables of another environment.
        looked: by what is absent, the environments that were looked at, if several.
        idle: sources from outside the project that have nothing: streams nothing that the flow has
            not read, others nothing at all, not even columns.
        due: whether it would take a snapshot of them.
    """

    ranges: Mapping[str, Range]
    waiting: tuple[Waiting, ...] = ()
    more: bool = False
    absent: tuple[str, ...] = ()
    borrowed: tuple[Borrowed, ...] = ()
    looked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    idle: tuple[str, ...] = ()
    due: bool = False

    @property
    def unread(self) -> bool:
        """True if a stream has anything that the flow has not read, or a snapshot is due."""
        return self.due or bool(self.waiting)


class BoundInputs(Frozen):
    """Inputs bound for the engine, how much they have, and what there is to tell of them."""

    inputs: Mapping[str, Batch]
    references: Mapping[Name, Batch]
    amount: Amount
    remarks: tuple[str, ...] = ()


def key_of(read: Read) -> str:
    """The key of a read's range in `Epoch.ranges`."""
    return read.source.key if read.streaming else SNAPSHOT + read.source.key


def drift_of(session: Session, compiled: CompiledFlow) -> Drift:
    """What a change of a source's columns does to a flow's target."""
    own = compiled.dataset.table_property("qanat.schema_drift")
    return Drift(fold(own)) if own else session.project.schema_drift


def find_unread(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    without: frozenset[str] = frozenset(),
    published: Epoch | None = None,
    corrects: frozenset[str] = frozenset(),
) -> Intake:
    """What a flow has not read.

    Args:
        generation: of the flow's target; in a new one nothing has been read.
        without: paths of files to leave for a later update (they are still being written).
        published, corrects: see `FlowPast`.

    Raises:
        QanatError: what a source has to say, see `qanat.ports.source.Source.plan`.
    """
    ranges: dict[str, Range] = {}
    waiting: list[Waiting] = []
    absent: dict[str, None] = {}
    idle: dict[str, None] = {}
    more = False
    for read in compiled.reads:
        key = key_of(read)
        if key in ranges:
            continue
        ref = read.source
        with located(read.location), naming(compiled.dataset.name):
            source = session.source(ref)
            if read.streaming:
                past = FlowPast(
                    session.recorded, compiled, ref.key, generation, published, corrects
                )
                unread = source.plan(ref, past, without)
                if unread is not None:
                    ranges[key] = unread.range
                    waiting.append(Waiting(ref.label, unread.waiting))
                    more = more or unread.more
                elif not ref.dataset:
                    idle[ref.label] = None
                elif session.readable(ref.dataset).version is None:
                    absent[ref.label] = None
            elif (range_ := source.everything(ref)) is not None:
                ranges[key] = range_
            elif ref.dataset:
                absent[ref.label] = None
            else:
                idle[ref.label] = None
    ranges |= references_now(session, compiled)
    if compiled.flow.once and ranges:
        ranges[ONCE] = Range({"kind": "once"}, positioned=True)
    borrowed, looked = _of_others(session, compiled)
    return Intake(ranges, tuple(waiting), more, tuple(absent), borrowed, looked, tuple(idle))


def _of_others(
    session: Session, compiled: CompiledFlow
) -> tuple[tuple[Borrowed, ...], Mapping[str, tuple[str, ...]]]:
    """What a flow and its rules read in other environments, and what is in none of them."""
    borrowed: list[Borrowed] = []
    looked: dict[str, tuple[str, ...]] = {}
    for source in (r.source for r in compiled.reads):
        there = session.source(source).neighbour(source)
        if there is not None and (version := session.elsewhere(there).version) is not None:
            environment = there.environment or ProjectSpec.environment
            borrowed.append(Borrowed(there.dataset, environment, version, there.project))
    if session.project.reads_from is None:
        return tuple(borrowed), looked
    named = (r.source.dataset for r in compiled.reads if r.source.dataset)
    for dataset in Names((*named, *compiled.references)):
        read = session.readable(dataset)
        if read.looked:
            looked[dataset] = read.looked
        elif read.environment and (version := read.version) is not None:
            borrowed.append(Borrowed(read.table.name, read.environment, version))
    return tuple(borrowed), looked


def references_now(session: Session, compiled: CompiledFlow) -> dict[str, Range]:
    """The tables that a flow's rules refer to, as they are now."""
    ranges: dict[str, Range] = {}
    for dataset in compiled.references:
        read = session.readable(dataset)
        version = read.store.last_change(read.table)
        # A rule may refer to the table it is on, before there is one.
        value = {"kind": "snapshot", "version": -1 if version is None else version, **read.mark}
        ranges[_reference(dataset)] = Range(value)
    return ranges


def will_change(session: Session, read: Read, decided: Mapping[str, Decision]) -> bool:
    """True if what is read may have another version once the update comes to the reader."""
    return any(d.step.works for d in _first(session, read, decided))


def check_kept(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    decided: Mapping[str, Decision],
    intake: Intake,
) -> None:
    """Refuse to read on as a stream what the same update replaces first.

    Args:
        decided: what the update does before it comes to the flow, by dataset.

    Raises:
        NotAppendOnlyError: rows that the flow has read are taken away before it reads on.
    """
    for read in compiled.reads if decided else ():
        lasting = not read.streaming or read.source.survives
        decisions = [] if lasting else _first(session, read, decided)
        rebuilt = next((d for d in decisions if _takes_away(session, d, read)), None)
        if rebuilt is not None and _has_read(session, compiled, generation, read, intake):
            name = compiled.dataset.name
            raise NotAppendOnlyError(
                f"{rebuilt.dataset} will be rebuilt, and {name} has read"
                f" {'it' if _is_of(read, rebuilt) else read.source.label} as a stream",
                location=read.location,
                hint=f"start over as well: {full_refresh(rebuilt.dataset, name)}",
            )


def _takes_away(session: Session, decision: Decision, read: Read) -> bool:
    """True if a dataset's part of the update replaces rows of what is read."""
    if decision.step is not Step.FULL_REFRESH and not any(t.replaces for t in decision.takes):
        return False
    read_of = resolve(session.pipeline, read.source.dataset or "")
    if read_of is None or read_of.name == decision.dataset:
        return True
    # A view's quarantine loses the rows of the flows that start over, and no others.
    generation = session.recorded.generation(decision.dataset)
    marks = [
        session.recorded.quarantine_mark(t.flow, decision.dataset, generation, read_of.name)
        for t in decision.takes
    ]
    return any(m is not None and not m.emptied for m in marks)


def _has_read(
    session: Session, compiled: CompiledFlow, generation: int, read: Read, intake: Intake
) -> bool:
    """True if a table still has rows that a flow has read as a stream."""
    flow, dataset = compiled.flow.name, compiled.dataset.name
    if session.recorded.position(flow, dataset, generation, read.source.key) is None:
        return False
    there = session.readable(read.source.dataset or "")
    if there.version is None:
        return True
    rows = there.store.snapshot(there.table).rows
    unread = [w.amount.rows for w in intake.waiting if w.source == read.source.label]
    return rows is None or None in unread or rows > sum(r or 0 for r in unread)


def _is_of(read: Read, decision: Decision) -> bool:
    return same(read.source.dataset or "", decision.dataset)


def _first(session: Session, read: Read, decided: Mapping[str, Decision]) -> list[Decision]:
    """What the update does, before it comes to the reader, with what writes to what is read."""
    name = read.source.dataset
    if name is None or not decided:
        return []
    names = writers(session.pipeline, name)
    return [decided[n] for n in names if n in decided]


def bind(
    session: Session,
    compiled: CompiledFlow,
    ranges: Mapping[str, Range],
    generation: int,
    scratch: Path,
) -> BoundInputs:
    """Exactly these ranges, ready for the engine.

    Raises:
        QanatError: what a source has to say, see `qanat.ports.source.Source.bind`.
    """
    inputs: dict[str, Batch] = {name: ViewBatch(view) for name, view in compiled.view_reads}
    total, remarks = Amount(rows=0), list[str]()
    drift = drift_of(session, compiled)
    for read in compiled.reads:
        key = key_of(read)
        known = session.recorded.source_schema(
            compiled.flow.name, compiled.dataset.name, generation, key
        )
        with located(read.location), naming(compiled.dataset.name):
            bound = session.source(read.source).bind(
                read.source, ranges.get(key), known or NO_COLUMNS, drift, scratch
            )
        inputs[read.name] = bound.batch
        # Of files the engine counts the rows.
        total += replace(bound.amount, rows=bound.amount.rows or 0)
        remarks += bound.remarks
    for flow in compiled.again:
        # Its streams have no range: what they give are the rows from the quarantine.
        others = bind(session, flow, ranges, generation, scratch)
        called = Recomputation(flow.flow.name, flow.query).key
        inputs |= {called(name): batch for name, batch in others.inputs.items()}
    references: dict[Name, Batch] = {}
    for dataset in compiled.references:
        range_ = ranges.get(_reference(dataset))
        if range_ is not None and range_.value["version"] >= 0:
            there = session.readable(dataset, range_.value.get(ENVIRONMENT, ""))
            newest = there.store.same_rows(there.table, range_.value["version"])
            snapshot = there.store.snapshot(there.table, newest)
            references[fold(dataset)] = snapshot.batch
    return BoundInputs(inputs, references, total, tuple(remarks))


def files_again(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    scratch: Path,
    name: str,
    paths: Sequence[str],
) -> Batch | None:
    """Files that a stream of a flow has read, with today's options (see `Recomputation.files`).

    Args:
        name: of the read.
    """
    read = next(r for r in compiled.reads if r.name == name)
    ref = read.source
    kind = FlowPast if read.streaming else LookedPast
    past = kind(session.recorded, compiled, ref.key, generation)
    flow, dataset = compiled.flow.name, compiled.dataset.name
    known = session.recorded.source_schema(flow, dataset, generation, key_of(read))
    drift = drift_of(session, compiled)
    with located(read.location), naming(dataset):
        return session.source(ref).again(ref, past, paths, known or NO_COLUMNS, drift, scratch)


def _reference(dataset: str) -> str:
    return REFERENCE + fold(dataset)
