"""Flows whose rows are all that their target has: when a snapshot is due, and which one it is.

What has been taken is a position in the ledger, like those of streams: the version of the newest
snapshot and, of a flow that reads sources as they are, what these were then. The next snapshot is
due when they have moved. A function of the project is asked for it, and given the version of the
last one, until it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from qanat.digest import digest
from qanat.errors import QueryError, full_refresh
from qanat.model.amount import Amount
from qanat.model.query import Computation, FunctionQuery
from qanat.model.record import Epoch, Range
from qanat.model.snapshots import (
    WANTED,
    Version,
    as_version,
    follows,
    kind_of,
    moment_after,
    version_from_json,
    version_to_json,
)
from qanat.run.blame import blaming
from qanat.run.decide import fingerprint_of
from qanat.run.facts import Waiting
from qanat.run.inputs import Intake, find_unread
from qanat.run.memo import CompiledFlow
from qanat.run.past import SNAPSHOT, FlowPast
from qanat.run.session import Session

TAKEN = f"{SNAPSHOT}taken"
"""The key by which the ledger remembers the snapshot that a flow has taken last."""


def takes_snapshots(compiled: CompiledFlow) -> bool:
    """True if the rows of each epoch are all that the target has."""
    return compiled.changes is not None and compiled.changes.whole


def find_intake(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    without: frozenset[str] = frozenset(),
    published: Epoch | None = None,
    corrects: frozenset[str] = frozenset(),
) -> Intake:
    """What the next epoch of a flow would take: what it has not read, or the snapshot that is due.

    Args:
        generation, without, published, corrects: as for `find_unread`.

    Raises:
        QanatError: what a source has to say.
        QueryError: the function that gives snapshots raises something, or gives none.
    """
    intake = find_unread(session, compiled, generation, without, published, corrects)
    if not takes_snapshots(compiled):
        return intake
    past = FlowPast(session.recorded, compiled, TAKEN, generation, published).position
    latest = None if past is None else version_from_json(past["version"])
    if isinstance(compiled.query, FunctionQuery):
        session.snapshots[compiled.flow.name] = found = _ask(compiled.query, latest)
        if found is None:
            return intake
        return _due(intake, found[1], {"after": past and past["version"]}, more=True)
    # A folder without files is no table without rows: it may only not be there yet, or any more.
    empty = [r for r in intake.ranges.values() if r.amount.rows == 0]
    # Nor is a file without a byte: an export that broke off at once leaves one.
    hollow = [r.files for r in intake.ranges.values() if r.files]
    hollow = [files for files in hollow if not any(f.size for f in files)]
    if intake.idle or intake.absent or empty or hollow:
        return intake
    fingerprint, _ = session.analysis.definitions[compiled.dataset.name]
    inputs = digest(fingerprint_of(intake.ranges), fingerprint)
    volatile = compiled.flow.name in session.analysis.volatile
    if past is not None and past.get("inputs") == inputs and not volatile:
        return intake
    version = moment_after(datetime.now(UTC), latest)
    return _due(_waiting(session, compiled, intake), version, {"inputs": inputs}, more=False)


def _due(intake: Intake, version: Version, more_of_it: Mapping[str, Any], more: bool) -> Intake:
    value = {"kind": "snapshot", "version": version_to_json(version), **more_of_it}
    ranges = {**intake.ranges, TAKEN: Range(value, positioned=True)}
    return replace(intake, ranges=ranges, more=more, due=True)


def _waiting(session: Session, compiled: CompiledFlow, intake: Intake) -> Intake:
    """How much a snapshot has, as far as that is known before it is read."""
    amounts: dict[str, Amount] = {}
    for source in (r.source for r in compiled.reads):
        amount = intake.ranges[SNAPSHOT + source.key].amount
        if source.dataset is not None:
            there = session.readable(source.dataset)
            amount = there.store.snapshot(there.table).amount
        if amount != Amount():
            amounts[source.label] = amount
    return replace(intake, waiting=tuple(Waiting(n, found) for n, found in amounts.items()))


def version_of(epoch: Epoch) -> Version | None:
    """The version of the snapshot that an epoch takes; None if it takes none."""
    taken = epoch.ranges.get(TAKEN)
    return None if taken is None else version_from_json(taken.value["version"])


def query_of(session: Session, compiled: CompiledFlow, epoch: Epoch) -> Computation:
    """The query of an epoch: a function that gives snapshots gives the one of that epoch."""
    query = compiled.query
    if not (takes_snapshots(compiled) and isinstance(query, FunctionQuery)):
        return query
    return replace(query, function=_frame(session, compiled, epoch, query))


def _frame(
    session: Session, compiled: CompiledFlow, epoch: Epoch, query: FunctionQuery
) -> Callable[[], Any]:
    value = epoch.ranges[TAKEN].value
    wanted = version_from_json(value["version"])
    latest = None if value["after"] is None else version_from_json(value["after"])

    @wraps(query.function)
    def frame() -> Any:
        # What the decision has got from the function; after a crash it is asked once more.
        known = session.snapshots.pop(compiled.flow.name, None)
        found = known if known is not None and known[1] == wanted else _ask(query, latest)
        if found is None or found[1] != wanted:
            raise QueryError(
                f"{query.function.__name__} gave another snapshot than before",
                location=query.location,
                wanted=f"version {wanted} after {_named(latest)}, as it was told",
                got="none" if found is None else f"version {found[1]}",
            )
        return found[0]

    return frame


def _ask(query: FunctionQuery, latest: Version | None) -> tuple[Any, Version] | None:
    """The next snapshot and its version, from a function of the project; None if it has none."""
    name = query.function.__name__
    with blaming((query,)):
        found = query.function(latest)
    if found is None:
        return None
    if not (isinstance(found, tuple) and len(found) == 2):
        raise QueryError(
            f"{name} gave no snapshot with a version",
            location=query.location,
            wanted="(frame, version), or None if there is no other snapshot",
            got=type(found).__name__,
        )
    frame, given = found
    try:
        version = as_version(given)
    except ValueError as error:
        raise QueryError(
            f"{name} gave a snapshot without a proper version: {error}",
            location=query.location,
            wanted=WANTED,
            got=repr(given)[:80],
        ) from None
    if latest is not None and not follows(version, latest):
        raise QueryError(
            f"the versions of {name} do not grow",
            location=query.location,
            wanted=f"a {kind_of(latest)} greater than {latest}, the version of the last snapshot",
            got=f"{kind_of(version)} {version}",
            hint="return None if there is no later snapshot",
        )
    return frame, version


def _named(version: Version | None) -> str:
    return "no other" if version is None else str(version)


def way_back(compiled: CompiledFlow) -> str:
    """What lets rows of a snapshot that wait in quarantine into the table."""
    if isinstance(compiled.query, FunctionQuery):
        return (
            "mend the rows where the next snapshot comes from, or start over:"
            f" {full_refresh(compiled.dataset.name)}"
        )
    return "mend the rows at their source, or the rule: the next run looks at all of them again"
