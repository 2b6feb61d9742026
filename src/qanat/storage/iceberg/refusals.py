"""What the store refuses before it writes anything."""

from __future__ import annotations

from qanat.errors import CommitConflictError, OptionError, UnsupportedError
from qanat.model.table import Added, Change, Commit, CommitGate, TableRef
from qanat.storage.iceberg.history import FENCE, MAPPING, TRANSACTIONS

_REFUSED = {
    "format-version": "Qanat writes version 2 of the format, which every reader knows",
    "write.data.path": "data files are in the table's folder",
    "write.metadata.path": "metadata files are in the table's folder",
    "write.object-storage.enabled": "data files are in the table's folder",
    "write.py-location-provider.impl": "files are in the table's folder",
    MAPPING: "Qanat keeps it itself",
    TRANSACTIONS: "Qanat keeps it itself",
    FENCE: "Qanat keeps it itself",
}


def local(table: TableRef) -> TableRef:
    """The table by its folder.

    Raises:
        UnsupportedError: it is not on this machine.
    """
    if "://" in table.location.removeprefix("file://"):
        raise UnsupportedError(
            f"{table} cannot be written: Iceberg tables can be written in local folders only",
            hint="let the project's storage be a folder",
        )
    return TableRef(str(table.folder), table.name)


def check_commit(commit: Commit) -> None:
    """Refuse what Iceberg tables cannot have, and properties that promise too much.

    Raises:
        OptionError: a property does.
        UnsupportedError: the commit changes rows.
    """
    if commit.change is Change.MERGE:
        raise UnsupportedError(
            f"rows of {commit.table.name} cannot be changed: Iceberg tables are only appended to"
            " or replaced",
            hint="keep the project's tables in Delta Lake: table_format: delta",
        )
    for name in commit.properties:
        if name in _REFUSED:
            raise OptionError(f"the table property {name!r} cannot be set", hint=_REFUSED[name])


def check_gate(gate: CommitGate | None, table: TableRef) -> None:
    """Refuse to commit once another update has removed the gate.

    Raises:
        CommitConflictError: it has.
    """
    if gate is not None and not gate.folder.is_dir():
        raise CommitConflictError(
            f"another update took over before this one committed to {table.name}",
            hint="it was stopped for longer than its lease; nothing of it is lost: run again",
        )


class NoFeed:
    """The part of an Iceberg store that is asked for what its tables do not keep."""

    def changed(
        self, table: TableRef, after: int, upto: int, fed: bool = False, begins: bool = False
    ) -> Added:
        """Refused.

        Raises:
            UnsupportedError: always.
        """
        del after, upto, fed
        raise UnsupportedError(
            f"the changes of {table.name} cannot be read: Iceberg tables keep no feed of changes",
            hint="keep the project's tables in Delta Lake: table_format: delta",
        )
