"""What a full refresh takes along, what it may not touch, and what it would lose.

A full refresh replaces rows. Whatever has read them as a stream cannot go on from there, and has
to start over as well; and rows whose files are gone by now do not come back. Both are found out
before anything starts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from qanat.errors import PlanError, ResetError, RowsLostError, SourceNotFoundError, located
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.pipeline import RESET_ALLOWED, Dataset, DatasetKind, is_declared
from qanat.model.query import Read
from qanat.model.record import Epoch, EpochStatus
from qanat.planning.graph import resolve, writers
from qanat.run.past import SNAPSHOT
from qanat.run.session import Session
from qanat.text import count

_NAMED = 3
"""How many files a message names."""


class Loss(Frozen):
    """What a full refresh of a dataset would not bring back.

    Args:
        files: that it has read, and that are gone, or not among what it reads any more.
        read: how many files it has read.
        rows: of the epochs that took any of them, in the table and its quarantine.
        history: whether it is the history of earlier snapshots, which are nowhere else.
    """

    dataset: str
    files: tuple[str, ...]
    read: int
    rows: int
    history: bool = False

    def __str__(self) -> str:
        if self.history:
            rows = count(self.rows, "row")
            return f"its history would not come back ({rows}): only the newest snapshot is there"
        gone, more = len(self.files), len(self.files) - _NAMED
        some = ", ".join(self.files[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        which = f"{gone:,} of the {count(self.read, 'file')}" if gone < self.read else "all files"
        rows = count(self.rows, "row")
        return f"{which} that it has read would not come back ({some}), with up to {rows}"


def check_resets(session: Session, full: Collection[str]) -> None:
    """Refuse to start over datasets that their author protects.

    Raises:
        ResetError: one of them is protected.
    """
    for dataset in _protected(session, full):
        raise ResetError(
            f"{dataset.name} is protected: its property {RESET_ALLOWED} is false",
            location=dataset.location,
            hint=f"leave {dataset.name} out, or take the property away",
        )


def check_sends(session: Session, full: Collection[str]) -> None:
    """Refuse to let sinks start over that send nothing here.

    Raises:
        PlanError: one of them is a sink, and this environment has `sinks: off`.
    """
    for name in full:
        dataset = session.pipeline.dataset(name)
        if dataset.sink is not None and not session.project.sinks:
            raise PlanError(
                f"{name} cannot start over: {session.project.environment} sends nothing"
                " (sinks: off)",
                location=dataset.location,
                hint=f"name an environment that sends (-e), or take `sinks: off` out of"
                f" {session.project.environment} in the spec",
            )


def check_taken_along(session: Session, taken: Mapping[str, str]) -> None:
    """Refuse to start over what could not go on beside a protected dataset.

    Args:
        taken: as `taken_along` gives it.

    Raises:
        ResetError: one of them is protected.
    """
    for dataset in _protected(session, taken):
        other = taken[dataset.name]
        raise ResetError(
            f"{dataset.name} is protected ({RESET_ALLOWED} is false), and could not go on: it has"
            f" read rows of {other} as a stream, which would be replaced",
            location=dataset.location,
            hint=f"leave {other} out, or take the property away from {dataset.name}",
        )


def _protected(session: Session, names: Collection[str]) -> Iterator[Dataset]:
    datasets = (session.pipeline.dataset(n) for n in session.graph.order if n in names)
    return (d for d in datasets if not d.may_reset)


def taken_along(session: Session, full: Collection[str]) -> Mapping[str, str]:
    """What has to start over, because it has read as a stream what does.

    Args:
        full: datasets that start over.

    Returns:
        By dataset, the one whose rows it has read.
    """
    if not session.has_ledger:
        return {}
    # Those that never ran have read nothing; those whose first epoch a crash left open have.
    begun = (e.dataset for e in session.recorded.open_epochs() if is_declared(e.flow))
    ran = Names((*(d.dataset for d in session.recorded.definitions().values()), *begun))
    found: dict[str, str] = {}
    for name in session.graph.order:
        if name in full or name not in ran:
            continue
        reads = (r for flow in session.analysis.flows_into(name) for r in flow.reads)
        because = next((b for r in reads for b in _replaced(session, r, {*full, *found})), None)
        if because is not None:
            found[name] = because
    return found


def _replaced(session: Session, read: Read, full: Collection[str]) -> Iterator[str]:
    """Of the datasets that start over, those that replace rows of what is read as a stream."""
    table = read.source.dataset
    if not read.streaming or table is None or read.source.survives:
        return
    own = resolve(session.pipeline, table)
    for name in writers(session.pipeline, table):
        if name in full and (own is None or own.name == name or _filled(session, name, own)):
            yield name


def _filled(session: Session, name: str, view: Dataset) -> bool:
    """True if flows into a dataset have put rows into the quarantine of a temporary view."""
    generation = session.recorded.generation(name)
    marks = session.recorded.quarantine_marks(name, generation, view.name)
    flows = (c.flow.name for c in session.analysis.flows_into(name))
    return any(f in marks and not marks[f].emptied for f in flows)


def losses(session: Session, full: Collection[str]) -> Mapping[str, Loss]:
    """By dataset, what full refreshes would not bring back.

    Only files are looked for: there is no list of what was deleted from a database.
    """
    tables = [session.pipeline.dataset(n) for n in session.graph.order if n in full]
    kind = DatasetKind.STREAMING_TABLE
    found = (_loss(session, d) for d in tables if d.kind is kind)
    return {loss.dataset: loss for loss in found if loss is not None}


def check_losses(found: Mapping[str, Loss], accepted: bool) -> None:
    """Refuse to lose rows without being told to.

    Raises:
        RowsLostError: there are losses.
    """
    if accepted or not found:
        return
    first, *others = found.values()
    rest = f"; so would {', '.join(x.dataset for x in others)}" if others else ""
    back = "put the files back, " if any(x.files for x in found.values()) else ""
    raise RowsLostError(
        f"a full refresh of {first.dataset} would lose rows: {first}{rest}",
        hint=f"{back}take the table out of --full-refresh, or accept the loss: --accept-loss",
    )


def _loss(session: Session, dataset: Dataset) -> Loss | None:
    if session.store.version(session.table(dataset.name)) is None:
        return None  # its rows were lost with the table
    if _keeps_snapshots(session, dataset):
        rows = session.store.snapshot(session.table(dataset.name)).rows
        return Loss(dataset.name, (), 0, rows or 0, history=True) if rows != 0 else None
    epochs = kept_epochs(session, dataset)
    keys = _keys(session, dataset)
    taken = {path for e in epochs for path in _files(e, keys)}
    gone = taken - set(_there(session, dataset)) if taken else taken
    if not gone:
        return None
    losing = [e.counts for e in epochs if e.counts and not gone.isdisjoint(_files(e, keys))]
    rows = sum(c.written + c.set_aside for c in losing)
    return Loss(dataset.name, tuple(sorted(gone)), len(taken), rows)


def _keeps_snapshots(session: Session, dataset: Dataset) -> bool:
    """True if a table has the history of what a source was, which the source does not keep.

    Of a function that gives one snapshot after the other nobody knows; it may give all again.
    """
    return any(
        f.changes.whole and f.changes.adds and f.reads
        for f in session.analysis.flows_into(dataset.name)
        if f.changes is not None
    )


def _reads(session: Session, dataset: Dataset) -> list[Read]:
    flows = session.analysis.flows_into(dataset.name)
    return [r for flow in flows for r in flow.reads if r.streaming]


def _keys(session: Session, dataset: Dataset) -> frozenset[str] | None:
    """The sources whose files count; None for all, also those that are read no more.

    A table may have been put between the files and the dataset: it has their rows now.
    """
    reads = _reads(session, dataset)
    if all(r.source.dataset is None for r in reads):
        return None
    return frozenset(r.source.key for r in reads)


def kept_epochs(session: Session, dataset: Dataset) -> list[Epoch]:
    """The epochs whose rows the table holds, oldest first."""
    epochs = session.recorded.epochs(dataset=dataset.name, files=True)
    done = [e for e in epochs if e.status is EpochStatus.COMMITTED and is_declared(e.flow)]
    # Not the ledger's current generation: a full refresh that was interrupted has begun one of
    # which nothing is in the table yet.
    newest = max((e.generation for e in done), default=0)
    return [e for e in reversed(done) if e.generation == newest]


def _files(epoch: Epoch, keys: Collection[str] | None) -> Iterator[str]:
    """The files that an epoch has taken; those that it only looked up things in are not among."""
    for key, taken in epoch.ranges.items():
        if not key.startswith(SNAPSHOT) and (keys is None or key in keys):
            yield from (f.path for f in taken.files)


def _there(session: Session, dataset: Dataset) -> Iterator[str]:
    """The files that the flows of a dataset would read now."""
    for read in _reads(session, dataset):
        if read.source.dataset is not None:
            continue
        with located(read.location):
            try:
                now = session.source(read.source).everything(read.source)
            except SourceNotFoundError:
                continue
        yield from (f.path for f in now.files) if now is not None else ()
