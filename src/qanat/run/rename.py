"""Gives a dataset, flow or source another name, and takes along all that the old one has.

The author changes the files; here only tables, logs, sinks and the ledger follow. So the old name
must not be declared any more, and the new one must be.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from qanat.declare.registry import check_name
from qanat.errors import DatasetNotFoundError, Location, PlanError, nearest
from qanat.model.location import is_url
from qanat.model.move import Move, Moved
from qanat.model.name import fold, same
from qanat.model.owner import check_owner
from qanat.model.pipeline import DatasetKind, Flow, replay_flow, upkeep_flow
from qanat.model.query import Read
from qanat.model.record import Definition
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.entry import LedgerEntry
from qanat.run.identity import past_sources
from qanat.run.moves import table_names
from qanat.run.names import (
    NO_KIND,
    carry_on,
    check_settled,
    intended,
    keys_of,
    known_datasets,
    known_flows,
    spelled,
    told_of_origin,
)
from qanat.run.results import MoveResult
from qanat.run.session import Session


def rename(
    session: Session,
    old: str,
    new: str,
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
) -> MoveResult:
    """Move a dataset, flow or source to another name.

    Args:
        old: as the ledger knows it; of a source, as `plan` names it.
        new: as it is declared now.
        wait: seconds to wait for other updates, of any datasets; True: as long as it takes.

    Raises:
        DatasetNotFoundError: nothing of the old name was ever run; names the nearest.
        PlanError: the old name is still declared, or the new one is not, has a table or a history
            already, or is something else.
        UpdateRunningError: an update is running.
    """
    session.require()
    _check_at_once(session, old, new)

    def act(running: RunningUpdate, entry: LedgerEntry) -> Move:
        move = planned(session, running.id, old, new)
        keys = frozenset(move.sources)
        check_settled(running, (move.old, move.dataset, *move.flows), keys)
        return intended(running, entry, move)

    done = carry_on(session, (old, new), observers, act, wait)
    names = tuple(d.dataset for d in done.definitions)
    return MoveResult(str(done.what), done.old, done.new, names)


def _check_at_once(session: Session, old: str, new: str) -> None:
    """Refuse what other updates cannot change before they are waited for.

    Raises:
        DatasetNotFoundError, PlanError: as `rename` tells.
    """
    if session.recorded.open_moves() or not session.recorded.held():
        return  # recovery comes first; or nobody is waited for, and the lease protects the look
    epochs = session.recorded.open_epochs()
    begun = {k for e in epochs for k in (fold(e.flow), fold(e.dataset), *map(_place, e.ranges))}
    try:
        planned(session, "", old, new)
    except DatasetNotFoundError:
        if fold(old) not in begun and old not in begun:
            raise
    except PlanError as error:
        # A refusal with a location is about the files. Others are about tables and histories,
        # which the lease has to protect while they are looked at.
        if error.location is not None:
            raise


def planned(session: Session, update: str, old: str, new: str) -> Move:
    """What a renaming moves.

    Raises:
        DatasetNotFoundError, PlanError: as `rename` tells.
    """
    if not (old.strip() and new.strip()):
        raise PlanError("a name is empty", wanted="qanat rename OLD NEW")
    if old == new:
        raise PlanError(f"{old!r} has that name already")
    datasets, flows = known_datasets(session, borrowed=True), known_flows(session)
    dataset, flow = spelled(datasets, old), _flow(session, old)
    if dataset is not None and not _only_its_flow_went(session, dataset):
        return _dataset(session, update, dataset, new, datasets[dataset])
    if flow is not None:
        return _renamed_flow(session, update, *flow, new)
    keys = _past_keys(session, old)
    if keys:
        return _source(session, update, keys[0], new)
    declared = session.pipeline.get(old) or _declared_flow(session, old)
    if declared is not None:
        raise _still_declared(old, declared.name, declared.location, new)
    known = [*datasets, *flows, *(n for k in _all_keys(session) for n in _spellings(k))]
    raise DatasetNotFoundError(
        f"nothing that was ever run is called {old!r} (environment {session.project.environment})",
        nearest=nearest(old, known),
        hint=told_of_origin(session, old, "rename", old, new)
        or "the old name comes first: qanat rename OLD NEW",
    )


# -- datasets -----------------------------------------------------------------------------------


def _dataset(session: Session, update: str, old: str, new: str, kind: str) -> Move:
    declared = session.pipeline.get(old)
    if declared is not None:
        _check_respelled(old, new, declared.name, declared.name, declared.location)
    found = session.pipeline.get(new)
    if found is None:
        _check_new(new)
        _check_no_flow(session, new)
        raise _not_declared(old, new, "dataset", [d.name for d in session.pipeline.datasets])
    if kind not in (NO_KIND, str(found.kind)):
        raise PlanError(
            f"{old} is a {kind}, and {new} is declared as a {found.kind}",
            location=found.location,
            hint="what it holds means something else then: drop the old one, and run the new one",
        )
    new = found.name
    _check_free(session, old, new)
    for name in table_names(session, old):
        if session.store.version(session.table_named(name)) is not None:
            check_owner(name, session.store.owner(session.table_named(name)), session.scope)
            session.store.check_move(session.table_named(name))
    moved = dict(zip(keys_of(old), keys_of(new), strict=True))
    return Move(
        update=update,
        what=Moved.DATASET,
        old=old,
        new=new,
        flows={old: new, replay_flow(old): replay_flow(new), upkeep_flow(old): upkeep_flow(new)},
        sources={} if same(old, new) else dict(moved),
        definitions=tuple(_same_but_for(session, old, new, moved=True)),
    )


def _check_new(new: str) -> None:
    check_name(new, Location("the new name"))


def _not_declared(old: str, new: str, what: str, declared: Sequence[str]) -> PlanError:
    """The error about a new name that no file has: a slip, or a file that is still to change."""
    near = nearest(new, declared)
    return PlanError(
        f"no {what} {new} is declared",
        location=Location("the new name"),
        nearest=near,
        hint=_command(old, near) if near else f"let the files say {new} first",
    )


def _command(old: str, new: str) -> str:
    return f"qanat rename {shlex.quote(old)} {shlex.quote(new)}"


def _check_no_flow(session: Session, new: str) -> None:
    flow = next((f for f in session.pipeline.flows if same(f.name, new)), None)
    if flow is not None:
        raise PlanError(
            f"{new} is declared as a flow into {flow.target}, and not as a dataset",
            location=flow.location,
        )


def _check_free(session: Session, old: str, new: str) -> None:
    """Refuse a name that something else has."""
    if same(old, new):
        return
    recorded = session.recorded
    places = [session.table_named(n) for n in table_names(session, new)]
    has_table = any(session.store.version(p) is not None for p in places)
    if has_table or new in recorded.definitions() or recorded.last_epochs(new):
        raise PlanError(
            f"{new} has {'a table' if has_table else 'a history'} already",
            hint=f"if {new} is another dataset, choose a name that is free; if it was made since"
            f" the name has changed: let the files say {old} again, qanat drop {shlex.quote(new)},"
            f" change the name once more, and before the next update: {_command(old, new)}",
        )
    for place in places:
        if is_url(place.location):
            known = session.store.tables(session.project.tables)
            taken = any(t.location == place.location for t in known)
        else:
            taken = any(not p.is_dir() for p in place.folder.rglob("*"))
        if taken:
            raise PlanError(
                f"there is something in {place} already, which is no table",
                hint="move it away",
            )


def _check_respelled(old: str, new: str, declared: str, what: str, location: Location) -> None:
    """Refuse to rename what is declared, unless as the other spelling of its name."""
    if not (same(old, new) and declared == new):
        raise _still_declared(old, what, location, new)


def _still_declared(old: str, declared: str, location: Location, new: str) -> PlanError:
    return PlanError(
        f"{declared} is still declared",
        location=location,
        hint=f"change its name to {new} in the files first; then: {_command(old, new)}",
    )


# -- flows --------------------------------------------------------------------------------------


def _flow(session: Session, old: str) -> tuple[str, tuple[str, ...]] | None:
    """A flow as it was last run, and what it has fed, the newest first."""
    name = spelled(known_flows(session), old) or old
    targets = tuple(last.dataset for last in session.recorded.last_epochs(name))
    return (name, targets) if targets else None


def _only_its_flow_went(session: Session, dataset: str) -> bool:
    """True if a dataset is declared, and has no query of its own any more."""
    declared = session.pipeline.get(dataset)
    if declared is None or session.recorded.last_epoch(dataset, dataset) is None:
        return False
    return not any(same(f.name, dataset) for f in session.pipeline.flows_into(dataset))


def _renamed_flow(
    session: Session, update: str, old: str, targets: tuple[str, ...], new: str
) -> Move:
    declared = _declared_flow(session, old)
    if declared is not None:
        what = f"flow {declared.name}"
        _check_respelled(old, new, declared.name, what, declared.location)
    found = _declared_flow(session, new)
    if found is None:
        _check_new(new)
        dataset = session.pipeline.get(new)
        if dataset is not None:
            raise PlanError(
                f"{old} is a flow into {targets[0]}, and {new} is declared as a {dataset.kind}",
                location=dataset.location,
            )
        raise _not_declared(old, new, "flow", [f.name for f in session.pipeline.flows])
    target = next((t for t in targets if same(t, found.target)), targets[0])
    if not same(found.target, target):
        raise PlanError(
            f"flow {old} feeds {target}, and flow {found.name} feeds {found.target}",
            location=found.location,
        )
    new = found.name
    if not same(old, new) and session.recorded.last_epochs(new):
        raise PlanError(
            f"flow {new} has a history already",
            hint="start over what it feeds: qanat run --full-refresh " + shlex.quote(target),
        )
    return Move(
        update=update,
        what=Moved.FLOW,
        old=old,
        new=new,
        dataset=target,
        flows={old: new},
        definitions=tuple(_same_but_for(session, old, new, only=target)),
    )


def _declared_flow(session: Session, name: str) -> Flow | None:
    return next((f for f in session.pipeline.flows if same(f.name, name)), None)


# -- sources ------------------------------------------------------------------------------------


def _source(session: Session, update: str, old: str, new: str) -> Move:
    reads = [
        r
        for flow in session.analysis.flows.values()
        for r in flow.reads
        if r.streaming and r.source.dataset is None
    ]
    still = next((r for r in reads if r.source.key == old), None)
    if still is not None:
        raise _still_declared(_place(old), still.source.label, still.location, new)
    found = next((r for r in reads if new in _names(r)), None)
    if found is None or _connector(found.source.key) != _connector(old):
        raise PlanError(
            f"no flow reads {new!r} as a stream",
            nearest=nearest(new, [r.source.label for r in reads]),
            hint="change the path in the files first",
        )
    past = {s.key for s in past_sources(session).every}
    if found.source.key in past:
        raise PlanError(f"{found.source.label} has been read already", location=found.location)
    paths = session.source(found.source).renamed(_place(old), found.source.place)
    return Move(
        update=update,
        what=Moved.SOURCE,
        old=_place(old),
        new=found.source.label,
        sources={old: found.source.key},
        paths=paths,
        definitions=tuple(_same_but_for(session, _place(old), found.source.place)),
    )


def _names(read: Read) -> tuple[str, ...]:
    source = read.source
    return source.label, source.place, source.key, _place(source.key)


def _all_keys(session: Session) -> list[str]:
    """The keys of all sources outside the project that have been read as streams."""
    found = {s.key for s in past_sources(session).every}
    return sorted(k for k in found if _connector(k) != "dataset")


def _past_keys(session: Session, old: str) -> list[str]:
    keys = _all_keys(session)
    exact = [k for k in keys if old in (k, *_spellings(k))]
    return exact or [k for k in keys if old in [n.partition("?")[0] for n in _spellings(k)]]


def _spellings(key: str) -> tuple[str, ...]:
    """What a source may be called: `../shop#orders`, as it is kept, or `../shop:orders`."""
    place = _place(key)
    return tuple(dict.fromkeys((place, place.replace("#", ":", 1))))


def _connector(key: str) -> str:
    return key.partition(":")[0]


def _place(key: str) -> str:
    return key.partition(":")[2] or key


# -- definitions --------------------------------------------------------------------------------


def _same_but_for(
    session: Session, old: str, new: str, only: str = "", moved: bool = False
) -> Iterator[Definition]:
    """Definitions that differ from those last run by a name alone; they count as run.

    Of a materialized view only its own name: whether it has to be computed again depends on
    nothing but its definition and inputs, so that a column which was renamed as well must count.

    Args:
        only: the one dataset to look at; default: all.
        moved: whether the name is a dataset's, so that its own definition is kept by that.
    """
    whole = re.compile(rf"(?<!\w){re.escape(fold(old))}(?!\w)")
    own = re.compile(rf"^({_KINDS}|flow) {re.escape(old)}$|^flow {re.escape(old)} as$", re.M)
    for known in session.recorded.definitions().values():
        name = new if moved and same(known.dataset, old) else known.dataset
        declared = session.pipeline.get(name)
        if declared is None or (only and not same(name, only)):
            continue
        fingerprint, text = session.analysis.definitions[declared.name]
        if declared.kind is DatasetKind.MATERIALIZED_VIEW:
            was = own.sub(lambda m: m[0].replace(old, new), known.text)
            is_same = was == text
        else:
            is_same = _replaced(whole, known.text, new) == _replaced(whole, text, new)
        if is_same and known.fingerprint != fingerprint:
            yield Definition(name, known.kind, fingerprint, known.inputs, text)


_KINDS = "|".join(re.escape(k.value) for k in DatasetKind)


def _replaced(name: re.Pattern[str], text: str, new: str) -> str:
    # A name is quoted or not by what letters it has.
    return name.sub(lambda _: fold(new), fold(text)).replace('"', "").replace("`", "")
