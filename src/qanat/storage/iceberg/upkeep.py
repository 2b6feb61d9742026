"""What an Iceberg store answers about maintenance: it does none.

Other tools do it in the table's own catalog (`rewrite_data_files`, `expire_snapshots`), and so
would an update have to: each step is a snapshot with a number of Qanat's own.
"""

from __future__ import annotations

from collections.abc import Callable

from qanat.model.table import CommitGate, Snapshot, TableRef
from qanat.model.upkeep import Cleaned, Layout, Needed, Policy

_WHY = "Qanat does not maintain Iceberg tables; other tools can"


class NoUpkeep:
    """The part of an Iceberg store that is asked about maintenance."""

    maintains = False

    def snapshot(self, table: TableRef, version: int | None = None) -> Snapshot:
        """The table at a version."""
        raise NotImplementedError

    def same_rows(self, table: TableRef, version: int) -> int:
        """The version itself."""
        del table
        return version

    def layout(
        self,
        table: TableRef,
        policy: Policy,
        *,
        thorough: bool = True,
        by_flow: bool = False,
        settled: int | None = None,
    ) -> Layout:
        """Nothing is to be written again."""
        del policy, thorough, by_flow, settled
        snapshot = self.snapshot(table)
        return Layout(snapshot.version, snapshot.files, snapshot.bytes, why_not=_WHY)

    def stale(self, table: TableRef, policy: Policy, needed: Needed) -> Cleaned:
        """Nothing."""
        del table, policy, needed
        return Cleaned()

    def clean(
        self,
        table: TableRef,
        policy: Policy,
        needed: Needed,
        confirm: Callable[[], object] | None = None,
        gate: CommitGate | None = None,
    ) -> Cleaned:
        """Delete nothing."""
        del table, policy, needed, confirm, gate
        return Cleaned()
