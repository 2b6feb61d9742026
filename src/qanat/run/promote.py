"""Makes what another environment has computed this one's, each dataset in one commit.

That is an epoch like any other: its rows come from the other's table at one version, are checked
by the rules, and replace the table here; its ranges are what the other has read, so that the next
update goes on from there.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from qanat.disk import explained
from qanat.errors import PromotionError, QanatError, RowsLostError, naming
from qanat.frozen import Frozen
from qanat.model.name import Name, fold
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.planning.graph import select
from qanat.ports.observer import Observer
from qanat.ports.source import SameRows
from qanat.run.attempt import RunningUpdate
from qanat.run.diary import telling
from qanat.run.entry import leased, new_id, open_update, patience, working_on
from qanat.run.epoch import run_epoch
from qanat.run.full_refresh import check_resets, check_taken_along, losses, taken_along
from qanat.run.handover import Taken, check_there, inputs_now, same_rows, take_over
from qanat.run.lease import HeldLease
from qanat.run.mismatch import check_history
from qanat.run.owner import check_owners
from qanat.run.recovery import start_clean
from qanat.run.results import PromotedDataset, PromotionResult
from qanat.run.session import Session
from qanat.text import listed

Versions = dict[Name, SameRows]


class Promotion(Frozen):
    """What is to be promoted.

    Args:
        datasets: names or globs; `+name` adds everything upstream, `name+` downstream.
        origin: the environment that has computed them.
        only: leave out of account what has read them as a stream here.
        accept_loss: even if rows are lost because the files that they came from are gone.
    """

    datasets: tuple[str, ...]
    origin: str
    only: bool = False
    accept_loss: bool = False


def promote(
    session: Session,
    asked: Promotion,
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
    dry_run: bool = False,
) -> PromotionResult:
    """Make tables of another environment this one's, with what they have read.

    Args:
        observers: get every event as it happens.
        wait: seconds to wait for updates of the same datasets, here or there; True: as long as
            it takes.
        dry_run: look at everything but the rules, and write nothing.

    Raises:
        SelectionError: a name matches nothing.
        PromotionError, RereadError, NotAppendOnlyError: what the other has computed is not what
            this environment would have; says the way out.
        ResetError, RowsLostError: as a full refresh.
        ExpectationFailedError: a row violates a `fail` rule; nothing of that dataset is visible.
        UpdateRunningError: an update works on one of the datasets, here or there.
    """
    session.require()
    names = _chosen(session, asked)
    with Session.open(session.root, asked.origin) as origin:
        _check_environments(session, origin)
        with session.readables.lent(origin.project), session.readables.running(names):
            if dry_run:
                taken = _checked(session, origin, asked, names)
                shown = tuple(_shown(session, t, along=names) for t in taken)
                return PromotionResult("", session.project.environment, asked.origin, True, shown)
            return _promote(session, origin, asked, names, observers, wait)


def _chosen(session: Session, asked: Promotion) -> tuple[str, ...]:
    found = select(session.graph, session.pipeline, asked.datasets)
    between = DatasetKind.TEMPORARY_VIEW
    # A view between two of them is computed where it is read.
    return tuple(
        n
        for n in session.graph.order
        if n in found and (session.pipeline.dataset(n).kind is not between or len(found) == 1)
    )


def _check_environments(session: Session, origin: Session) -> None:
    origin.require()
    here, there = session.project, origin.project
    if here.environment == there.environment:
        raise PromotionError(
            f"{here.environment} cannot be promoted to itself",
            hint="-e names the environment to write to, --from the one to take from",
        )
    if here.tables == there.tables:
        raise PromotionError(
            f"environments {here.environment} and {there.environment} have one storage",
            got=here.tables,
        )


def _checked(
    session: Session, origin: Session, asked: Promotion, names: Sequence[str]
) -> list[Taken]:
    """Look at all of them before the first is promoted; their versions here are foretold."""
    check_resets(session, names)
    for name in names:
        check_there(session, origin, session.pipeline.dataset(name))
    _check_readers(session, origin, asked, names)
    versions: Versions = {}
    found = []
    for name in names:
        dataset = session.pipeline.dataset(name)
        with naming(name):
            for compiled in session.analysis.flows_into(name):
                check_history(session, compiled)
            taken = take_over(session, origin, dataset, versions)
            check_owners(session, dataset, anew=True)
            _check_losses(session, asked, dataset, taken)
        found.append(taken)
        here = session.store.version(session.table(name))
        ours = -1 if here is None else here + 1
        versions[fold(name)] = same_rows(origin, name, taken.version, ours)
    return found


def _check_readers(
    session: Session, origin: Session, asked: Promotion, names: Sequence[str]
) -> None:
    """Refuse to replace rows that have been read as a stream by what stays as it is."""
    readers = taken_along(session, names)
    if asked.only:
        check_taken_along(session, readers)
    if asked.only or not readers:
        return
    reader, because = next(iter(readers.items()))
    raise PromotionError(
        f"{listed(tuple(readers))} {'has' if len(readers) == 1 else 'have'} read {because} as a"
        f" stream in {session.project.environment}, and could not go on in other rows",
        location=session.pipeline.dataset(reader).location,
        hint=_ways_on(session, origin, asked, names, tuple(readers)),
    )


def _ways_on(
    session: Session,
    origin: Session,
    asked: Promotion,
    names: Sequence[str],
    readers: Sequence[str],
) -> str:
    """The commands by which readers come along, or start over where they cannot."""
    datasets = [session.pipeline.dataset(n) for n in readers]
    along = [
        d.name
        for d in datasets
        if d.stored and origin.store.version(origin.table(d.name)) is not None
    ]
    options = ["-e", session.project.environment, "--from", asked.origin]
    options += ["--accept-loss"] if asked.accept_loss else []
    promotion = shlex.join(("qanat", "promote", *names, *along, *options))
    if len(along) == len(readers):
        return f"promote them together: {promotion}"
    rest = [d for d in datasets if d.name not in along]
    again = shlex.join(
        (
            "qanat",
            "run",
            "-e",
            session.project.environment,
            "--full-refresh",
            *(d.name for d in rest),
        )
    )
    sinks = [d.name for d in rest if d.kind is DatasetKind.SINK]
    sent = f"; {listed(sinks)} would send all rows once more" if sinks else ""
    return f"let {listed([d.name for d in rest])} start over: {promotion} --only && {again}{sent}"


def _check_losses(session: Session, asked: Promotion, dataset: Dataset, taken: Taken) -> None:
    """Refuse to lose rows whose files are gone, and which the other has not read."""
    loss = losses(session, (dataset.name,)).get(dataset.name)
    gone = tuple(f for f in loss.files if f not in taken.files) if loss is not None else ()
    if loss is None or not gone or asked.accept_loss:
        return
    raise RowsLostError(
        f"to promote {dataset.name} would lose rows: {replace(loss, files=gone)}",
        hint="put the files back and let the other environment read them, or accept the loss:"
        " --accept-loss",
    )


def _promote(
    session: Session,
    origin: Session,
    asked: Promotion,
    names: tuple[str, ...],
    observers: Sequence[Observer],
    wait: float | bool,
) -> PromotionResult:
    if not origin.has_ledger:
        raise PromotionError(
            f"{asked.origin} has never run",
            hint=f"compute there what is to be promoted: qanat run -e {shlex.quote(asked.origin)}"
            f" --select {' '.join(map(shlex.quote, names))}",
        )
    waiting = patience(wait, telling(observers))
    # Nothing may change there while it is read: table and positions are of one time.
    origin_lease = HeldLease(origin.ledger, new_id(), leased(origin, names), waiting)
    command = shlex.join(("promote", *asked.datasets, "--from", asked.origin))
    opening = open_update(session, lambda: names, observers, command=command, wait=wait)
    done: list[PromotedDataset] = []
    with ExitStack() as leases, explained("use"):
        leases.enter_context(session.at_work)
        # In one order whatever the direction: two who wait for each other would wait for ever.
        if origin.scope < session.scope:
            leases.enter_context(origin_lease)
        opened = leases.enter_context(opening)
        if session.scope < origin.scope:
            leases.enter_context(origin_lease)
        origin.look_again()
        running, entry = opened.running, opened.entry
        start_clean(running, entry.begin)
        _checked(session, origin, asked, names)
        versions: Versions = {}
        for name in names:
            origin_lease.confirm()  # what is read there must still be what it was
            done.append(_one(running, origin, name, versions, entry.begin))
    return PromotionResult(
        opened.running.id, session.project.environment, asked.origin, False, tuple(done)
    )


def _one(
    running: RunningUpdate,
    origin: Session,
    name: str,
    versions: Versions,
    begin: Callable[[], None],
) -> PromotedDataset:
    session = running.session
    dataset = session.pipeline.dataset(name)
    with working_on(running, dataset) as ending:
        taken = take_over(session, origin, dataset, versions)
        shown = _shown(session, taken)
        result = _publish(running, taken, shown, begin)
        version = result.version
        ours = -1 if version is None else version
        versions[fold(name)] = same_rows(origin, name, taken.version, ours)
        ending.status = "updated"
        ending.reason = f"promoted from {origin.project.environment}, version {taken.version}"
        return result


def _publish(
    running: RunningUpdate, taken: Taken, shown: PromotedDataset, begin: Callable[[], None]
) -> PromotedDataset:
    session, compiled = running.session, taken.compiled
    begin()
    done = run_epoch(
        running,
        compiled,
        taken.ranges,
        # A new one: what was read for the rows that go does not count for those that come.
        session.ledger.generation(compiled.dataset.name) + 1,
        replaces=True,
        fingerprint=taken.definition.fingerprint,
        records=taken.definition,
        after=taken.number,
    )
    if done is None:
        return shown
    epoch = done.epoch
    return replace(shown, counts=epoch.counts, rules=epoch.rules, version=epoch.version)


def _shown(session: Session, taken: Taken, along: Sequence[str] = ()) -> PromotedDataset:
    """What is told of a dataset before it is promoted.

    Args:
        along: what would be promoted with it, so that inputs cannot be compared yet.
    """
    dataset = taken.compiled.dataset
    table = session.table(dataset.name)
    here = session.store.version(table)
    return PromotedDataset(
        dataset=dataset.name,
        kind=str(dataset.kind),
        origin_version=taken.version,
        rows=taken.rows,
        replaces=None if here is None else session.store.snapshot(table, here).rows,
        outdated=_outdated(session, taken, along),
    )


def _outdated(session: Session, taken: Taken, along: Sequence[str]) -> bool:
    """True if a view was computed from inputs that have moved on here since."""
    name = taken.compiled.dataset.name
    if not taken.definition.inputs or session.graph.upstream(name) & set(along):
        return False
    with suppress(QanatError):
        return inputs_now(session, session.analysis.flows_into(name)[0]) != taken.definition.inputs
    return False
