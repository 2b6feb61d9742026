"""One dataset's part of an update: its facts gathered, decided, carried out epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from qanat.errors import FileChangedError, FileVanishedError, InvariantError
from qanat.frozen import Frozen
from qanat.model.event import Warned
from qanat.model.name import Name, Named, fold
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.query import Read
from qanat.model.record import Definition, Epoch
from qanat.model.staged import RuleCount
from qanat.run.attempt import Done, RunningUpdate, retrying
from qanat.run.blame import all_told
from qanat.run.clocked import check_by_clock, require_fresh
from qanat.run.columns import changed_columns
from qanat.run.commits import published
from qanat.run.correcting import replaced
from qanat.run.decide import (
    INTERRUPTED,
    NEVER_RUN,
    UNREAD,
    Decision,
    Step,
    Take,
    decide,
)
from qanat.run.defined import begun
from qanat.run.epoch import run_epoch
from qanat.run.facts import Asked, Facts, FlowFacts, TableFacts
from qanat.run.full_refresh import check_losses, losses
from qanat.run.identity import PastSources, check_identity
from qanat.run.inputs import check_kept, will_change
from qanat.run.memo import CompiledFlow
from qanat.run.mismatch import check_history
from qanat.run.owner import check_owners
from qanat.run.partitions import check_partitions
from qanat.run.results import Chosen
from qanat.run.session import Session
from qanat.run.sides import has_state
from qanat.run.sinks import check_apart
from qanat.run.snapshots import find_intake, takes_snapshots
from qanat.run.sums import Sums


class Around(Frozen):
    """What surrounds the decision about one dataset.

    Args:
        definitions: of all datasets, as last run.
        decided: by name, what the update does before it comes to the dataset; empty once that
            is done.
        open: by flow and folded name of its target, epochs that a crash left open. An update
            settles them before it decides anything; a plan must see what it will find then.
        past: what has been read as streams so far.
        changed: datasets that are declared otherwise than they were last run.
    """

    definitions: Named[Definition]
    past: PastSources
    decided: Mapping[str, Decision] = field(default_factory=dict)
    open: Mapping[tuple[str, Name], Epoch] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()

    @property
    def corrects(self) -> dict[str, tuple[str, ...]]:
        """By dataset, the source files whose rows the update replaces there first."""
        return {n: d.corrects for n, d in self.decided.items() if d.corrects}

    def opened(self, compiled: CompiledFlow) -> Epoch | None:
        """The epoch of a flow that a crash left open."""
        return self.open.get((compiled.flow.name, fold(compiled.dataset.name)))


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
    if facts.failing or facts.off or facts.stands_still:
        return facts
    check_apart(session, dataset)
    compiled = session.analysis.flows_into(name)
    anew = facts.asked is Asked.FULL_REFRESH
    if anew:
        check_owners(session, dataset, anew)
    for each in () if anew else compiled:
        # An open epoch may have been published without the ledger knowing it yet.
        if around.opened(each) is None:
            check_history(session, each)
    exists = dataset.stored and session.store.version(session.table(name)) is not None
    restarted = bool(generation) and not _started(session, dataset, generation, around)
    if restarted and not anew:
        # Files may have gone since the full refresh was interrupted.
        check_losses(losses(session, (name,)), chosen.accept_loss)
    flows = tuple(_flow_facts(session, c, chosen, generation, around, without) for c in compiled)
    streaming = dataset.kind is DatasetKind.STREAMING_TABLE
    grows = streaming and any(f.unread for f in flows)
    changed = streaming and bool(around.changed) and bool(around.changed & _queried(session, name))
    # Read the table only if something changes: that is most of an unchanged update's time.
    looks = anew or facts.changed or grows or changed
    if not anew and (looks or facts.before is None):
        check_owners(session, dataset, anew=restarted)
    stored = _stored(session, dataset, facts.changed) if exists and looks else None
    if stored is not None and not (anew or restarted):
        if grows:
            check_partitions(dataset, stored.partition_by)
        if changed:
            columns = changed_columns(session, dataset, around.definitions)
            flows = tuple(replace(f, adds=columns.adds.get(f.name, ())) for f in flows)
            facts = replace(facts, lacks=columns.lacks)
    return replace(facts, exists=exists, stored=stored, restarted=restarted, flows=flows)


def _queried(session: Session, name: str) -> frozenset[str]:
    """The datasets whose queries a dataset's columns depend on: its own, and all above it."""
    return session.graph.upstream(name) | {name}


def declared(session: Session, dataset: Dataset, chosen: Chosen, around: Around) -> Facts:
    """What is known of a dataset without a look at its table or its sources."""
    name = dataset.name
    fingerprint, text = session.analysis.definitions[name]
    asked = Asked.ONLY_WHAT_IS_NEW
    if name in chosen.full_refresh:
        asked = Asked.FULL_REFRESH
    elif name in chosen.refresh:
        asked = Asked.REFRESH
    failing = [n for n, d in around.decided.items() if d.step is Step.FAIL]
    if failing:
        upstream = session.graph.upstream(name)
        failing = [n for n in failing if n in upstream]
    return Facts(
        dataset,
        fingerprint,
        text,
        around.definitions.get(name),
        asked,
        failing=tuple(sorted(failing)),
        paused=session.paused.get(name),
        restarted_by=chosen.restarted_by.get(name, ""),
        loss=str(chosen.losses.get(name, "")),
        off="" if session.project.sinks or dataset.sink is None else session.project.environment,
    )


def _stored(session: Session, dataset: Dataset, changed: bool) -> TableFacts:
    snapshot = session.store.snapshot(session.table(dataset.name))
    quarantine, rows = session.table(dataset.quarantine), None
    if changed and session.store.version(quarantine) is not None:
        rows = session.store.snapshot(quarantine).rows
    keeps = changed and has_state(session, dataset)
    return TableFacts(snapshot.partition_by, snapshot.rows, rows or 0, keeps)


def _started(session: Session, dataset: Dataset, generation: int, around: Around) -> bool:
    ends = map(around.opened, session.analysis.flows_into(dataset.name))
    if any(e and e.generation == generation and published(session, e) for e in ends):
        return True
    return session.recorded.generation_started(dataset.name, generation)


def _flow_facts(
    session: Session,
    compiled: CompiledFlow,
    chosen: Chosen,
    generation: int,
    around: Around,
    without: frozenset[str],
) -> FlowFacts:
    name = compiled.flow.name
    opened = around.opened(compiled)
    visible = None
    # What was read before a full refresh is unread again.
    if opened is not None and opened.generation == generation and published(session, opened):
        visible = opened
    once = compiled.flow.once
    if once:
        last = visible or session.recorded.last_epoch(name, compiled.dataset.name)
        if last is not None and last.generation == generation:
            return FlowFacts(name, {}, once=True, done=True)
        # A flow that runs once must not leave files out: no later update would take them.
        without = frozenset()
    intake = find_intake(session, compiled, generation, without, visible, chosen.corrects)
    corrects = replaced(session, compiled, generation, intake.ranges, around.corrects)
    check_kept(session, compiled, generation, around.decided, intake)
    if compiled.dataset.name not in chosen.read_again | chosen.full_refresh:
        check_identity(session, compiled, generation, around.past, intake, around.decided, visible)
    changing = [r for r in compiled.reads if will_change(session, r, around.decided)]
    whole = takes_snapshots(compiled)
    return FlowFacts(
        name,
        intake.ranges,
        intake.waiting,
        unread=intake.unread,
        more=intake.more,
        absent=intake.absent,
        once=once and (intake.unread or not whole),
        changing=_labels(changing),
        changing_streams=_labels([r for r in changing if r.streaming or whole]),
        volatile=name in session.analysis.volatile,
        borrowed=intake.borrowed,
        looked=intake.looked,
        idle=intake.idle,
        changes=compiled.changes,
        whole=whole,
        corrects=corrects,
    )


def _labels(reads: list[Read]) -> tuple[str, ...]:
    return tuple(sorted({r.source.label for r in reads}))


@dataclass(slots=True)
class DatasetRun:
    """Brings one dataset up to date.

    Args:
        around: what the update found when it began.
        begin: called before the first write.
        checks: what came of rules that depend on the clock, where there was nothing to do.
    """

    running: RunningUpdate
    dataset: Dataset
    chosen: Chosen
    around: Around
    begin: Callable[[], None]
    epochs: list[Done] = field(default_factory=list)
    reason: str = ""
    paused: bool = False
    checks: tuple[RuleCount, ...] = ()
    _growing: frozenset[str] = frozenset()
    _to_record: Definition | None = None
    _recorded: Definition | None = None

    def run(self) -> None:
        """Decide, and do what was decided.

        Raises:
            QanatError: whatever stopped it; epochs before that are committed.
        """
        session, name = self.running.session, self.dataset.name
        self.epochs += self.running.redone.pop(name, [])
        generation = session.ledger.generation(name)
        decision = self._decide(generation)
        self.reason, self.paused = decision.reason, decision.paused
        if decision.error is not None:
            raise decision.error
        for warning in decision.warnings if decision.step.works else ():
            self.running.tell(Warned(name, warning))
        if self.epochs and not decision.step.works:
            # Recovery has carried out what a crash left open, and nothing more was there.
            self.reason = self._first_reason()
        if len(decision.takes) == 1 and decision.records_definition:
            self._to_record = self._new_definition(decision)
        for flow in [t.flow for t in decision.takes]:
            with all_told(session, self.dataset, decision, self.around.definitions):
                self._run_flow(_take_of(decision, flow), flow, generation)
            if len(decision.takes) > 1:
                # Rules of the next flow may refer to what this one has written.
                decision = replace(self._decide(generation), reason=decision.reason)
        if decision.records_definition and (new := self._new_definition(decision)) is not None:
            self.begin()
            session.ledger.define(new, self.running.lease.latest)
        if not (self.epochs or self.paused or self.running.goes_on):
            self.checks = check_by_clock(self.running, self.dataset, self.begin)
            require_fresh(session, self.dataset, self.checks)

    def _run_flow(self, take: Take | None, flow: str, generation: int) -> None:
        """Take epochs of one flow until what was there is read.

        An epoch takes all that it finds unless its author has put a limit on it. What arrives
        meanwhile is for the next update: where something always arrives, this one would never end.
        """
        before: Take | None = None
        while take is not None and not self.running.ending.is_set():
            if before is not None and before.ranges == take.ranges:
                # Stop with an error rather than append the same rows for ever.
                raise InvariantError(f"{self.dataset.name} was given the same input twice")
            taken = self._run_epoch(take, generation)
            if taken and not take.more:
                return
            before = take if taken else None
            decision = self._decide(generation)
            take = _take_of(decision, flow)
            if not self.epochs:
                self.reason = decision.reason

    def _run_epoch(self, take: Take, generation: int) -> bool:
        """Carry out one epoch; False if a file of it was still being written."""
        session, name = self.running.session, self.dataset.name
        compiled = session.analysis.flows[take.flow]
        fingerprint, _ = session.analysis.definitions[name]
        # The last epoch records the definition: that saves a transaction.
        known = self._recorded or self.around.definitions.get(name)
        records = (None if take.more else self._to_record) or begun(session, self.dataset, known)
        self.begin()
        try:
            done = run_epoch(
                self.running,
                compiled,
                take.ranges,
                generation,
                take.replaces,
                fingerprint,
                records,
                before=known,
                last=not take.more,
            )
        except (FileChangedError, FileVanishedError) as error:
            # A flow that runs once must not be done before it has read the file.
            waits = any(r.streaming for r in compiled.reads) and not compiled.flow.once
            if not waits or error.path is None or error.path in self._growing:
                raise
            self._growing |= {error.path}
            message = f"{error.path} is still being written; a later update will take it"
            if isinstance(error, FileVanishedError):
                message = f"{error.message}; a later update takes what is there then"
            self.running.tell(Warned(name, message))
            return False
        if done is not None:
            self.epochs.append(done)
            self._recorded = records or self._recorded
        return True

    def _first_reason(self) -> str:
        """Why the epochs that recovery has carried out were intended."""
        if any(d.epoch.replaces for d in self.epochs):
            return INTERRUPTED
        return UNREAD if self.dataset.name in self.around.definitions else NEVER_RUN

    def _decide(self, generation: int) -> Decision:
        session = self.running.session
        find = partial(
            gather,
            session,
            self.dataset,
            self.chosen,
            self.around,
            generation,
            self._growing,
        )
        return decide(retrying(find, self.running, self.dataset.name))

    def _new_definition(self, decision: Decision) -> Definition | None:
        """What the ledger is to know of the dataset from now on; None if it does."""
        name = self.dataset.name
        fingerprint, text = self.running.session.analysis.definitions[name]
        new = Definition(name, str(self.dataset.kind), fingerprint, decision.inputs, text)
        known = self._recorded or self.around.definitions.get(name)
        return None if known == new else new

    @property
    def sums(self) -> Sums:
        """What all epochs have done."""
        return Sums().add(*self.epochs)


def _take_of(decision: Decision, flow: str) -> Take | None:
    return next((t for t in decision.takes if t.flow == flow), None)
