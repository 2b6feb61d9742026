"""Source files that come back with new content: whether and how their earlier rows go.

Rows of streaming tables tell which source file they come from (`Work.sourced`), also through other
tables. So the rows of a file can be found wherever they are, as long as they came there in one way
only; what reads a table as a stream takes the change over, from table to table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TypeAlias

from qanat.digest import number
from qanat.errors import (
    NotAppendOnlyError,
    UnsupportedError,
    full_refresh,
)
from qanat.model.pipeline import DatasetKind
from qanat.model.query import Read
from qanat.model.record import Epoch, EpochStatus, Range
from qanat.model.staged import Staged
from qanat.model.work import Correction, Output, Stale, Stored, Work
from qanat.planning.graph import resolve, writers
from qanat.run.earlier import known_sources
from qanat.run.inputs import PROMOTED, key_of
from qanat.run.memo import CompiledFlow
from qanat.run.merging import has_feed
from qanat.run.past import FlowPast
from qanat.run.session import Session
from qanat.text import listed

Files: TypeAlias = tuple[tuple[Read, tuple[str, ...]], ...]
"""Source files, by the stream that brings them."""


def sourced(
    session: Session, compiled: CompiledFlow, ranges: Mapping[str, Range]
) -> frozenset[str]:
    """The inputs of an epoch whose rows tell which source file they come from."""
    if compiled.changes is not None or compiled.stateful or not session.store.merges:
        return frozenset()
    if compiled.readmits:
        # Those that stay in a quarantine go on telling it, also in that of a view.
        return frozenset(r.name for r in compiled.reads)
    if compiled.dataset.kind is not DatasetKind.STREAMING_TABLE:
        return frozenset()
    # The rows of another environment's table tell it as well.
    promoted = PROMOTED in ranges
    return frozenset(r.name for r in compiled.reads if r.streaming or promoted)


def corrected(session: Session, compiled: CompiledFlow, ranges: Mapping[str, Range]) -> Files:
    """The source files whose earlier rows an epoch replaces, by the stream that brings them."""
    found: dict[str, tuple[Read, tuple[str, ...]]] = {}
    for read in compiled.reads:
        range_ = ranges.get(key_of(read)) if read.streaming else None
        if range_ is not None and (files := session.source(read.source).corrected(range_)):
            found[key_of(read)] = read, files
    return tuple(found.values())


def correction_of(
    session: Session,
    compiled: CompiledFlow,
    epoch: Epoch,
    output: Output,
    quarantines: Mapping[str, Output],
) -> Correction | None:
    """What an epoch takes away; None if nothing.

    Args:
        output: of its table.
        quarantines: by dataset, those that it may put rows into.
    """
    if epoch.replaces or compiled.readmits:
        return None
    files = names_in(corrected(session, compiled, epoch.ranges))
    if not files:
        return None
    own = compiled.dataset.name
    flows = tuple(session.analysis.flows)
    known = partial(known_sources, session, own)
    stale = {}
    for name, each in quarantines.items():
        table = session.table(session.pipeline.dataset(name).quarantine)
        if session.store.version(table) is not None:
            # Rows of other flows wait in the quarantine of a view.
            stored = _stored(session, table.name, each)
            others = Stale(stored, known, compiled.flow.name, flows)
            stale[name] = Stale(stored, known) if name == own else others
    there = session.store.version(session.table(own)) is not None
    target = Stale(_stored(session, own, output), known) if there else None
    return Correction(files, target, stale, has_feed(compiled.dataset))


def _stored(session: Session, table: str, output: Output) -> Output:
    snapshot = session.store.snapshot(session.table_named(table))
    return replace(
        output,
        stored=Stored(snapshot.batch, snapshot.version),
        partition_by=snapshot.partition_by,
    )


def names_in(found: Files) -> tuple[str, ...]:
    """All of some source files."""
    return tuple(sorted({name for _, files in found for name in files}))


def replaced(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    ranges: Mapping[str, Range],
    above: Mapping[str, Collection[str]],
) -> tuple[str, ...]:
    """The source files whose rows a flow replaces, now or once what it reads is updated.

    Args:
        generation: of its target.
        ranges: what it would read.
        above: by dataset, what the update replaces there before it comes to the flow.

    Raises:
        NotAppendOnlyError, UnsupportedError: it cannot.
    """
    found = corrected(session, compiled, ranges)
    found += foreseen(session, compiled, generation, above) if above else ()
    if found:
        check_correction(session, compiled, found)
    return names_in(found)


# -- whether ---------------------------------------------------------------------------------


def check_correction(session: Session, compiled: CompiledFlow, found: Files) -> None:
    """Refuse to replace rows that cannot all be told, or not without others.

    Args:
        found: the source files whose rows are to go.

    Raises:
        NotAppendOnlyError: a table that is read as a stream has replaced rows, and the flow's own
            rows do not tell which came from these.
        UnsupportedError: the rows of a file are not told, or came in several ways.
    """
    for read, files in found:
        why = why_not(session, compiled)
        if why:
            raise _refused(compiled, read, files, why)
        if _bringing(session, read, files) > 1:
            raise _ambiguous(compiled, read, files)
        for other, way in _ways(session, compiled, read):
            if twice := brought(session, other, way, files):
                raise _ambiguous(compiled, way, twice)


def why_not(session: Session, compiled: CompiledFlow) -> str:
    """Why rows that come from a source file cannot go again; empty if they can."""
    if not session.store.merges:
        return f"rows of {session.project.table_format} tables do not tell it"
    # Imported only here: with it comes the parser.
    asked = import_module("qanat.planning.corrections").why_not
    why: str = asked(session.pipeline, compiled.flow, compiled.dataset)
    return why


def _ways(
    session: Session, compiled: CompiledFlow, read: Read
) -> Iterator[tuple[CompiledFlow, Read]]:
    """The other streams by which rows come into the table of a flow."""
    for other in session.analysis.flows_into(compiled.dataset.name):
        for way in other.reads:
            same = other.flow.name == compiled.flow.name and key_of(way) == key_of(read)
            if way.streaming and not same:
                yield other, way


def _bringing(session: Session, read: Read, files: Collection[str]) -> int:
    """How many flows may have brought rows of source files into a table that is read.

    Those of the quarantine of a temporary view have several, and each replaces its own rows.
    """
    feeding = writers(session.pipeline, read.source.dataset) if read.source.dataset else ()
    flows = (flow for name in feeding for flow in session.analysis.flows_into(name))
    return sum(
        any(brought(session, flow, r, files) for r in flow.reads if r.streaming) for flow in flows
    )


def brought(
    session: Session, compiled: CompiledFlow, read: Read, files: Iterable[str]
) -> frozenset[str]:
    """Those of some source files that a stream of a flow may have read, also through tables."""
    asked, dataset = tuple(files), session.pipeline.get(read.source.dataset or "")
    if read.source.dataset is None:
        generation = session.recorded.generation(compiled.dataset.name)
        past = FlowPast(session.recorded, compiled, read.source.key, generation)
        # A table of others may have rows of any file.
        return frozenset(asked if past.position is not None else past.seen(asked))
    dataset = dataset or resolve(session.pipeline, read.source.dataset)
    flows = session.analysis.flows_into(dataset.name) if dataset is not None else []
    below = ((flow, r) for flow in flows for r in flow.reads if r.streaming)
    return frozenset().union(*(brought(session, flow, r, asked) for flow, r in below))


def check_told(
    session: Session,
    compiled: CompiledFlow,
    work: Work,
    staged: Staged,
    ranges: Mapping[str, Range],
) -> None:
    """Refuse to publish if the table has rows of files that nobody knows by these names any more.

    Rows of a file that was moved since say its former name, and would stay.

    Raises:
        UnsupportedError: there are some.
    """
    if work.correction is None:
        return
    if staged.told is None:
        raise UnsupportedError(
            f"engine {session.project.engine} cannot replace rows of {compiled.dataset.name}",
            location=compiled.flow.location,
            hint=f"read everything again: {full_refresh(compiled.dataset.name)}",
        )
    if not any(ranges[key_of(r)].files for r, _ in corrected(session, compiled, ranges)):
        return
    above = session.graph.upstream(compiled.dataset.name)
    known = {
        number(f.path)
        for name in (compiled.dataset.name, *above)
        for epoch in _epochs(session, name)
        for range_ in epoch.ranges.values()
        for f in range_.files
    }
    if staged.told - known:
        raise UnsupportedError(
            f"rows of {compiled.dataset.name} come from files that it does not know by these names"
            " any more, so that those of a file cannot be replaced",
            location=compiled.flow.location,
            hint=f"start over: {full_refresh(compiled.dataset.name)}",
        )


# -- what readers have ------------------------------------------------------------------------


def first_versions(session: Session, dataset: str, files: Iterable[str]) -> dict[str, int]:
    """The versions of a table that brought the first rows of source files; 0 where unknown.

    A reader that has come that far may have read some of them.
    """
    found = dict.fromkeys(files, 0)
    epochs = [e for e in _epochs(session, dataset) if e.status is EpochStatus.COMMITTED]
    for compiled in session.analysis.flows_into(dataset):
        mine = [e for e in epochs if e.flow == compiled.flow.name and e.version is not None]
        for read in (r for r in compiled.reads if r.streaming):
            for name, version in _first(session, compiled, mine, read, found).items():
                found[name] = min(version, found[name] or version)
    return found


def _epochs(session: Session, dataset: str) -> list[Epoch]:
    """The epochs of a dataset since it last started over, with their files; the newest first."""
    generation = session.recorded.generation(dataset)
    epochs = session.recorded.epochs(dataset=dataset, files=True)
    return [e for e in epochs if e.generation == generation]


def _first(
    session: Session,
    compiled: CompiledFlow,
    epochs: list[Epoch],
    read: Read,
    files: Collection[str],
) -> dict[str, int]:
    """The versions of the first of some epochs that have read files by a stream."""
    first: dict[str, int] = {}
    files = brought(session, compiled, read, files)
    above = first_versions(session, read.source.dataset, files) if read.source.dataset else {}
    source = session.source(read.source)
    for epoch in reversed(epochs):  # the oldest first
        range_ = epoch.ranges.get(key_of(read))
        if range_ is None or epoch.version is None:
            continue
        reached = source.reached(range_.value) if above else None
        names = {f.path for f in range_.files} & set(files)
        names |= {n for n, version in above.items() if reached is not None and reached >= version}
        for name in names - first.keys():
            first[name] = epoch.version
    return first


def foreseen(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    corrects: Mapping[str, Collection[str]],
) -> Files:
    """The source files whose rows a flow has read by a stream that will have replaced them.

    Args:
        corrects: by dataset, what the update replaces there before it comes to the flow.
    """
    found: list[tuple[Read, tuple[str, ...]]] = []
    for read in compiled.reads:
        dataset = session.pipeline.get(read.source.dataset or "")
        files = () if dataset is None else corrects.get(dataset.name, ())
        if dataset is None or not files or not read.streaming or read.source.survives:
            continue
        past = FlowPast(session.recorded, compiled, read.source.key, generation)
        position = past.position
        reached = None if position is None else session.source(read.source).reached(position)
        if reached is None:
            continue
        first = first_versions(session, dataset.name, files)
        if had := tuple(n for n in sorted(files) if first[n] <= reached):
            found.append((read, had))
    return tuple(found)


# -- messages -----------------------------------------------------------------------------------


def _refused(
    compiled: CompiledFlow, read: Read, files: Collection[str], why: str
) -> NotAppendOnlyError | UnsupportedError:
    name, of = compiled.dataset.name, read.source.dataset
    if of is None:
        return UnsupportedError(
            f"rows of {_shown(files)} cannot be replaced in {name}: {why}",
            location=read.location,
            hint=f"read everything again: {full_refresh(name)}",
        )
    return NotAppendOnlyError(
        f"{of} replaces the rows of {_shown(files)}, which {name} has read as a stream, and {why}",
        location=read.location,
        hint=f"start over: {full_refresh(name)}; or read what changes:"
        f" STREAM table_changes('{of}')",
    )


def _ambiguous(compiled: CompiledFlow, way: Read, files: Collection[str]) -> UnsupportedError:
    name = compiled.dataset.name
    return UnsupportedError(
        f"rows of {_shown(files)} come into {name} in several ways, one of them through"
        f" {way.source.label}, and do not tell by which",
        location=way.location,
        hint=f"read everything again: {full_refresh(name)}",
    )


def _shown(files: Collection[str]) -> str:
    return listed(sorted(files))
