"""What must be so of a table whose rows a commit changes, or writes again."""

from __future__ import annotations

import json
from collections.abc import Callable

from qanat.errors import CommitConflictError, UnsupportedError, full_refresh
from qanat.model.schema import grown
from qanat.model.table import Change, Commit
from qanat.storage.delta.events import EVENTS
from qanat.storage.delta.features import feeds_changes
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import LiveFile, TableState, local_path, paths_of


def check_base(
    commit: Commit, state: TableState | None, log: Log, at: Callable[[int], TableState]
) -> None:
    """Refuse to change rows or write them again if the table has others by now.

    Args:
        state: the table as it is; None if there is none.
        at: gives its state at a version.

    Raises:
        CommitConflictError: another writer has committed to the table meanwhile.
        UnsupportedError: the rows of the table cannot be changed.
    """
    merges = commit.change is Change.MERGE
    if merges and state and paths_of(log, state) is None:
        raise UnsupportedError(
            f"the rows of {commit.table.name} cannot be changed: not all of its files are whole"
            " and in hive-style folders",
            hint=f"start over: {full_refresh(commit.table.name)}",
        )
    then = None
    if commit.rewrites is not None:
        then = at(commit.rewrites) if state else None
    elif not merges:
        return
    if commit.change is Change.REARRANGE:
        _check_rows(commit, state, then, log)
        return
    if _base(commit, state) != _base(commit, then):
        what = "its rows were changed" if merges else "its rows were written again"
        wider = "" if merges else " with wider types"
        raise CommitConflictError(
            f"{commit.table.name} has changed while {what}{wider}",
            wanted="no rows" if then is None else f"the files of version {then.version}",
            got="no table" if state is None else f"version {state.version}",
            hint="another writer committed to the table; run again",
        )


def _check_rows(
    commit: Commit, state: TableState | None, then: TableState | None, log: Log
) -> None:
    """Refuse to write files again of which others have deleted rows meanwhile.

    Args:
        then: the table as it was read.
    """
    before = {_identity(f) for f in then.files} if then else set()
    named = {*commit.removed}
    for file in state.files if state else ():
        if local_path(log.table, file.path) in named and _identity(file) not in before:
            raise CommitConflictError(
                f"{commit.table.name} has lost rows while files of it were written again",
                got=file.path,
                hint="another writer committed to the table; run again",
            )


def _identity(file: LiveFile) -> tuple[str, str]:
    """A file as part of a table: its path, and which of its rows are deleted."""
    return file.path, json.dumps(file.vector, sort_keys=True)


def _base(commit: Commit, state: TableState | None) -> tuple[object, ...]:
    """What must be the same for a commit that was made from the rows of a table."""
    if state is None:
        return (frozenset(), None, False)
    files = frozenset(map(_identity, state.files))
    if commit.change is not Change.MERGE:
        return (files,)
    # Events may have come without a row, and files for readers of changes may be wanted by now.
    events = state.properties.get(EVENTS)
    return files, events, bool(files) and feeds_changes(state.properties)


def retypes(commit: Commit, state: TableState) -> bool:
    """True if a column gets another type, and more than new fields of a struct."""
    now = {f.name: f.type for f in commit.schema.fields}
    before = (f for f in state.schema.fields if f.name in now)
    return any(now[f.name] != grown(f.type, now[f.name]) for f in before)


def only_hidden(commit: Commit) -> bool:
    """True if a merge changes no more of its rows than columns that readers do not see."""
    merges = commit.change is Change.MERGE and bool(commit.removed)
    return merges and not commit.feed and feeds_changes(commit.properties)
