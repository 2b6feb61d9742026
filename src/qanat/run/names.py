"""By which names the ledger and the storage know datasets, flows and sources."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

from qanat import plugins
from qanat.disk import explained
from qanat.errors import PlanError, UpdateRunningError
from qanat.model.move import Move
from qanat.model.name import Named, fold, same
from qanat.model.pipeline import QUARANTINE, is_declared
from qanat.model.query import DATASET
from qanat.model.record import quarantine_key
from qanat.model.side import dataset_of
from qanat.model.table import TableRef
from qanat.planning.graph import resolve
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.entry import LedgerEntry, open_update
from qanat.run.inputs import REFERENCE
from qanat.run.lease import STOP_IT
from qanat.run.moves import carry_out
from qanat.run.past import SNAPSHOT
from qanat.run.readable import folder_name
from qanat.run.recovery import start_clean
from qanat.run.session import Session

NO_KIND = ""
"""The kind of a dataset of which only a table is known."""


def known_datasets(session: Session, borrowed: bool = False) -> Named[str]:
    """The kind of every dataset that was ever run, or has a table or a quarantine.

    Args:
        borrowed: also those that were read as streams in another environment, which no longer
            has them by that name.
    """
    found: Named[str] = Named()
    for definition in session.recorded.definitions().values():
        found[definition.dataset] = definition.kind
    for table in session.store.tables(session.project.tables):
        # Another project may share the storage.
        own = session.store.owner(table) in (None, session.scope)
        if own and session.store.version(table) is not None:
            name = dataset_of(table.name)
            found.setdefault(name, NO_KIND)
    for name in _borrowed(session) if borrowed else ():
        if name not in found and told_of_origin(session, name) is None:
            found[name] = NO_KIND
    return found


def _borrowed(session: Session) -> Iterator[str]:
    """The names of datasets, no longer declared, that were read as streams."""
    if session.project.reads_from is None:
        return
    for source in session.recorded.sources():
        connector, _, place = source.key.partition(":")
        name = place.partition("?")[0]
        if connector == DATASET and resolve(session.pipeline, name) is None:
            yield dataset_of(name)


def known_flows(session: Session) -> Named[str]:
    """The target of every flow that has read something as a stream."""
    sources = session.recorded.sources()
    return Named((s.flow, s.dataset) for s in sources if is_declared(s.flow))


def spelled(names: Named[str], name: str) -> str | None:
    """A name as it is known; None if it is not."""
    return next((n for n in names if fold(n) == fold(name)), None)


def told_of_origin(session: Session, name: str, *command: str) -> str | None:
    """A hint about an environment that this one reads from and that has the table itself.

    Args:
        command: what to type there, without `qanat`.
    """
    at = session.project.reads_from
    while at is not None:
        table = TableRef(f"{at.tables}/{folder_name(name)}", name)
        if session.store_at(at).version(table) is not None:
            typed = shlex.join((*command, "-e", at.environment))
            return f"that table is {at.environment}'s, and is read from there: qanat {typed}"
        at = at.reads_from
    return None


def keys_of(dataset: str) -> tuple[str, ...]:
    """All keys by which the ledger keeps what was read of a dataset and its quarantine.

    They are in the same order for every dataset.
    """
    keys = streamed_keys(dataset)
    read = [p + k for k in keys for p in ("", SNAPSHOT)]
    return (*read, REFERENCE + fold(dataset), quarantine_key(dataset))


def streamed_keys(dataset: str) -> tuple[str, ...]:
    """Those of them by which it keeps how far streams have read the two."""
    own = plugins.connector(DATASET)
    return tuple(key for n in (dataset, dataset + QUARANTINE) for key in own.keys(n))


def flows_of(session: Session, dataset: str) -> tuple[str, ...]:
    """The flows that have fed a dataset, and no other one that is left; its replay included."""
    flows = {e.flow for e in session.recorded.epochs(dataset=dataset)}
    fed = ((f, session.recorded.last_epochs(f)) for f in sorted(flows))
    return tuple(f for f, to in fed if to and all(same(e.dataset, dataset) for e in to))


def check_settled(running: RunningUpdate, names: Sequence[str], keys: frozenset[str]) -> None:
    """Refuse to go on while an epoch is open that knows what moves by its old name.

    Args:
        names: datasets and flows that move.
        keys: of what readers have read of them.

    Raises:
        QanatError: what kept recovery from bringing the epoch to an end.
    """
    folded = {fold(n) for n in names}
    for epoch in running.session.ledger.open_epochs():
        if {fold(epoch.flow), fold(epoch.dataset)} & folded or keys & epoch.ranges.keys():
            raise running.stuck.get(epoch.dataset) or PlanError(
                f"epoch {epoch.number} of {epoch.flow} is open", hint="run first: qanat run"
            )


def _is(move: Move, names: tuple[str, str | None]) -> bool:
    """True if a move is that of these names, in whatever case they are typed."""
    old, new = names
    if move.new is None or new is None:
        return same(move.old, old) and move.new is new
    return same(move.old, old) and same(move.new, new)


def carry_on(
    session: Session,
    names: tuple[str, str | None],
    observers: Sequence[Observer],
    act: Callable[[RunningUpdate, LedgerEntry], Move],
    wait: float | bool = False,
) -> Move:
    """Do something under the lease, with a line of its own in the history.

    Args:
        names: the old and the new one; None for one that goes. Where a crash has interrupted just
            this, it is finished, and nothing else is done.
        act: what to do.
        wait: seconds to wait for other updates; True: as long as it takes.

    Raises:
        UpdateRunningError: an update is running.
        QanatError: whatever stopped it.
    """
    given = [n for n in names if n is not None]
    command = shlex.join(["drop" if names[1] is None else "rename", *given])
    started = False
    # Of all datasets: any of them may have read what moves, or have put rows where it has.
    opening = open_update(
        session, lambda: given, observers, command=command, wait=wait, everything=True
    )
    try:
        with opening as opened, explained("use"):
            started = True
            interrupted = session.ledger.open_moves()
            start_clean(opened.running, opened.entry.begin)
            this = (m for m in interrupted if _is(m, names))
            return next(this, None) or act(opened.running, opened.entry)
    except UpdateRunningError as error:
        if started:
            raise
        # The ledger's hint is about `qanat run`, which would start an update instead.
        sure = " --yes" if names[1] is None else ""
        way, _, if_dead = (error.hint or "").partition("; ")
        if way != STOP_IT:
            way = f"wait for it: qanat {command}{sure} --wait"
        raise UpdateRunningError(
            error.message,
            wanted=f"no other update meanwhile: `qanat {command.split()[0]}` takes all datasets",
            got=error.got,
            hint="; ".join(filter(None, (way, if_dead))),
        ) from error


def intended(running: RunningUpdate, entry: LedgerEntry, move: Move) -> Move:
    """Record what is intended, and carry it out."""
    entry.begin()
    running.session.ledger.begin_move(move, running.lease.latest)
    carry_out(running, move)
    return move
