"""The states of tables that this process has looked at, and how one becomes the next.

What a table that grows by small commits costs to look at depends on what has come since the last
look, not on all that there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from qanat.errors import TableCorruptError
from qanat.storage.delta.log import Log, Stamp
from qanat.storage.delta.state import KNOWN, LiveFile, TableState, live_of, reconciled
from qanat.storage.delta.vectors import with_vectors

_ENTRIES = 100
"""Behind more of them, a checkpoint is read sooner."""
KEPT_FILES = 10_000
"""A state that lists more is read again each time, rather than kept in memory."""

Load: TypeAlias = Callable[[str, int | None, str | None], TableState]
"""Loads a table by delta-rs: its folder, the version, and the application to know of."""


class States:
    """The states that were looked at last; safe to use from several threads.

    Args:
        load: loads a table whose entries alone do not tell its state.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept: dict[tuple[Log, str | None], tuple[Stamp, TableState]] = {}

    def at(self, log: Log, version: int, exact: bool, application: str | None) -> TableState:
        """A table at a version.

        Args:
            exact: False for the newest one: then another may have come meanwhile.
            application: whose last number has to be known.

        Raises:
            QanatError: what `load` raises.
        """
        # A version never changes; but another table may have been put in the same place.
        stamp, key = log.stamp(version), (log, application)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        state = None if kept is None else advanced(log, *kept, version)
        asked = version if exact else None
        if state is None:
            state = reconciled(log, asked)
        if state is None:
            state = with_vectors(log, self._load(str(log.table), asked, application))
        # Another commit may have come in between.
        if stamp and stamp[0] == state.version and len(state.files) <= KEPT_FILES:
            self._kept[key] = stamp, state
        return state


def advanced(log: Log, stamp: Stamp, state: TableState, version: int) -> TableState | None:
    """A table's state at a version, made from an earlier one.

    Args:
        stamp: of the entry of the earlier version; if that has another by now, the table is not
            the same.

    Returns:
        None if the entries in between do not tell: they are gone, or change more than files.
    """
    behind = version - state.version
    if state.masked or not 0 < behind <= _ENTRIES or log.stamp(state.version) != stamp:
        return None
    since = _Since(dict(state.transactions))
    try:
        for each in range(state.version + 1, version + 1):
            for action in log.actions(each):
                if not action.keys() <= KNOWN or not since.take(action):
                    return None
        files = since.files(state.files)
    except (TableCorruptError, KeyError, TypeError, ValueError):
        return None  # Whoever loads the whole table tells what is wrong.
    if files is None:
        return None
    return replace(state, version=version, files=files, transactions=since.transactions)


@dataclass(slots=True)
class _Since:
    """What entries have done to files.

    Args:
        transactions: the last number of each application.
        added: by path.
        gone: the paths of files that were there before, and are not, or are others now.
        missed: those of them that have to have been there.
    """

    transactions: dict[str, int]
    added: dict[str, LiveFile] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)

    def take(self, action: dict[str, Any]) -> bool:
        """Take an action; False if it changes more than files."""
        if "metaData" in action or "protocol" in action:
            return False
        if (add := action.get("add")) is not None:
            if add.get("deletionVector"):
                return False
            self.added[add["path"]] = live_of(add)
            self.gone.add(add["path"])
        elif (remove := action.get("remove")) is not None:
            if self.added.pop(remove["path"], None) is None:
                self.missed.add(remove["path"])
            self.gone.add(remove["path"])
        elif (transaction := action.get("txn")) is not None:
            self.transactions[transaction["appId"]] = int(transaction["version"])
        return True

    def files(self, before: tuple[LiveFile, ...]) -> tuple[LiveFile, ...] | None:
        """The files now, in their order; None if one that went was not known."""
        kept = before
        if self.gone:
            kept = tuple(f for f in before if f.path not in self.gone)
            if self.missed and not self.missed <= {f.path for f in before}:
                return None
        files = [*kept, *self.added.values()]
        files.sort(key=lambda f: (f.made_ms, f.path))
        return tuple(files)
