"""What one environment takes over of another: rows, positions, definition; and when it may not.

What the other has read becomes what this one has read. So both must mean the same: the same
definition, over the same tables and files. Positions are translated by their connectors
(`Source.promoted`); where one cannot, nothing is taken over.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress

from qanat.errors import PromotionError, QanatError, located, naming
from qanat.frozen import Frozen
from qanat.model.adopted import Adopted
from qanat.model.name import Name, same
from qanat.model.pipeline import Dataset, DatasetKind, Flow
from qanat.model.query import DATASET, Read, SqlQuery, dataset_ref
from qanat.model.record import Definition, Epoch, FileRef, Range
from qanat.planning.difference import difference
from qanat.planning.graph import resolve
from qanat.ports.source import ENVIRONMENT, Handover, SameRows
from qanat.run.decide import fingerprint_of
from qanat.run.full_refresh import kept_epochs
from qanat.run.inputs import ONCE, PROMOTED, key_of, references_now
from qanat.run.memo import CompiledFlow
from qanat.run.mismatch import check_history
from qanat.run.past import SNAPSHOT
from qanat.run.session import Session
from qanat.run.snapshots import TAKEN
from qanat.text import listed

_ROWS, _WAITING = "__promoted", "__waiting"


class Taken(Frozen):
    """A dataset of another environment, ready to become this one's.

    Args:
        compiled: a flow of the dataset's own name that reads the other's table.
        ranges: of its epoch: what the other has read, as this one would have read it.
        definition: what the dataset counts as run by, once it is taken over.
        number: of the flow's newest epoch there.
        version, rows: of the table there.
        files: that the other has read.
    """

    compiled: CompiledFlow
    ranges: Mapping[str, Range]
    definition: Definition
    number: int
    version: int
    rows: int | None
    files: frozenset[str]


def take_over(
    session: Session, origin: Session, dataset: Dataset, versions: Mapping[Name, SameRows]
) -> Taken:
    """What a dataset takes over of another environment.

    Args:
        origin: the project in that environment.
        versions: see `Handover`.

    Raises:
        PromotionError: it cannot be taken over as it is; says why, and the way out.
        RereadError, NotAppendOnlyError: what it has read is not what this environment reads.
        HistoryMismatchError: ledger and table of the other are not of the same time.
    """
    name, there = dataset.name, origin.project.environment
    version = check_there(session, origin, dataset)
    flow = _only_flow(session, dataset)
    if flow.changes is not None and not (session.store.merges and origin.store.merges):
        raise PromotionError(
            f"{name} is kept by changes, which only tables of Delta Lake can be",
            location=dataset.location,
            hint=_here(session, dataset),
        )
    if flow.stateful is not None:
        raise PromotionError(
            f"{name} keeps a state from epoch to epoch, which is not handed over",
            location=dataset.location,
            hint=_here(session, dataset),
        )
    table = origin.table(name)
    _check_settled(origin, dataset)
    epochs = _epochs(session, origin, dataset)
    newest = epochs[-1]
    _check_views(origin, flow, newest)
    stream = dataset.kind is DatasetKind.STREAMING_TABLE
    handover = Handover(name, there, versions, exact=not stream)
    ranges = {
        **(_ranges(session, flow, epochs if stream else epochs[-1:], handover)),
        **references_now(session, flow),
    }
    fingerprint, text = session.analysis.definitions[name]
    inputs = "" if stream else fingerprint_of(ranges)
    snapshot = origin.store.snapshot(table, version)
    rows = _read(_ROWS, dataset, name)
    waiting = _waiting(origin, dataset)
    mark = {ENVIRONMENT: there}
    value = {"kind": "snapshot", "version": version, **mark}
    own = {PROMOTED: Range({"version": version, **mark}), key_of(rows): Range(value)}
    if waiting is not None:
        read, at = waiting
        own[key_of(read)] = Range({"kind": "snapshot", "version": at, **mark})
    known = {
        key: columns
        for key in map(key_of, flow.reads)
        if (columns := origin.recorded.source_schema(newest.flow, name, newest.generation, key))
    }
    select = f"SELECT * FROM {_ROWS}"
    query = SqlQuery(select, select, session.dialect, (rows,), dataset.location)
    compiled = CompiledFlow(
        flow=Flow(flow.flow.name, name, query, flow.flow.location),
        dataset=dataset,
        query=query,
        # Rules are about changes, and were checked there before they became rows.
        expectations=() if flow.changes is not None else session.analysis.rules[name],
        views=(),
        reads=(rows,),
        view_reads=(),
        quarantined=None if waiting is None else waiting[0],
        known=known,
        changes=None if flow.changes is None else Adopted(flow.changes),
        adopts=None if flow.changes is None else snapshot,
    )
    return Taken(
        compiled,
        {**ranges, **own},
        Definition(name, str(dataset.kind), fingerprint, inputs, text),
        max(e.number for e in epochs),
        version,
        snapshot.rows,
        frozenset(f.path for e in epochs for r in e.ranges.values() for f in r.files),
    )


def same_rows(origin: Session, name: str, version: int, ours: int) -> SameRows:
    """The versions of a dataset's table in the other environment that have the rows of the newest.

    Args:
        version: of the table there, the newest.
        ours: see `SameRows`.
    """
    since, table = version, origin.table(name)
    # What removed rows is no append, and where entries are gone nobody knows.
    with suppress(QanatError):
        while since > 0:
            added = origin.store.added(table, since - 1, since)
            if added.amount.files or added.corrected:
                break
            since -= 1
    return SameRows(since, version, ours)


def check_there(session: Session, origin: Session, dataset: Dataset) -> int:
    """The version of a dataset's table in the other environment.

    Raises:
        PromotionError: there is none; says the way out.
    """
    name, there = dataset.name, origin.project.environment
    if not dataset.stored:
        raise PromotionError(
            f"{name} is a {dataset.kind}: it has no table to promote",
            location=dataset.location,
            hint=_without_table(session, dataset),
        )
    version = origin.store.version(origin.table(name))
    if version is None or not origin.has_ledger:
        raise PromotionError(
            f"{there} has no table of {name}",
            hint=f"compute it there first: qanat run -e {shlex.quote(there)} --select"
            f" {shlex.quote(name)}",
        )
    return version


def inputs_now(session: Session, flow: CompiledFlow) -> str:
    """The fingerprint of what a view would be computed from now."""
    now = {
        key_of(r): range_
        for r in flow.reads
        if (range_ := session.source(r.source).everything(r.source)) is not None
    }
    return fingerprint_of({**now, **references_now(session, flow)})


def _only_flow(session: Session, dataset: Dataset) -> CompiledFlow:
    flows = session.analysis.flows_into(dataset.name)
    if len(flows) != 1:
        raise PromotionError(
            f"{dataset.name} is fed by {len(flows)} flows, and one commit cannot say of each how"
            " far it has read",
            got=listed([c.flow.name for c in flows]),
            location=dataset.location,
            hint=_here(session, dataset),
        )
    return flows[0]


def _here(session: Session, dataset: Dataset) -> str:
    where = f"qanat run -e {shlex.quote(session.project.environment)}"
    how = "--full-refresh" if dataset.kind is DatasetKind.STREAMING_TABLE else "--refresh"
    return f"compute it in {session.project.environment} instead: {where} {how} {dataset.name}"


def _without_table(session: Session, dataset: Dataset) -> str:
    here = session.project.environment
    if dataset.kind is not DatasetKind.SINK:
        return f"promote what reads it; {here} computes the view itself"
    run = f"qanat run -e {shlex.quote(here)} --select {shlex.quote(dataset.name)}"
    return f"let {here} send by itself what it has not sent: {run}"


def _check_settled(origin: Session, dataset: Dataset) -> None:
    """Refuse what a crash has left half done, or what is not of the same time."""
    there = origin.project.environment
    opened = origin.recorded.open_epochs()
    if origin.recorded.open_moves() or any(e.dataset == dataset.name for e in opened):
        raise PromotionError(
            f"an update of {dataset.name} in {there} was interrupted",
            hint=f"let it come to its end: qanat run -e {shlex.quote(there)} --select"
            f" {shlex.quote(dataset.name)}",
        )
    for compiled in origin.analysis.flows_into(dataset.name):
        check_history(origin, compiled)


def _epochs(session: Session, origin: Session, dataset: Dataset) -> list[Epoch]:
    """The epochs whose rows the table has, oldest first, all by the definition declared now."""
    name, there = dataset.name, origin.project.environment
    fingerprint, text = session.analysis.definitions[name]
    before = origin.recorded.definitions().get(name)
    stream = dataset.kind is DatasetKind.STREAMING_TABLE
    option = "--full-refresh" if stream else "--select"
    again = f"compute it there as it is declared now: qanat run -e {shlex.quote(there)} {option}"
    again += f" {shlex.quote(name)}"
    if before is not None and before.fingerprint != fingerprint:
        _check_configured(session, origin, dataset, before)
        raise PromotionError(
            f"{name} of {there} was computed by another definition than the files have now",
            location=dataset.location,
            got=f"(- {there} has run, + the files have)\n"
            + difference(before.text, text).rstrip(),
            hint=_renamed_there(session, origin, dataset) + again,
        )
    epochs = kept_epochs(origin, dataset)
    if not epochs:
        raise PromotionError(f"{there} has not computed {name} to its end", hint=again)
    if stream and any(e.fingerprint != fingerprint for e in epochs):
        raise PromotionError(
            f"some rows of {name} in {there} were computed by an earlier definition",
            location=dataset.location,
            hint=again,
        )
    return epochs


def _renamed_there(session: Session, origin: Session, dataset: Dataset) -> str:
    """The renaming that the other environment lacks, if what it has read has another name now."""
    read = (s.key for s in origin.recorded.sources() if same(s.dataset, dataset.name))
    past = {key for key in read if not key.startswith(SNAPSHOT)}
    flows = session.analysis.flows_into(dataset.name)
    now = {r.source.key: r.source for c in flows for r in c.reads if r.streaming}
    gone, come = past - now.keys(), [s.dataset for key, s in now.items() if key not in past]
    if len(gone) != 1 or len(come) != 1 or come[0] is None:
        return ""
    connector, _, old = gone.pop().partition(":")
    if connector != DATASET or resolve(session.pipeline, old) is not None:
        return ""
    command = shlex.join(("qanat", "rename", old, come[0], "-e", origin.project.environment))
    return f"if only a name has changed: {command}; else "


def _check_configured(
    session: Session, origin: Session, dataset: Dataset, before: Definition
) -> None:
    """Refuse what the two environments define differently: to compute it anew does not help.

    Raises:
        PromotionError: the other environment has run just what the files have for it.
    """
    name, here, there = dataset.name, session.project.environment, origin.project.environment
    if origin.analysis.definitions[name][0] != before.fingerprint:
        return
    text = session.analysis.definitions[name][1]
    ours, theirs = session.project.configuration, origin.project.configuration
    # A value may be in the definition by chance; a key more is no harm in a message.
    keys = [
        key
        for key in dict.fromkeys((*ours, *theirs))
        if ours.get(key) != theirs.get(key)
        and ours.get(key, "") in text
        and theirs.get(key, "") in before.text
    ]
    values = f", by configuration {' and '.join(f'`{k}`' for k in keys)}" if keys else ""
    raise PromotionError(
        f"{name} has another definition in {there} than in {here}{values}",
        location=dataset.location,
        got=f"(- {there}, + {here})\n" + difference(before.text, text).rstrip(),
        hint=_here(session, dataset),
    )


def _check_views(origin: Session, flow: CompiledFlow, newest: Epoch) -> None:
    """Refuse to leave behind rows that wait in the quarantine of a temporary view."""
    for view in flow.views:
        name = view.dataset.name
        mark = origin.recorded.quarantine_mark(
            newest.flow, flow.dataset.name, newest.generation, name
        )
        if mark is not None and not mark.emptied:
            raise PromotionError(
                f"rows of {flow.dataset.name} wait in the quarantine of {name}, which several"
                " datasets share",
                location=view.dataset.location,
                hint=f"put the rule on {flow.dataset.name} instead of the view, or compute it"
                " here, with qanat run",
            )


def _ranges(
    session: Session, flow: CompiledFlow, epochs: Sequence[Epoch], handover: Handover
) -> dict[str, Range]:
    """All that epochs have read together, as this environment would have read it."""
    found: dict[str, Range] = {}
    for key in dict.fromkeys(map(key_of, flow.reads)):
        read = next(r for r in flow.reads if key_of(r) == key)
        ranges = [e.ranges[key] for e in epochs if key in e.ranges]
        if not ranges:
            continue
        files: dict[str, FileRef] = {}
        if not key.startswith(SNAPSHOT):
            files = {f.path: f for r in ranges for f in r.files}
        last = ranges[-1]
        # A position that was told once holds on; only the newest range of a key may be without.
        placed = next((r for r in reversed(ranges) if r.positioned), last)
        whole = Range(placed.value, tuple(files.values()) or last.files, placed.positioned)
        with located(read.location), naming(flow.dataset.name):
            found[key] = session.source(read.source).promoted(read.source, whole, handover)
    for key in (ONCE, TAKEN):
        if (told := epochs[-1].ranges.get(key)) is not None:
            found[key] = told
    return found


def _read(name: str, dataset: Dataset, place: str) -> Read:
    return Read(name, dataset_ref(place), streaming=False, location=dataset.location)


def _waiting(origin: Session, dataset: Dataset) -> tuple[Read, int] | None:
    """The quarantine there, and its version; None if nothing waits in it."""
    table = origin.table(dataset.quarantine)
    version = origin.store.version(table)
    if version is None or origin.store.snapshot(table, version).rows == 0:
        return None
    return _read(_WAITING, dataset, dataset.quarantine), version
