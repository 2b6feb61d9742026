"""Moves and removes tables in object stores, which know neither folders nor renaming.

A table moves as copies, made by the store itself, the log's entries last; then the originals go.
Whoever goes on after a crash sees by the logs how far it came: as long as the new one lacks
entries, the old one is whole.

Between asking the ledger for the lease and a request there is nothing but the request. A process
that sleeps right there until the table has gone and another one of that name has been made would
harm that: add an entry, if it has come to exactly the version that the sleeper is about to write,
put a checkpoint of the old table beside it, or delete entries of that name. No store offers
anything against that; in a file system the gate does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from qanat.errors import AdapterError, CommitConflictError, LeaseLostError
from qanat.model.location import ObjectUrl
from qanat.model.table import CommitGate
from qanat.objects import DELETED, Objects

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only

_LOG = "_delta_log/"
_COPIES = 16

_Names: TypeAlias = "dict[str, ObjectMeta]"


def move(objects: Objects, old: ObjectUrl, new: ObjectUrl, gate: CommitGate | None) -> None:
    """Move all that is below one prefix below another; nothing if there is nothing.

    Raises:
        AdapterError: there is something else in the new place.
        CommitConflictError: another update has taken over.
    """
    originals, copies = _below(objects, old), _below(objects, new)
    while not _is_whole(originals, copies):
        _check_same(originals, copies, new)
        _copy(objects, old, new, [n for n in originals if n not in copies], gate)
        # Another tool may have committed meanwhile.
        originals, copies = _below(objects, old), _below(objects, new)
    _check_newest(objects, old, new, originals)
    _remove(objects, old, originals, gate)


def _copy(
    objects: Objects, old: ObjectUrl, new: ObjectUrl, names: list[str], gate: CommitGate | None
) -> None:
    pass_gate(gate, old)
    with ThreadPoolExecutor(_COPIES, "copy") as pool:
        data = (n for n in names if not n.startswith(_LOG))
        list(pool.map(lambda n: objects.copy(old.below(n), new.below(n)), data))
    for name in sorted(n for n in names if n.startswith(_LOG)):
        # Created, not copied: a copy would replace what has come there meanwhile.
        pass_gate(gate, old)
        there, content = new.below(name), objects.read(old.below(name))
        if objects.create(there, content) is None and objects.read(there) != content:
            raise _occupied(new, name)


def drop(objects: Objects, table: ObjectUrl, gate: CommitGate | None) -> None:
    """Remove all that is below a prefix; nothing if there is nothing."""
    _remove(objects, table, _below(objects, table), gate)


def _remove(objects: Objects, table: ObjectUrl, names: _Names, gate: CommitGate | None) -> None:
    if not names:
        return
    # Newest entries first, data last. The names of entries are not unique: ask for each request.
    log = sorted((n for n in names if n.startswith(_LOG)), reverse=True)
    ordered = [*log, *(n for n in names if not n.startswith(_LOG))]
    for start in range(0, len(ordered), DELETED):
        pass_gate(gate, table)
        objects.delete(table.below(n) for n in ordered[start : start + DELETED])


def _below(objects: Objects, prefix: ObjectUrl) -> _Names:
    skip = len(prefix.key) + 1
    return {meta["path"][skip:]: meta for meta in objects.below(prefix)}


def _check_newest(objects: Objects, old: ObjectUrl, new: ObjectUrl, originals: _Names) -> None:
    """Refuse to take a table for the copy of another one whose entries are as long."""
    newest = max((n for n in originals if n.startswith(_LOG)), default=None)
    if newest and objects.read(old.below(newest)) != objects.read(new.below(newest)):
        raise _occupied(new, newest)


def _is_whole(originals: _Names, copies: _Names) -> bool:
    """True if all entries of the old log are in the new one: only the originals must go."""
    return all(
        name in copies and copies[name]["size"] == meta["size"]
        for name, meta in originals.items()
        if name.startswith(_LOG)
    )


def _check_same(originals: _Names, copies: _Names, new: ObjectUrl) -> None:
    """Refuse to move where there is anything but earlier copies."""
    other = (
        name
        for name, meta in copies.items()
        if name not in originals or originals[name]["size"] != meta["size"]
    )
    if (found := next(other, None)) is not None:
        raise _occupied(new, found)


def _occupied(new: ObjectUrl, name: str) -> AdapterError:
    return AdapterError(
        f"a table cannot be moved to {new}: there is something else",
        got=str(new.below(name)),
        hint="move that away and run again",
    )


def pass_gate(gate: CommitGate | None, place: ObjectUrl) -> None:
    """Go on only as long as the ledger knows the update's lease.

    Raises:
        CommitConflictError: another update has taken over.
    """
    if gate is None:
        return
    try:
        gate.confirm()
    except LeaseLostError as error:
        raise CommitConflictError(
            f"another update took over before this one committed to {place}",
            hint="it was stopped for longer than its lease; nothing of it is lost: run again",
        ) from error
