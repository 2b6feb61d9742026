"""Undoes a commit of an application; finds what it has added, and what may still be undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from qanat.errors import CommitConflictError, UnsupportedError, full_refresh
from qanat.model.owner import was_brought_by
from qanat.model.table import Change, Commit
from qanat.storage.delta.events import EVENTS
from qanat.storage.delta.files import Files
from qanat.storage.delta.log import Log, changes_no_row
from qanat.storage.delta.state import LiveFile, TableState, local_path

RENAMES = "qanat.renames"
"""In `commitInfo`: the entry lets what one application has committed be another's. As a table
property: JSON of earlier names by application, which outlives that entry."""

MERGE = "MERGE"
"""The operation of a commit that changes rows."""


_Made: TypeAlias = tuple[int, int, list[dict[str, Any]]]
"""A version, the number that an application committed in it, and the actions of its entry."""


def commits_of(log: Log, application: str) -> Iterator[_Made]:
    """The commits of an application that still have an entry, newest first.

    Those under an earlier name are among them, and none of whoever had its name before.
    """
    name = application
    for version in reversed(log.commits()):
        actions = log.actions(version)
        found = (a["commitInfo"].get(RENAMES) for a in actions if "commitInfo" in a)
        renames = next(found, None)
        if renames is not None:
            if renames["old"] == name:
                return
            if renames["new"] == name:
                name = renames["old"]
        elif (number := _number(actions, name)) is not None:
            yield version, number, actions


def added_by(log: Log, application: str, state: TableState) -> frozenset[str]:
    """The paths of the files that an application's commits have added, encoded as in the log.

    Where old entries were removed, or files were written again, the names of the files tell.
    """
    found = frozenset(p for _, _, actions in commits_of(log, application) for p in _added(actions))
    entries = [log.actions(version) for version in log.commits()]
    told = {path for actions in entries if not changes_no_row(actions) for path in _added(actions)}
    names = (application, *renamed(state.properties).get(application, ()))
    rest = (f.path for f in state.files if f.path not in told)
    return found | {
        p for p in rest if any(was_brought_by(PurePosixPath(p).name, n) for n in names)
    }


def renamed(properties: Mapping[str, str]) -> dict[str, list[str]]:
    """By application, its earlier names, as a table's property has them."""
    found: dict[str, list[str]] = json.loads(properties.get(RENAMES, "{}"))
    return found


def with_renamed(properties: Mapping[str, str], old: str, new: str | None) -> dict[str, str]:
    """The properties of a table in which an application gets another name (None: none)."""
    names = renamed(properties)
    before = [old, *names.pop(old, ())]
    if new is not None:
        names[new] = before
    return {**properties, RENAMES: json.dumps(names)}


def _added(actions: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (action["add"]["path"] for action in actions if "add" in action)


def commit_of(log: Log, application: str, number: int) -> int | None:
    """The version in which an application committed a number; None if no entry of it is left."""
    made = (version for version, n, _ in commits_of(log, application) if n == number)
    return next(made, None)


def number_before(log: Log, version: int, application: str, number: int) -> int:
    """The number at which an application was before it committed `number` in a version.

    Numbers have gaps where a flow's epochs went to another table, or one was promoted.
    """
    earlier = (n for v, n, _ in commits_of(log, application) if v < version)
    return next(earlier, 0 if log.whole() else number - 1)


def metadata_before(log: Log, version: int) -> Iterator[dict[str, Any]]:
    """The metadata that a version has replaced: none if others have built upon the new one.

    None either if rows were written again for wider types: they stay in their new files.
    """
    commits = log.commits()
    made = log.actions(version)
    if not any("metaData" in action for action in made) or _rewrote(made):
        return
    later = (a for v in commits if v > version for a in log.actions(v))
    if any("metaData" in action or "add" in action for action in later):
        return
    for earlier in reversed([v for v in commits if v < version]):
        for action in log.actions(earlier):
            if "metaData" in action:
                yield action["metaData"]
                return
    start = max((c for c in log.checkpoints() if c < version), default=None)
    if start is not None:
        yield import_module("qanat.storage.delta.checkpoints").metadata_in(log, start)


def taken_back(
    log: Log, version: int, state: TableState
) -> tuple[tuple[LiveFile, ...], tuple[dict[str, Any], ...]]:
    """What undoes a commit: the files to remove, and the `add` actions to repeat.

    Raises:
        UnsupportedError: later commits have changed rows that it has added.
    """
    actions = log.actions(version)
    live = {f.path: f for f in state.files}
    # Of a merge also the files with rows that stayed: those that they replaced come back.
    whole = _is_merge(actions)
    added = [
        a["add"]["path"] for a in actions if "add" in a and (whole or _has_new_rows(a["add"]))
    ]
    gone = {a["remove"]["path"] for a in actions if "remove" in a and _has_new_rows(a["remove"])}
    gone -= live.keys()
    if _merged_later(log, version, set(added) - live.keys()):
        raise _built_upon(log, version)
    return (
        tuple(live[path] for path in added if path in live),
        tuple(last_added(log, version, gone)),
    )


def _merged_later(log: Log, version: int, lost: set[str]) -> bool:
    """True if a later commit has changed rows of files: the rest of them is in its own files."""
    for later in (v for v in log.commits() if v > version and lost):
        actions = log.actions(later)
        if _is_merge(actions) and any(
            "remove" in a and a["remove"]["path"] in lost for a in actions
        ):
            return True
    return False


def _is_merge(actions: Iterable[Mapping[str, Any]]) -> bool:
    return any(a.get("commitInfo", {}).get("operation") == MERGE for a in actions)


def events_to_restore(
    log: Log, version: int, before: TableState | None, state: TableState
) -> tuple[str | None] | None:
    """What the property with the events of a table has to be to undo a commit.

    Args:
        before: the table before the commit; None if there was none.
        state: the table as it is.

    Returns:
        In a tuple, its value or None for no events; no tuple if the commit has not changed it.

    Raises:
        UnsupportedError: a later commit has changed it, too.
    """
    written = (a["metaData"] for a in log.actions(version) if "metaData" in a)
    metadata = next(written, None)
    if metadata is None:
        return None
    then = (metadata.get("configuration") or {}).get(EVENTS)
    earlier = before.properties.get(EVENTS) if before else None
    if then == earlier:
        return None
    if state.properties.get(EVENTS) != then:
        raise _built_upon(log, version)
    return (earlier,)


def _built_upon(log: Log, version: int) -> UnsupportedError:
    return UnsupportedError(
        f"version {version} of {log.shown} cannot be taken back: a later one has changed its rows"
        " again",
        hint=f"start over: {full_refresh()}",
    )


def _has_new_rows(action: Mapping[str, Any]) -> bool:
    """False of files whose rows were only written again."""
    return bool(action.get("dataChange", True))


def _rewrote(actions: Iterable[Mapping[str, Any]]) -> bool:
    """True if a commit has written rows again that were there."""
    return any("remove" in a and not _has_new_rows(a["remove"]) for a in actions)


def settled(files: Files, after: int, carried: Callable[[str], int | None]) -> int | None:
    """See `TableStore.settled`."""
    log = files.log
    while True:
        newest = log.version()
        first = _first_open(log, after, carried)
        # A number is given again once its commit was taken back. Unless that has happened by now,
        # the number elsewhere is that of the commit which is here.
        files.look_again()
        if log.version() != newest:
            continue
        if newest is None or first is None:
            return newest
        return log.version_before(first)


def _first_open(log: Log, after: int, carried: Callable[[str], int | None]) -> int | None:
    """The first version after one with a commit that may still be taken back."""
    made: dict[str, tuple[int, int]] = {}
    for version in (v for v in log.commits() if v > after):
        for action in log.actions(version):
            if "txn" in action:
                # Only the newest number of each counts: an application begins an epoch when the
                # one before has ended.
                made[action["txn"]["appId"]] = int(action["txn"]["version"]), version
    numbers = ((n, carried(application), v) for application, (n, v) in made.items())
    return min((v for n, known, v in numbers if known is not None and n > known), default=None)


def emptied(commit: Commit, state: TableState, log: Log) -> tuple[LiveFile, ...]:
    """The files that a commit removes from the table.

    Raises:
        CommitConflictError: one of a merge is not there any more.
    """
    match commit.change:
        case Change.REPLACE:
            return state.files
        case Change.REPLACE_OWN:
            mine = added_by(log, commit.application, state)
            return tuple(f for f in state.files if f.path in mine)
        case Change.MERGE:
            named = {*commit.removed}
            found = tuple(f for f in state.files if local_path(log.table, f.path) in named)
            if len(found) < len(named):
                raise CommitConflictError(
                    f"{commit.table.name} has lost files whose rows were changed",
                    hint="another writer committed to the table; run again",
                )
            return found
        case Change.REARRANGE:
            return _replaced(commit, state, log)
    return ()


def _replaced(commit: Commit, state: TableState, log: Log) -> tuple[LiveFile, ...]:
    """The files whose rows are in others now.

    Raises:
        CommitConflictError: one of them has gone.
    """
    named = {*commit.removed}
    found = tuple(f for f in state.files if local_path(log.table, f.path) in named)
    if len(found) < len(named):
        raise CommitConflictError(
            f"{commit.table.name} has changed while files of it were written again",
            hint="another writer committed to the table; run again",
        )
    return found


def last_added(log: Log, before: int, paths: set[str]) -> Iterator[dict[str, Any]]:
    """The newest `add` action of each path before a version, with statistics and partitions."""
    wanted = set(paths)
    entries, checkpoints = log.listed()
    start = max((c for c in checkpoints if c < before), default=-1)
    for version in range(before - 1, -1, -1):
        if not wanted:
            return
        if version <= start and version not in entries:
            # Cleaned up. Loaded only here: it imports DuckDB.
            found = import_module("qanat.storage.delta.checkpoints").added_in(log, start)
            yield from (found[path] for path in wanted)
            return
        for action in log.actions(version):
            add = action.get("add")
            if add and add["path"] in wanted:
                wanted.discard(add["path"])
                yield add


def _number(actions: list[dict[str, Any]], application: str) -> int | None:
    numbers = (
        a["txn"]["version"] for a in actions if "txn" in a and a["txn"]["appId"] == application
    )
    return next(numbers, None)
