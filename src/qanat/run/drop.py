"""Removes a dataset that is no longer declared, with all that is its own.

What a sink has sent stays where it is: others may have taken it. So do the rows that readers have
made of the dataset's: what is declared by that name later is another table, which they read beside
these only if they are told to (`identity`).

An environment that reads from another may give up a table although it is declared: that of the
other is read again. A stream that has read the own table does not start anew by itself then, for
the other's rows may be those that it has: it is refused until it starts over.
"""

from __future__ import annotations

from collections.abc import Sequence

from qanat.errors import DatasetNotFoundError, PlanError, full_refresh, nearest
from qanat.frozen import Frozen
from qanat.model.move import Move, Moved
from qanat.model.name import same
from qanat.model.owner import check_owner
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.dropped import DROPPED
from qanat.run.entry import LedgerEntry
from qanat.run.full_refresh import check_resets
from qanat.run.moves import table_names
from qanat.run.names import (
    NO_KIND,
    carry_on,
    check_settled,
    flows_of,
    intended,
    keys_of,
    known_datasets,
    spelled,
    streamed_keys,
    told_of_origin,
)
from qanat.run.results import MoveResult
from qanat.run.session import Session
from qanat.text import count


class Dropping(Frozen):
    """What a removal takes away.

    Args:
        rows, quarantined: of the table and of its quarantine; None if there is none, or its log
            does not say.
        behind: for a table that is still declared, the environment that it is read from then.
    """

    dataset: str
    kind: str
    rows: int | None
    quarantined: int | None
    behind: str = ""


def dropping(session: Session, name: str) -> Dropping:
    """What `drop` would take away, to be asked about first.

    Raises:
        DatasetNotFoundError: no dataset of that name was ever run; names the nearest.
        PlanError: it is still declared, and no other environment has it.
        ResetError: it is still declared, and protected.
        QanatError: the project's files are wrong.
    """
    if any(m.new is None and same(m.old, name) for m in session.recorded.open_moves()):
        return Dropping(name, NO_KIND, None, None)  # it was interrupted, and goes on
    known = known_datasets(session)
    found = spelled(known, name)
    declared = session.pipeline.get(name)
    behind = "" if declared is None else _given_up(session, declared, made=found is not None)
    if found is None:
        raise DatasetNotFoundError(
            f"no dataset {name!r} was ever run (environment {session.project.environment})",
            nearest=nearest(name, [n for n in known if session.pipeline.get(n) is None]),
            hint=told_of_origin(session, name, "drop", name),
        )
    _check_unread(session, found)
    session.require()
    rows, quarantined = (_rows(session, n) for n in table_names(session, found)[:2])
    return Dropping(found, known[found], rows, quarantined, behind)


def _given_up(session: Session, dataset: Dataset, made: bool) -> str:
    """The environment that a declared dataset is read from once its table here is gone.

    Raises:
        PlanError: there is none, or no table here.
        ResetError: its author protects it.
    """
    name, here = dataset.name, session.project.environment
    other = session.readables.behind(name) if dataset.stored else None
    if other is None:
        raise PlanError(
            f"{name} is still declared",
            location=dataset.location,
            hint=f"take it out of the file first; to {_again(dataset.kind)} again:"
            f" {full_refresh(name)}",
        )
    if not made:
        raise PlanError(
            f"{here} has no {name} of its own: it reads that of {other.environment}",
            location=dataset.location,
        )
    check_resets(session, (name,))
    return other.environment


def _again(kind: DatasetKind) -> str:
    return "send everything" if kind is DatasetKind.SINK else "compute it"


def _check_unread(session: Session, name: str) -> None:
    """Refuse to drop what a query still reads.

    That the project is wrong then, it says anyway; but as a name that may be misspelt.

    Raises:
        PlanError: a query still reads it.
    """
    for problem in session.problems:
        where = problem.location
        missing = isinstance(problem, DatasetNotFoundError) and where is not None
        if missing and same(problem.message, f"no dataset {name!r}"):
            raise PlanError(
                f"{name} is no longer declared, but still read",
                location=where,
                hint=f"let this query read something else, or declare {name} again",
            )


def _rows(session: Session, name: str) -> int | None:
    table = session.table_named(name)
    if session.store.version(table) is None:
        return None
    return session.store.snapshot(table).rows


def drop(
    session: Session,
    name: str,
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
) -> MoveResult:
    """Remove a dataset that is no longer declared, or that is read from another environment then.

    Args:
        wait: seconds to wait for other updates, of any datasets; True: as long as it takes.

    Raises:
        DatasetNotFoundError, PlanError, ResetError: as `dropping` tells.
        UpdateRunningError: an update is running.
    """
    found = spelled(known_datasets(session), name)
    if found is not None:
        _check_unread(session, found)
    session.require()

    def act(running: RunningUpdate, entry: LedgerEntry) -> Move:
        move = _planned(session, running.id, name)
        check_settled(running, (move.old, *move.gone), frozenset(keys_of(move.old)))
        return intended(running, entry, move)

    done = carry_on(session, (name, None), observers, act, wait)
    return MoveResult(str(done.what), done.old, None)


def _planned(session: Session, update: str, name: str) -> Move:
    found = dropping(session, name)
    for each in table_names(session, found.dataset):
        check_owner(each, session.store.owner(session.table_named(each)), session.scope)
    # How far streams have read a table that is given up stays known: else they would read the
    # other environment's from its start, beside the rows that they have.
    streamed = streamed_keys(found.dataset)
    gone = [k for k in keys_of(found.dataset) if k not in streamed]
    # What was read of a table that is no more is no position in a new one of that name. But it
    # says that a reader has rows of the old one.
    read = {} if found.behind else {k: DROPPED + k for k in streamed}
    return Move(
        update=update,
        what=Moved.DATASET,
        old=found.dataset,
        new=None,
        gone=flows_of(session, found.dataset),
        sources={**dict.fromkeys(gone), **read},
    )


def consequences(found: Dropping) -> str:
    """What goes, in a sentence, and what stays."""
    if found.kind == str(DatasetKind.SINK):
        return f"this forgets the sink {found.dataset}; what it has sent stays where it is"
    parts = [] if found.rows is None else [count(found.rows, "row")]
    if found.quarantined:
        parts.append(f"{count(found.quarantined, 'row')} in quarantine")
    what = " and ".join(parts) or "whatever is stored of it"
    then = f"; {found.dataset} of {found.behind} is read from then on" if found.behind else ""
    return f"this removes {found.dataset} with {what}, for good{then}"
