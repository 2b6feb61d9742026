"""What of a table's past can go: data files that no recent version has, and old log entries.

A file goes once the table has lost it for longer than the retention; an entry once it is older
than that of the log and a later checkpoint says what the table was. What is still needed stays
(`Needed`), however old it is.

The order makes a crash harmless at any point: data files first, among them all that only entries
name which are about to go; then the entries. Doing it twice is the same as once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from qanat.frozen import Frozen
from qanat.model.upkeep import Needed, Policy
from qanat.storage.delta.events import event_files, paths_in
from qanat.storage.delta.files import Files
from qanat.storage.delta.leftovers import FOREIGN_SECONDS, mentioned, relative
from qanat.storage.delta.state import TableState, told_by

_MILLISECONDS = 1000.0


class Stale(Frozen):
    """What can go.

    Args:
        data: names of data files below the table's folder, with their bytes.
        log: names of files in the log's folder, the oldest first.
        oldest: the oldest version that can be read afterwards.
    """

    data: dict[str, int]
    log: tuple[str, ...]
    oldest: int


class Cleaning:
    """What can go of one table.

    Args:
        state: the table as it is.
        at: gives its state at a version.
    """

    def __init__(
        self,
        files: Files,
        state: TableState,
        policy: Policy,
        needed: Needed,
        at: Callable[[int], TableState],
    ) -> None:
        self._files, self._log = files, files.log
        self._state, self._at = state, at
        self._policy, self._needed = policy, needed
        self._now = time.time()

    def stale(self) -> Stale:
        """Find it; nothing is deleted."""
        there = {name: (size, made) for name, size, made in self._files.inventory()}
        wanted = self._wanted()
        free = {n: size for n, (size, _) in there.items() if n not in wanted}
        first, entries = self._entries()
        data = {*self._lost(free, there)}
        data |= self._nameless({n for n in free if n not in data}, first)
        return Stale({n: free[n] for n in sorted(data)}, entries, first)

    # -- data files --------------------------------------------------------------------------

    def _wanted(self) -> set[str]:
        """The names of files that must stay."""
        needed, newest = self._needed, self._state.version
        states = [self._state, *(self._at(v) for v in needed.versions if v <= newest)]
        paths = [f.path for s in states for f in (*s.files, *event_files(s.properties))]
        if needed.after is not None:
            # What streams have still to read, also where its rows are in other files by now.
            for version in range(needed.after + 1, newest + 1):
                paths += told_by(self._log.actions(version))
        settled = newest if needed.settled is None else needed.settled
        for version in range(settled + 1, newest + 1):
            paths += self._paths(version)
        return {relative(self._log, path) for path in paths}

    def _lost(self, free: dict[str, int], there: dict[str, tuple[int, float]]) -> Iterator[str]:
        """The files that the table has lost for long enough."""
        before = self._now - self._policy.kept_files
        removed, named = self._removals()
        unknown = []
        for name in free:
            made = there[name][1]
            if name in removed:
                if removed[name] <= before:
                    yield name
            elif name not in named and made <= before:
                unknown.append(name)
        # Its removal has expired long ago, or it is no file of any version, but of a commit that
        # another tool is about to make.
        young = {n for n in unknown if self._now - there[n][1] < FOREIGN_SECONDS}
        yield from (n for n in unknown if n not in young)
        yield from sorted(young.intersection(mentioned(self._log, young)))

    def _removals(self) -> tuple[dict[str, float], set[str]]:
        """When files were removed, in seconds, as the newest checkpoint and later entries say.

        Returns:
            That, by name; and the names of files of changes and events in these entries.
        """
        log = self._log
        start = max(log.checkpoints(), default=-1)
        removed: dict[str, float] = {}
        named: set[str] = set()
        if start >= 0:
            # Loaded only here: it imports DuckDB.
            found = import_module("qanat.storage.delta.checkpoints").removed_in(log, start)
            removed = {relative(log, p): t / _MILLISECONDS for p, t in found.items()}
        for version in (v for v in log.commits() if v > start):
            moment = 0.0
            for action in log.actions(version):
                moment = _moment(action) or moment
                if "remove" in action:
                    when = action["remove"].get("deletionTimestamp")
                    name = relative(log, action["remove"]["path"])
                    removed[name] = when / _MILLISECONDS if when else moment
                elif "add" not in action and moment > self._now - self._policy.kept_files:
                    named.update(relative(log, path) for path in paths_in(action))
        return removed, named

    # -- the log -----------------------------------------------------------------------------

    def _entries(self) -> tuple[int, tuple[str, ...]]:
        """The first version that stays, and the files of the log that are of earlier ones."""
        log, needed = self._log, self._needed
        found = sorted(self._files.log_files())
        oldest = min((v for v, _, _ in found), default=0)
        if not self._policy.cleans_log:
            return oldest, ()
        change = log.last_change()
        limits = [self._state.version, *needed.versions]
        # Readers name the last change, and find the same rows by the entries after it.
        limits += [] if change is None else [change + 1]
        # Readers of changes look at the columns that the table had before the first of them.
        limits += [] if needed.after is None else [max(needed.after, 0)]
        # To take back a later commit, the table has to be known as it was before.
        limits += [] if needed.settled is None else [needed.settled]
        hinted = log.hinted()
        limits += [] if hinted is None else [hinted]
        before = self._now - self._policy.kept_log
        made: dict[int, float] = {}
        for version, _, when in found:
            made[version] = max(when, made.get(version, 0.0))
        fit = [c for c in log.checkpoints() if c <= min(limits) and made.get(c, before) <= before]
        first = max(fit, default=oldest)
        return first, tuple(name for version, name, _ in found if version < first)

    def _nameless(self, names: set[str], first: int) -> set[str]:
        """Of files, those that only entries before a version name."""
        log = self._log
        gone = [v for v in log.commits() if v < first]
        if not names or not gone:
            return set()
        named = {relative(log, path) for v in gone for path in self._paths(v)} & names
        return named.difference(mentioned(log, named, first)) if named else set()

    def _paths(self, version: int) -> list[str]:
        return [path for action in self._log.actions(version) for path in paths_in(action)]


def _moment(action: dict[str, Any]) -> float:
    """When an entry was made, in seconds, if this action says so."""
    return float(action.get("commitInfo", {}).get("timestamp") or 0) / _MILLISECONDS
