"""Looks whether an update may still commit."""

from __future__ import annotations

from pathlib import Path

from qanat.errors import CommitConflictError
from qanat.model.table import TableRef


def check_gate(gate: Path | None, table: TableRef) -> None:
    """Refuse to go on once another update has taken the gate away.

    Raises:
        CommitConflictError: it has.
    """
    if gate is not None and not gate.is_dir():
        raise CommitConflictError(
            f"another update took over before this one committed to {table.name}",
            hint="it was stopped for longer than its lease; nothing of it is lost: run again",
        )
