"""Move quarantined rows that pass now into their table, once.

A replay is an epoch like any other, of a flow of its own (`<dataset>::replay`): its range is the
quarantine at one version, its rows that pass are appended to the table, and those that do not
are all that the quarantine holds afterwards. What makes other epochs happen once makes replays
happen once.

Where the flows into a table change it in different ways (AUTO CDC with different clauses, several
`MERGE INTO`), a replay is one epoch for each of these ways.
"""

from __future__ import annotations

from dataclasses import replace

from qanat.frozen import Frozen
from qanat.model.changes import Changes
from qanat.model.expectation import Action, Expectation
from qanat.model.pipeline import Dataset, Flow, replay_flow
from qanat.model.quarantine import FAILED, MALFORMED
from qanat.model.query import Read, Readmission, SqlQuery, dataset_ref
from qanat.model.record import Range
from qanat.model.rule import Fresh, of_epoch
from qanat.model.table import Snapshot
from qanat.run.attempt import Done, RunningUpdate
from qanat.run.epoch import run_epoch
from qanat.run.inputs import key_of, references_now
from qanat.run.memo import CompiledFlow
from qanat.run.results import ReplayResult
from qanat.run.session import Session

_NAME = "__quarantine"


class Way(Frozen):
    """How rows that come back are checked, and how they change their table.

    Args:
        flows: whose rows these are; None if there is one way for all of them.
        changes: None: the rows are added.
    """

    expectations: tuple[Expectation, ...]
    changes: Changes | None
    flows: tuple[CompiledFlow, ...] | None = None


def ways_of(session: Session, dataset: Dataset) -> tuple[Way, ...]:
    """The ways in which rows of a quarantine come back, in the order of the flows.

    Flows that tell deletions, sequence or columns in different ways have one each, by which no
    row of another flow may come back: a row tells the flow that has put it there.
    """
    flows = [f for f in session.analysis.flows_into(dataset.name) if f.changes is not None]
    ways: dict[Changes | None, list[CompiledFlow]] = {}
    for flow in flows:
        ways.setdefault(flow.changes, []).append(flow)
    if not ways:
        return (Way(session.analysis.rules[dataset.name], None),)
    alone = len(ways) == 1
    # All rules of the dataset, those included that every change has to keep.
    return tuple(
        Way(own[0].expectations, changes, None if alone else tuple(own))
        for changes, own in ways.items()
    )


def replay_of(
    session: Session, dataset: Dataset, way: Way, again: tuple[CompiledFlow, ...] = ()
) -> CompiledFlow:
    """A dataset's replay as a flow.

    Args:
        again: the flows whose rows are parsed or computed again.
    """
    where = dataset.location
    read = Read(_NAME, dataset_ref(dataset.quarantine), streaming=False, location=where)
    flows = None if way.flows is None else tuple(f.flow.name for f in way.flows)
    query = Readmission((read,), where, flows)
    return CompiledFlow(
        flow=Flow(replay_flow(dataset.name), dataset.name, _all_of(session, read), where),
        dataset=dataset,
        query=query,
        # What came back are no rows of an epoch of their own, and no news.
        expectations=tuple(
            _keeping(e)
            for e in way.expectations
            if not of_epoch(e.rule) and not isinstance(e.rule, Fresh)
        ),
        views=(),
        reads=(read,),
        view_reads=(),
        readmits=True,
        again=again,
        changes=way.changes,
    )


def replay(running: RunningUpdate, dataset: Dataset, quarantine: Snapshot) -> ReplayResult:
    """Move the rows of a quarantine that break no rule any more, each as its flow would."""
    session = running.session
    examined = quarantine.rows or 0
    broken = session.engine.broken_rules(quarantine.batch)
    incomplete = FAILED in broken or MALFORMED in broken
    version: int | None = None
    replayed = left_out = 0
    for way in ways_of(session, dataset):
        flows = session.analysis.flows_into(dataset.name) if way.flows is None else way.flows
        # A row that goes into an operator with a state has an epoch of its own no more.
        again = tuple(f for f in flows if f.stateful is None) if incomplete else ()
        done = _replay(running, dataset, way, again)
        if done is not None and done.epoch.counts is not None:
            version = done.epoch.version
            replayed += done.epoch.counts.written
            left_out += done.epoch.counts.dropped
    if version is None:
        return ReplayResult(dataset.name, examined, 0, examined)
    left = session.store.snapshot(session.table(dataset.quarantine)).rows or 0
    return ReplayResult(dataset.name, examined, replayed, left, version, left_out)


def _replay(
    running: RunningUpdate, dataset: Dataset, way: Way, again: tuple[CompiledFlow, ...]
) -> Done | None:
    """Replay the rows that come back in one way; the quarantine is as the ones before left it."""
    session = running.session
    compiled = replay_of(session, dataset, way, again)
    (read,) = compiled.reads
    version = session.store.version(session.table(dataset.quarantine))
    ranges = {key_of(read): Range({"version": version})}
    ranges |= _looked_up(session, again)
    return run_epoch(
        running,
        compiled,
        {**ranges, **references_now(session, compiled)},
        session.ledger.generation(dataset.name),
        replaces=False,
        fingerprint=session.analysis.definitions[dataset.name][0],
    )


def _looked_up(session: Session, flows: tuple[CompiledFlow, ...]) -> dict[str, Range]:
    """What flows read besides streams, as it is now."""
    reads = [r for flow in flows for r in flow.reads if not r.streaming]
    found = {key_of(r): session.source(r.source).everything(r.source) for r in reads}
    return {key: range_ for key, range_ in found.items() if range_ is not None}


def _all_of(session: Session, read: Read) -> SqlQuery:
    """What a replay reads, as the flow of an author would say it."""
    text = f"SELECT * FROM {read.source.place}"
    return SqlQuery(text, f"SELECT * FROM {read.name}", session.dialect, (read,), read.location)


def _keeping(expectation: Expectation) -> Expectation:
    """Rows that break a rule stay in quarantine, whatever the rule does to new rows."""
    if expectation.action is Action.WARN or not expectation.rule.level.of_rows:
        return expectation
    # However many they are: they are there already.
    return replace(expectation, action=Action.QUARANTINE, tolerance=None)
