"""Move quarantined rows that pass now into their table, once.

A replay is an epoch like any other, of a flow of its own (`<dataset>::replay`): its range is the
quarantine at one version, its rows that pass are appended to the table, and those that do not
are all that the quarantine holds afterwards. What makes other epochs happen once makes replays
happen once.
"""

from __future__ import annotations

from dataclasses import replace

from qanat.errors import UnsupportedError
from qanat.model.changes import Changes
from qanat.model.pipeline import Action, Dataset, Expectation, Flow, replay_flow
from qanat.model.query import Read, Readmission, SqlQuery, dataset_ref
from qanat.model.record import Range
from qanat.model.table import Snapshot
from qanat.model.work import FAILED, MALFORMED
from qanat.run.attempt import RunningUpdate
from qanat.run.epoch import run_epoch
from qanat.run.inputs import key_of, references_now
from qanat.run.memo import CompiledFlow
from qanat.run.results import ReplayResult
from qanat.run.session import Session

_NAME = "__quarantine"


def replay_of(
    session: Session, dataset: Dataset, again: tuple[CompiledFlow, ...] = ()
) -> CompiledFlow:
    """A dataset's replay as a flow.

    Args:
        again: the flows whose rows are parsed or computed again.
    """
    where = dataset.location
    read = Read(_NAME, dataset_ref(dataset.quarantine), streaming=False, location=where)
    query = Readmission((read,), where)
    return CompiledFlow(
        flow=Flow(replay_flow(dataset.name), dataset.name, _all_of(session, read), where),
        dataset=dataset,
        query=query,
        expectations=tuple(map(_keeping, _rules_of(session, dataset))),
        views=(),
        reads=(read,),
        view_reads=(),
        readmits=True,
        again=again,
        changes=_changes_of(session, dataset),
    )


def _rules_of(session: Session, dataset: Dataset) -> tuple[Expectation, ...]:
    """All rules of a dataset, those included that every change has to keep."""
    flows = session.analysis.flows_into(dataset.name)
    found = (f.expectations for f in flows if f.changes is not None)
    return next(found, session.analysis.rules[dataset.name])


def _changes_of(session: Session, dataset: Dataset) -> Changes | None:
    """How rows that come back change a dataset: as those of its flows do.

    Raises:
        UnsupportedError: its flows have different ways, and a row in quarantine might be any's.
    """
    flows = session.analysis.flows_into(dataset.name)
    ways = dict.fromkeys(f.changes for f in flows if f.changes is not None)
    if len(ways) > 1:
        raise UnsupportedError(
            f"the flows into {dataset.name} tell deletions and columns in different ways: its"
            " quarantine cannot be replayed yet",
            location=dataset.location,
            hint="mend the rows at their source, so that they come once more",
        )
    return next(iter(ways), None)


def replay(running: RunningUpdate, dataset: Dataset, quarantine: Snapshot) -> ReplayResult:
    """Move the rows of a quarantine that break no rule any more."""
    session = running.session
    broken = session.engine.broken_rules(quarantine.batch)
    incomplete = FAILED in broken or MALFORMED in broken
    again = tuple(session.analysis.flows_into(dataset.name)) if incomplete else ()
    compiled = replay_of(session, dataset, again)
    (read,) = compiled.reads
    ranges = {key_of(read): Range({"version": quarantine.version})}
    ranges |= _looked_up(session, again)
    examined = quarantine.rows or 0
    done = run_epoch(
        running,
        compiled,
        {**ranges, **references_now(session, compiled)},
        session.ledger.generation(dataset.name),
        replaces=False,
        fingerprint=session.analysis.definitions[dataset.name][0],
    )
    if done is None or done.epoch.counts is None:
        return ReplayResult(dataset.name, examined, 0, examined)
    counts = done.epoch.counts
    left = session.store.snapshot(session.table(dataset.quarantine)).rows or 0
    return ReplayResult(
        dataset.name, examined, counts.written, left, done.epoch.version, counts.dropped
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
    if expectation.action is Action.WARN:
        return expectation
    return replace(expectation, action=Action.QUARANTINE)
