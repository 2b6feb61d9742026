"""Whether a flow would read again what its table already has, because of a new name.

A flow is known by its name, a source by its key. Where one of them goes and another comes, nobody
can tell a new name from a new thing, and a stream that is read from its start puts its rows beside
those that are there. So that is refused until the author says which of the two it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence

from qanat.errors import RereadError, full_refresh
from qanat.frozen import Frozen
from qanat.model.name import Name, fold
from qanat.model.query import Read
from qanat.model.record import Epoch, PastSource
from qanat.model.work import Amount
from qanat.run.decide import Decision
from qanat.run.inputs import SNAPSHOT, Intake, will_change
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.text import count, size

PastSources = Mapping[Name, Sequence[PastSource]]
"""By dataset, what its flows have read as streams."""


class _Gone(Frozen):
    """What is read no more.

    Args:
        sources: of the flow, or of the flow that is no longer declared.
        flow: that one's name; empty if a source is gone.
    """

    words: str
    sources: tuple[PastSource, ...]
    flow: str = ""


def past_sources(session: Session) -> PastSources:
    """What the ledger knows to have been read, by dataset."""
    found: dict[Name, list[PastSource]] = {}
    for source in session.recorded.sources():
        if not source.key.startswith(SNAPSHOT):
            found.setdefault(fold(source.dataset), []).append(source)
    return found


def check_identity(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    past: PastSources,
    intake: Intake,
    decided: Mapping[str, Decision],
    published: Epoch | None = None,
) -> None:
    """Refuse to read from its start what the table may have under another name.

    Args:
        generation: of the flow's target; in a new one nothing has been read.
        intake: what the flow would read.
        decided: what the update does before it comes to the flow, by dataset.
        published: an epoch of the flow that readers see, and the ledger does not know yet.

    Raises:
        RereadError: a source or flow has gone, and another one has come.
    """
    dataset = compiled.dataset.name
    known = [s for s in past.get(fold(dataset), ()) if s.generation == generation]
    if not known:
        return
    mine = {s.key for s in known if s.flow == compiled.flow.name}
    mine |= published.ranges.keys() if published is not None else set()
    for read in compiled.reads:
        if not read.streaming or read.source.key in mine:
            continue
        range_ = intake.ranges.get(read.source.key)
        if range_ is None and not will_change(session, read, decided):
            continue
        for gone in _gone(session, compiled, known):
            if range_ is None or not range_.files or _may_have(session, compiled, gone, read):
                raise _refusal(session, compiled, read, gone, intake)


def _gone(
    session: Session, compiled: CompiledFlow, known: Collection[PastSource]
) -> Iterator[_Gone]:
    """What has been read into the flow's table, and is not declared any more."""
    own = {r.source.key for r in compiled.reads if r.streaming}
    for source in known:
        if source.flow == compiled.flow.name and source.key not in own:
            yield _Gone(source.key.partition(":")[2] or source.key, (source,))
    declared = {c.flow.name for c in session.analysis.flows_into(compiled.dataset.name)}
    for flow in dict.fromkeys(s.flow for s in known if s.flow not in declared):
        yield _Gone(f"flow {flow}", tuple(s for s in known if s.flow == flow), flow)


def _may_have(session: Session, compiled: CompiledFlow, gone: _Gone, read: Read) -> bool:
    """True if the table may have rows of files already, from what is read no more.

    Files are known one by one: a flow takes none twice, under whatever name it found them.
    """
    if any(s.positioned for s in gone.sources):
        return True
    # All of them: options may limit what the next epoch takes.
    now = session.source(read.source).everything(read.source)
    paths = [f.path for f in now.files] if now is not None else []
    flows = {(s.flow, s.generation) for s in gone.sources if s.flow != compiled.flow.name}
    return any(session.recorded.seen(*f, paths) for f in flows)


def _refusal(
    session: Session, compiled: CompiledFlow, read: Read, gone: _Gone, intake: Intake
) -> RereadError:
    dataset = shlex.quote(compiled.dataset.name)
    source = read.source.label
    what = next((_told(w.amount) for w in intake.waiting if w.source == source), "all of it")
    return RereadError(
        f"{compiled.dataset.name} would read {source} from its start ({what}), beside what it has"
        f" read of {gone.words}, which it reads no more",
        location=read.location,
        hint=f"if only a name has changed: {_renaming(session, compiled, read, gone)}start over:"
        f" {full_refresh(compiled.dataset.name)}; if these are other rows:"
        f" qanat run --read-again {dataset}",
    )


def _renaming(session: Session, compiled: CompiledFlow, read: Read, gone: _Gone) -> str:
    """The command that takes along what has been read, where one name can have become another."""
    if gone.flow:
        old, new = gone.flow, compiled.flow.name
    else:
        key = gone.sources[0].key
        connector, _, old = key.partition(":")
        if connector != read.source.key.partition(":")[0]:
            return "take the old one, or "
        new = read.source.dataset or read.source.label
        if read.source.dataset is not None:
            known = session.recorded.definitions().get(old)
            old = old if known is None else known.dataset
    return f"qanat rename {shlex.quote(old)} {shlex.quote(new)}, or "


def _told(amount: Amount) -> str:
    if amount.rows is not None:
        return count(amount.rows, "row")
    return f"{count(amount.files, 'file')}, {size(amount.bytes)}"
