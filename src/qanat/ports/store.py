"""Where tables live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from qanat.errors import SchemaMismatchError
from qanat.model.record import Amount
from qanat.model.schema import Schema, grown
from qanat.model.table import Change, TableRef
from qanat.model.work import Batch, DataFile


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table at one version.

    Args:
        rows: number of rows where the log knows it, else None.
        bytes: size of the live files.
    """

    version: int
    schema: Schema
    partition_by: tuple[str, ...]
    batch: Batch
    rows: int | None
    bytes: int
    files: int
    comment: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def amount(self) -> Amount:
        """How much the table has."""
        return Amount(self.files, self.bytes, self.rows)


@dataclass(frozen=True, slots=True)
class Added:
    """What a table gained between two versions; `amount` as the log knows it."""

    batch: Batch
    amount: Amount


@dataclass(frozen=True, slots=True)
class Commit:
    """One atomic change of one table.

    Args:
        change: what becomes of the rows that are there.
        application, number: transaction identifier. The commit happens only if the table's
            version for that application is exactly `number - 1` (none counts as 0).
        gaps: the commit also happens if the table is at any smaller number: for quarantine
            tables (epochs without quarantined rows leave no commit there) and fresh starts.
        properties: table properties to have set.
        info: extra facts for the log entry (the update, the flow).
        gate: folder in which the log entry is written before it gets its name. Once somebody
            has taken it away, the commit cannot happen. None: somewhere in the table.
    """

    table: TableRef
    schema: Schema
    files: tuple[DataFile, ...]
    change: Change
    application: str
    number: int
    partition_by: tuple[str, ...] = ()
    comment: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    info: Mapping[str, str] = field(default_factory=dict)
    gaps: bool = False
    gate: Path | None = None

    def check_append(
        self, columns: Schema, partition_by: tuple[str, ...] | None, filled: bool
    ) -> None:
        """Raise unless the rows of a table may stay, whatever format it has.

        Args:
            columns: of the table as it is.
            partition_by: of the table as it is; None if by something else than columns.
            filled: whether the table has rows, as far as that is known.

        Raises:
            SchemaMismatchError: a column would go, change its type or refuse rows that are there;
                or the partitioning would change.
        """
        if self.partition_by != partition_by:
            raise SchemaMismatchError(
                f"the partitioning of {self.table.name} changed",
                wanted=", ".join(partition_by or ()) or "none",
                got=", ".join(self.partition_by) or "none",
                hint=self._rewrite,
            )
        new = {f.name: f for f in self.schema.fields}
        for old in columns.fields:
            found = new.pop(old.name, None)
            # A struct may gain fields: they are NULL in the rows that are there.
            same = found is not None and found.type == grown(old.type, found.type)
            if found is None or not same or (old.nullable and not found.nullable and filled):
                raise SchemaMismatchError(
                    f"column {old.name!r} of {self.table.name} cannot change while its rows stay",
                    wanted=str(old),
                    got="no such column" if found is None else str(found),
                    hint=self._rewrite,
                )
        for added in new.values():
            if not added.nullable and filled:
                raise SchemaMismatchError(
                    f"{self.table.name} has rows without a value for the new column"
                    f" {added.name!r}",
                    got=str(added),
                    hint="let the column be NULL, or rewrite the table with --full-refresh",
                )

    def check_partitions(self) -> None:
        """Raise unless the table has the columns that it is partitioned by.

        Raises:
            SchemaMismatchError: it lacks one.
        """
        missing = [c for c in self.partition_by if c not in self.schema.names]
        if missing:
            raise SchemaMismatchError(
                f"{self.table.name} is partitioned by {missing[0]!r}, which it does not have",
                wanted=f"one of {', '.join(self.schema.names)}",
            )

    @property
    def _rewrite(self) -> str:
        return f"rewrite the table: qanat run --full-refresh {self.table.name}"


class TableStore(Protocol):
    """Tables with atomic, durable, idempotent commits.

    A session makes one for each table format, as `Class(private, options)`, from the class that
    `TableFormat.store` names: the project's own folder (which may not exist yet) for whatever the
    format keeps beside its tables, and the spec's `storage_options`, checked by
    `TableFormat.options`.
    """

    def tables(self, place: str) -> Sequence[TableRef]:
        """All tables right below a folder or URL, also those that nobody declares any more."""
        ...

    def version(self, table: TableRef) -> int | None:
        """The newest version, None if there is no table. Cheap: reads no data."""
        ...

    def snapshot(self, table: TableRef, version: int | None = None) -> Snapshot:
        """The table at a version (default: newest).

        Raises:
            TableNotFoundError: there is no table.
            TableTooNewError: it needs a protocol feature this store does not have.
        """
        ...

    def added(self, table: TableRef, after: int, upto: int) -> Added:
        """The rows that the table gained after one version, up to and with another.

        `after` -1: everything that it holds at `upto`.

        Raises:
            NotAppendOnlyError: a version in between removed or rewrote rows.
        """
        ...

    def transaction(self, table: TableRef, application: str) -> int:
        """The last committed number of an application; 0 if none or no table."""
        ...

    def staging(self, table: TableRef) -> Path:
        """The folder in which an engine stages files that a commit can make part of the table."""
        ...

    def publish(self, commit: Commit) -> int:
        """Make staged files part of the table, durably; returns the new version.

        Idempotent: when the table already carries (application, number), that is made durable
        and the current version is returned.

        Raises:
            CommitConflictError: the application is at another number than `number - 1`, or
                the gate is gone.
        """
        ...

    def retract(
        self, table: TableRef, application: str, number: int, gate: Path | None = None
    ) -> bool:
        """Take back a commit of an application, if its newest has that number.

        What the commit added goes, what it removed comes back, and the application is at
        `number - 1` again, all in one commit. Returns whether there was anything to take back;
        doing it twice is the same as once.
        """
        ...

    def repair(self, table: TableRef) -> bool:
        """Make a table durable as it is, but for what a power loss tore; whether it did.

        Only what no update has been told is done can be torn. Everything else may have been
        written by a process that was killed before it could make sure of it.
        """
        ...

    def sweep(self, table: TableRef, confirm: Callable[[], object] | None = None) -> int:
        """Delete files that no version in the log mentions (a crashed writer's); how many.

        Args:
            confirm: called once they have been found, before any is deleted; raises if another
                writer may have begun. Nothing that came later is deleted, whatever it is called.
        """
        ...

    def orphans(self, table: TableRef) -> int:
        """How many files `sweep` would delete now; deletes nothing."""
        ...

    def missing(self, table: TableRef) -> Sequence[str]:
        """The files of the newest version that are not there."""
        ...
