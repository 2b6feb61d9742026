"""Maintains Delta tables: which files are to be written again, and what of the past can go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from qanat.errors import AdapterError, TableTooNewError
from qanat.model.table import CommitGate, TableRef
from qanat.model.upkeep import Cleaned, Layout, Needed, Policy
from qanat.storage.delta.cleaning import Cleaning, Stale
from qanat.storage.delta.files import Files
from qanat.storage.delta.layout import Planner
from qanat.storage.delta.names import DeltaNames
from qanat.storage.delta.retract import RENAMES
from qanat.storage.delta.vectors import deleted_rows

_SOON = 10
"""Entries behind the last checkpoint for which maintenance writes another one."""


class DeltaUpkeep(DeltaNames):
    """The part of a Delta store that maintains tables."""

    maintains = True

    def _check_owner(self, table: TableRef) -> None:
        raise NotImplementedError

    def same_rows(self, table: TableRef, version: int) -> int:
        """The newest version that has the same rows as another one, perhaps in other files."""
        return self._here(table).log.same_rows(version)

    def layout(
        self,
        table: TableRef,
        policy: Policy,
        *,
        thorough: bool = True,
        by_flow: bool = False,
        settled: int | None = None,
    ) -> Layout:
        """The files of a table, and which of them are to be written again.

        Raises:
            TableNotFoundError: there is no table.
        """
        files, state = self._here(table), self._state(table)
        frozen: set[str] = set()
        if settled is not None:
            # What came later may be taken back, and is known by its files then.
            later = range(settled + 1, state.version + 1)
            frozen = {a["add"]["path"] for v in later for a in files.log.actions(v) if "add" in a}
        deleted = deleted_rows(files, state)
        plan = Planner(files.log.table, files.fetching, policy, frozen, by_flow, thorough, deleted)
        try:
            state.check_writable(table.location)
            found = plan.layout(state)
        except TableTooNewError as error:
            size = sum(f.size for f in state.files)
            found = Layout(state.version, len(state.files), size, why_not=error.message)
        if by_flow and RENAMES in state.properties:
            # The name of a flow that has got another one says nothing about its files.
            why = "flows that bring its rows have got other names"
            return replace(found, bins=(), why_not=why)
        return found

    def stale(self, table: TableRef, policy: Policy, needed: Needed) -> Cleaned:
        """What `clean` would delete now; writes nothing."""
        files = self._here(table)
        newest = files.log.version() if _lacks_checkpoint(files) else None
        return _cleaned(self._stale(table, policy, needed), newest)

    def clean(
        self,
        table: TableRef,
        policy: Policy,
        needed: Needed,
        confirm: Callable[[], object] | None = None,
        gate: CommitGate | None = None,
    ) -> Cleaned:
        """Delete what the table has lost for long enough, and log entries that are old enough.

        Raises:
            ForeignTableError: the table is another owner's.
            AdapterError: the disk, or the store, refuses.
        """
        self._check_owner(table)
        files = self._here(table)
        files.look_again()
        checkpoint = self._checkpointed(files, gate)
        found = self._stale(table, policy, needed)
        if found.data or found.log:
            if confirm is not None:
                confirm()
            files.clean([*found.data], found.log)
        return _cleaned(found, checkpoint)

    def _checkpointed(self, files: Files, gate: CommitGate | None) -> int | None:
        """Write a checkpoint if there is none for long; its version."""
        if not _lacks_checkpoint(files):
            return None
        # Without it entries stay, and readers take longer.
        with suppress(AdapterError, OSError):
            files.checkpoint(gate)
            return max(files.log.checkpoints(), default=None)
        return None

    def _stale(self, table: TableRef, policy: Policy, needed: Needed) -> Stale:
        at = partial(self._state, table)
        return Cleaning(self._here(table), self._state(table), policy, needed, at).stale()


def _lacks_checkpoint(files: Files) -> bool:
    commits, checkpoints = files.log.listed()
    return len([v for v in commits if v > max(checkpoints, default=-1)]) >= _SOON


def _cleaned(found: Stale, checkpoint: int | None) -> Cleaned:
    size = sum(found.data.values())
    return Cleaned(len(found.data), size, len(found.log), found.oldest, checkpoint)
