"""What must be so of a table whose rows a commit changes, or writes again."""

from __future__ import annotations

from collections.abc import Callable

from qanat.errors import CommitConflictError, UnsupportedError, full_refresh
from qanat.model.table import Change, Commit
from qanat.storage.delta.events import EVENTS
from qanat.storage.delta.features import feeds_changes
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import TableState, paths_of


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
    if commit.rewrites is not None:
        then = at(commit.rewrites) if state else None
    elif merges:
        then = None
    else:
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


def _base(commit: Commit, state: TableState | None) -> tuple[object, ...]:
    """What must be the same for a commit that was made from the rows of a table."""
    if state is None:
        return (frozenset(), None, False)
    files = frozenset(f.path for f in state.files)
    if commit.change is not Change.MERGE:
        return (files,)
    # Events may have come without a row, and files for readers of changes may be wanted by now.
    events = state.properties.get(EVENTS)
    return files, events, bool(files) and feeds_changes(state.properties)
