"""Whether a flow would read again what is there already, because of a new name.

A flow is known by its name, a source by its key, a dataset by its name. Where one of them goes and
another comes, nobody can tell a new name from a new thing. A stream that is read from its start
puts its rows beside those that are there; a sink sends them again; a new table doubles an old one,
whose readers then read them twice. So that is refused until the author says which it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from qanat.errors import QanatError, RereadError, full_refresh
from qanat.frozen import Frozen
from qanat.model.name import Name, Named, fold, same
from qanat.model.pipeline import Dataset, DatasetKind, is_declared
from qanat.model.query import Read, dataset_ref
from qanat.model.record import Definition, Epoch, FileRef, PastSource, Range
from qanat.run.commits import published
from qanat.run.decide import Decision
from qanat.run.defined import settled
from qanat.run.dropped import check_dropped, waiting_of
from qanat.run.inputs import ONCE, Intake, will_change
from qanat.run.memo import CompiledFlow
from qanat.run.past import SNAPSHOT
from qanat.run.session import Session


class PastSources(Frozen):
    """What has been read as streams.

    Args:
        by_dataset: by the dataset that it was read into.
        by_flow: the same by the flow that read it.
        once: the flows that were declared to run a single time.
        begun: of datasets that are no longer declared, the epochs that a crash left open although
            readers or receivers see them. The next update calls them committed.
    """

    by_dataset: Mapping[Name, Sequence[PastSource]]
    by_flow: Mapping[str, Sequence[PastSource]]
    once: frozenset[str] = frozenset()
    begun: tuple[Epoch, ...] = ()

    @property
    def every(self) -> Iterator[PastSource]:
        """All of it."""
        return (source for sources in self.by_dataset.values() for source in sources)


class _Gone(Frozen):
    """What is read no more.

    Args:
        words: what a message calls it.
        name: its name, if it is a flow or dataset.
        sources: that have gone, or those of the flows that are no longer declared.
        once: whether it was to run a single time, and so was to go.
        target: where it was read into, if that is another dataset.
        declared: whether it is a flow that is still declared, and feeds another dataset: nothing
            else is that flow under another name, but may read the same.
        files: that it has read in an epoch which the ledger does not call committed yet.
    """

    words: str
    name: str
    sources: tuple[PastSource, ...]
    once: bool = False
    target: str = ""
    declared: bool = False
    files: frozenset[str] = frozenset()


def past_sources(session: Session) -> PastSources:
    """What the ledger knows to have been read, by dataset."""
    found: dict[Name, list[PastSource]] = {}
    flows: dict[str, list[PastSource]] = {}
    once: set[str] = set()
    begun = tuple(e for e in session.recorded.open_epochs() if _is_begun(session, e))
    unsettled = (
        PastSource(e.flow, e.dataset, e.generation, key, range_.positioned)
        for e in begun
        for key, range_ in e.ranges.items()
    )
    for source in dict.fromkeys((*session.recorded.sources(), *unsettled)):
        if source.key == ONCE:
            once.add(source.flow)
        elif not source.key.startswith(SNAPSHOT):
            found.setdefault(fold(source.dataset), []).append(source)
            flows.setdefault(source.flow, []).append(source)
    return PastSources(found, flows, frozenset(once), begun)


def _is_begun(session: Session, epoch: Epoch) -> bool:
    if session.pipeline.get(epoch.dataset) is not None or not is_declared(epoch.flow):
        return False
    # A sink that cannot be asked now fails its dataset when recovery asks it.
    with suppress(QanatError):
        return published(session, epoch)
    return False


def check_identity(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    past: PastSources,
    intake: Intake,
    decided: Mapping[str, Decision],
    published: Epoch | None = None,
) -> None:
    """Refuse to read from its start what is there already under another name.

    Args:
        generation: of the flow's target; in a new one nothing has been read.
        intake: what the flow would read.
        decided: what the update does before it comes to the flow, by dataset.
        published: an epoch of the flow that readers see, and the ledger does not know yet.

    Raises:
        RereadError: a source, flow or dataset has gone, and another one has come; or the flow has
            been sent into another dataset.
    """
    _check_once(session, compiled, past)
    every = past.by_dataset.get(fold(compiled.dataset.name), ())
    known = [s for s in every if s.generation == generation]
    mine = {s.key for s in known if s.flow == compiled.flow.name}
    mine |= published.ranges.keys() if published is not None else set()
    streams = [r for r in compiled.reads if r.streaming and r.source.key not in mine]
    if not streams:
        return
    check_dropped(session, compiled, generation, streams, intake, decided)
    if known:
        gone = [*_gone(session, compiled, known, past.once)]
    elif every or generation or published is not None:
        gone = []  # it has started over
    else:
        gone = [*_former(session, compiled.dataset, past)]
    if known or all(s.flow != compiled.flow.name for s in every):
        gone += _elsewhere(session, compiled, past)
    for read in streams if gone else ():
        range_ = intake.ranges.get(read.source.key)
        if range_ is None and not will_change(session, read, decided):
            continue
        for each in gone:
            new = not known or each.declared
            if _may_have(session, compiled, each, read, range_, new):
                raise _refusal(session, compiled, read, each, intake, new)


def _check_once(session: Session, compiled: CompiledFlow, past: PastSources) -> None:
    """Refuse to run a second time, into another dataset, what was to run once.

    Raises:
        RereadError: the flow has run, and what it made is there.
    """
    flow, name = compiled.flow, compiled.dataset.name
    if not flow.once or flow.name not in past.once or any(r.streaming for r in compiled.reads):
        return  # of a stream, it is told what would be read again
    for last in session.recorded.last_epochs(flow.name):
        now = session.recorded.generation(last.dataset)
        if same(last.dataset, name) or last.generation != now or not _holds(session, last.dataset):
            continue
        raise RereadError(
            f"flow {flow.name}, which was to run once, has run into {last.dataset}, and would run"
            f" into {name}",
            location=flow.location,
            hint=f"if its rows are to be in both: qanat run --read-again {shlex.quote(name)}"
            + _taken_out(session, last.dataset),
        )


def _gone(
    session: Session,
    compiled: CompiledFlow,
    known: Collection[PastSource],
    once: Collection[str],
) -> Iterator[_Gone]:
    """What has been read into the flow's table, and is not declared any more."""
    own = {r.source.key for r in compiled.reads if r.streaming}
    for source in known:
        if source.flow == compiled.flow.name and source.key not in own:
            name = source.key.partition(":")[2] or source.key
            yield _Gone(name, name, (source,))
    declared = {c.flow.name for c in session.analysis.flows_into(compiled.dataset.name)}
    for flow in dict.fromkeys(s.flow for s in known if s.flow not in declared):
        sources = tuple(s for s in known if s.flow == flow)
        goes = flow in once and not compiled.flow.once
        yield _Gone(f"flow {flow}", flow, sources, goes, declared=flow in session.analysis.flows)


def _elsewhere(session: Session, compiled: CompiledFlow, past: PastSources) -> Iterator[_Gone]:
    """What the flow has read into other datasets, which still have it, before it was sent here."""
    flow, own = compiled.flow.name, compiled.dataset.name
    sources = [s for s in past.by_flow.get(flow, ()) if not same(s.dataset, own)]
    for target in dict.fromkeys(s.dataset for s in sources):
        mine = tuple(s for s in sources if s.dataset == target)
        # It may have started over since, without the flow.
        now = session.recorded.generation(target)
        if any(s.generation == now for s in mine) and _holds(session, target):
            yield _Gone(f"flow {flow}", flow, mine, target=target, declared=True)


def _holds(session: Session, name: str) -> bool:
    """True if what was written for a dataset is there, as far as is known of a sink's."""
    known = session.recorded.definitions().get(name)
    if known is not None and known.kind == str(DatasetKind.SINK):
        return True
    return session.store.version(session.table_named(name)) is not None


def _former(session: Session, dataset: Dataset, past: PastSources) -> Iterator[_Gone]:
    """The datasets that are no longer declared, and that a new one may be under another name.

    Of the same kind, with rows that would be there twice: a table whose folder is still there, or
    a sink that sent to the same target. How long ago makes no difference: old rows are doubled
    like new ones. One answer is enough, as the dataset has a past of its own from then on; so is
    to delete the old table.
    """
    vanished = [n for n in past.by_dataset if session.pipeline.get(n) is None]
    definitions = session.recorded.definitions() if vanished else Named[Definition]()
    for name in vanished:
        begun = [e for e in past.begun if same(e.dataset, name)]
        old = definitions.get(name) or next((settled(session, e) for e in begun), None)
        if old is None or old.kind != str(dataset.kind) or not _still(session, dataset, old):
            continue
        generation = session.recorded.generation(old.dataset)
        every = past.by_dataset[fold(old.dataset)]
        sources = tuple(s for s in every if s.generation == generation)
        unsettled = frozenset(f.path for e in begun for r in e.ranges.values() for f in r.files)
        yield _Gone(old.dataset, old.dataset, sources, files=unsettled)


def _still(session: Session, dataset: Dataset, old: Definition) -> bool:
    """True if what a former dataset has written is there, beside what the new one would write."""
    if dataset.sink is None:
        return session.store.version(session.table(old.dataset)) is not None
    _, text = session.analysis.definitions[dataset.name]
    return _target(old.text) == _target(text)


def _target(definition: str) -> str:
    """Where a sink sends its rows, as the text of its definition has it after the first line."""
    lines = definition.splitlines()[1:]
    return next((line for line in lines if line.startswith("sink ")), "")


def _may_have(
    session: Session,
    compiled: CompiledFlow,
    gone: _Gone,
    read: Read,
    range_: Range | None,
    new: bool,
) -> bool:
    """True if what is read no more may have brought what would be read.

    Files are known one by one: a flow takes none twice, under whatever name it found them. Of
    other sources only the key is known, and that is another one if the source has got another
    name, too: so it is asked about each. Except where something goes and comes for other reasons
    more often: a flow that was to run a single time goes, and a dataset comes.

    Args:
        range_: of the source; None if the update changes it first.
        new: whether the dataset is.
    """
    loose = not (new or gone.once)
    if range_ is None or not range_.files:
        return loose or any(s.key == read.source.key for s in gone.sources)
    if any(s.positioned for s in gone.sources) and loose:
        return True
    # All of them: options may limit what the next epoch takes.
    now = session.source(read.source).everything(read.source)
    files = now.files if now is not None else ()
    if any(f.path in gone.files for f in files):
        return True
    others = (s for s in gone.sources if s.flow != compiled.flow.name or new)
    flows = {(s.flow, s.dataset, s.generation) for s in others}
    if any(session.recorded.seen(*f, [x.path for x in files]) for f in flows):
        return True
    return not new and any(_moved(session, s, files) for s in gone.sources)


def _moved(session: Session, gone: PastSource, files: Sequence[FileRef]) -> bool:
    """True if files that were read as one source may be those of another by now.

    They are no longer where they were, and some of the same name and size are here. That is a
    guess; to ask is better than to double every row of a folder that was moved.
    """
    here = {(PurePosixPath(f.path).name, f.size) for f in files}
    epochs = session.recorded.epochs(dataset=gone.dataset, files=True)
    root = session.project.root  # what is below it is kept relative to it
    return any(
        (PurePosixPath(f.path).name, f.size) in here and not (root / f.path).exists()
        for epoch in epochs
        if epoch.flow == gone.flow and epoch.generation == gone.generation
        for f in (epoch.ranges[gone.key].files if gone.key in epoch.ranges else ())
    )


def _refusal(
    session: Session,
    compiled: CompiledFlow,
    read: Read,
    gone: _Gone,
    intake: Intake,
    new: bool,
) -> RereadError:
    name, source = compiled.dataset.name, read.source.label
    dataset = shlex.quote(name)
    what = waiting_of(intake, source)
    again = f"qanat run --read-again {dataset}"
    rename = f"qanat rename {shlex.quote(gone.name)}"
    if gone.target:
        return RereadError(
            f"{name} would read {source} from its start ({what}), as {gone.words} has read it into"
            f" {gone.target}, which it feeds no more",
            location=read.location,
            hint=f"if the rows are to be in both: {again}" + _taken_out(session, gone.target),
        )
    if gone.declared:
        return RereadError(
            f"{name} would read {source} from its start ({what}), beside what it has read of"
            f" {gone.words}, which feeds it no more",
            location=read.location,
            hint=f"start over: {full_refresh(name)}; if these are other rows: {again}",
        )
    if new:
        return RereadError(
            f"{name} would read {source} from its start ({what}), as {gone.words} has, which is no"
            " longer declared",
            location=read.location,
            hint=f"if only the name has changed: {rename} {dataset}, or take the old one; if it is"
            f" another {compiled.dataset.kind}: {again}",
        )
    ways = f"take the old one, or start over: {full_refresh(name)}"
    if gone.words != gone.name:
        ways = f"{rename} {shlex.quote(compiled.flow.name)}, or {ways}"
    elif read.source.dataset is not None and _is_dataset(session, gone):
        ways = f"{rename} {shlex.quote(read.source.dataset)}, or {ways}"
    elif read.source.dataset is None:
        ways = f"{rename} {shlex.quote(read.source.place)}, or {ways}"
    return RereadError(
        f"{name} would read {source} from its start ({what}), beside what it has"
        f" read of {gone.words}, which it reads no more",
        location=read.location,
        hint=f"if only a name has changed: {ways}; if these are other rows: {again}",
    )


def _is_dataset(session: Session, gone: _Gone) -> bool:
    """True if what is read no more is a dataset, here or in the environment that is read from."""
    if session.project.reads_from is not None:
        return any(s.key == dataset_ref(gone.name).key for s in gone.sources)
    return gone.name in session.recorded.definitions()


def _taken_out(session: Session, old: str) -> str:
    """The way on if the rows of a former target are not to stay there."""
    declared = session.pipeline.get(old)
    if declared is None:
        return f"; if not, first: qanat drop {shlex.quote(old)}"
    return f"; if not, first: {full_refresh(old)}" if declared.stored else ""
