"""Moves and removes Delta tables, and lets commits of one application count as another's."""

from __future__ import annotations

from qanat.model.table import CommitGate, TableRef
from qanat.storage.delta.commit import renaming
from qanat.storage.delta.files import Files
from qanat.storage.delta.state import TableState


class DeltaNames:
    """The part of a Delta store that knows tables and applications by other names."""

    def transaction(self, table: TableRef, application: str) -> int:
        """The last committed number of an application; 0 if none or no table."""
        raise NotImplementedError

    def _state(
        self, table: TableRef, version: int | None = None, application: str | None = None
    ) -> TableState:
        raise NotImplementedError

    def _here(self, table: TableRef) -> Files:
        raise NotImplementedError

    def forgotten(self, table: TableRef) -> bool:
        """Never: a Delta table is what its folder says."""
        del table
        return False

    def check_move(self, table: TableRef) -> None:
        """Nothing forbids it: a Delta table is what its folder says, wherever that is."""

    def move(self, table: TableRef, to: TableRef, gate: CommitGate | None = None) -> None:
        """Give a table another name and place; nothing if there is none.

        Raises:
            CommitConflictError: the gate is gone.
            AdapterError: there is something else in that place.
        """
        self._here(table).move(self._here(to), gate)

    def drop(self, table: TableRef, gate: CommitGate | None = None) -> None:
        """Remove a table with all its versions; nothing if there is none.

        Raises:
            CommitConflictError: the gate is gone.
        """
        self._here(table).drop(gate)

    def rename_application(
        self, table: TableRef, old: str, new: str | None, gate: CommitGate | None = None
    ) -> bool:
        """Let what an application has committed be another's; with None: nobody's.

        The entry that does it names both, so that whoever looks for an application's files finds
        those that it brought under its old name (`retract.commits_of`).

        Raises:
            TableTooNewError: the table needs a feature of its writers that we lack.
            CommitConflictError: the gate is gone.
            StorageFullError: there is no space for the log entry.
        """
        files = self._here(table)
        log = files.log
        files.look_again()
        while log.version() is not None and (number := self.transaction(table, old)):
            state = self._state(table, application=old)
            state.check_writable(table.location)
            if files.put(state.version + 1, renaming(state, old, new, number), gate):
                return True
        return False
