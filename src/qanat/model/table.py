"""One stored table, what it is at a version, and what one commit does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from qanat.errors import SchemaMismatchError, full_refresh
from qanat.frozen import Frozen
from qanat.model.amount import Amount
from qanat.model.schema import Schema, grown
from qanat.model.staged import DataFile
from qanat.model.work import Batch


@dataclass(frozen=True, slots=True, order=True)
class TableRef:
    """One table.

    Args:
        location: its folder (absolute); a URL only of a table of others, which is read by its URL
            and has no `folder` on this machine.
        name: the dataset, or `<dataset>__quarantine`; for tables of others, their location.

    >>> TableRef("/data/tables/silver", "silver").folder.name
    'silver'
    """

    location: str
    name: str

    @property
    def folder(self) -> Path:
        """The folder of a table on this machine."""
        return _folder(self.location)

    def __str__(self) -> str:
        return self.location


@lru_cache(maxsize=10_000)
def _folder(location: str) -> Path:
    # Cached: it is asked many times while a table is written, and pathlib parses it each time.
    return Path(location.removeprefix("file://"))


CORRECTED = "qanat.corrected"
"""In `Commit.info`: JSON of the source files whose earlier rows a commit replaces. Each comes with
the version that brought the first of these rows, so that a reader can tell whether it has them."""


class Change(StrEnum):
    """What becomes of the rows that a table has when a commit brings new ones."""

    APPEND = "append"
    """The rows that are there stay."""
    REPLACE = "replace"
    """All rows that are there are removed."""
    REPLACE_OWN = "replace own"
    """The rows that the same application (the same flow) has written are removed."""
    MERGE = "merge"
    """The rows of some files are removed (`Commit.removed`); new files have those that stay."""
    REARRANGE = "rearrange"
    """All rows stay: those of some files (`Commit.removed`) are in others (`Commit.rewritten`)."""


class Snapshot(Frozen):
    """A table at one version.

    Args:
        batch: its rows, for an engine: a `TableBatch` where they are all rows of Parquet files on
            this machine (of what Qanat has written, always); else an `ArrowBatch`, as where
            others have deleted rows by their position.
        rows: number of rows where the log knows it, else None.
        bytes: size of the live files.
        id: of the table: another one that is made in its place has another.
        events: changes that its rows do not tell, for those that come later (`Commit.events`);
            None if there are none.
        newest_ms: the moment of its newest file (`TableBatch.moments`); 0 if files have none.
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
    id: str = ""
    events: Batch | None = None
    newest_ms: int = 0

    @property
    def amount(self) -> Amount:
        """How much the table has."""
        return Amount(self.files, self.bytes, self.rows)


class Added(Frozen):
    """What a table gained between two versions; `amount` as the log knows it.

    Args:
        corrected: source files whose earlier rows went in between, each with the version that
            brought the first of these.
    """

    batch: Batch
    amount: Amount
    corrected: Mapping[str, int] = field(default_factory=dict)


class CommitGate(Protocol):
    """What lets an update commit, until another one takes over."""

    @property
    def folder(self) -> Path:
        """A folder of the update's own, on this machine, which the other one renames away."""
        ...

    def confirm(self) -> None:
        """Ask whoever may know on any machine.

        Raises:
            LeaseLostError: another update has taken over.
        """
        ...


class Commit(Frozen):
    """One atomic change of one table.

    Args:
        change: what becomes of the rows that are there.
        application, number: transaction identifier. The commit happens only if the table's
            version for that application is exactly `number - 1` (none counts as 0).
        gaps: the commit also happens if the table is at any smaller number: for quarantine
            tables (epochs without quarantined rows leave no commit there) and fresh starts.
        comment: of the table; empty: it has none; None: it keeps the one that it has.
        properties: table properties to have set.
        info: extra facts for the log entry (the update, the flow).
        gate: the commit fails once another update has closed it. None: nothing can stop it.
        rewritten: files that take the place of all that are there, with the same rows in wider
            types; None if those stay.
        rewrites: the version whose rows they have. The commit fails if the table has gained or
            lost a file since. Of a merge, the version whose rows and events it has read; None if
            there were none. Of a rearrangement, the version at which the files were read: it fails
            if one that it replaces has lost rows since.
        removed: of a merge, the files that the commit takes out of the table, as `Snapshot.batch`
            names them (`rewritten` may have the rows of theirs that stay); it fails like
            `rewrites` if the table is not at that version any more. Of a rearrangement, those that
            `rewritten` replaces; it fails if the table has lost one.
        feed: of a merge, files with the rows that it inserts, updates and deletes, for readers of
            changes; the column `_change_type` says what became of each.
        events: of a merge, files with the changes that the rows of the table do not tell (a key
            that was deleted, say). They belong to the version, and no reader of the table sees
            them. None: those of before stay.
        event_columns: of `events`.
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
    gate: CommitGate | None = None
    rewritten: tuple[DataFile, ...] | None = None
    rewrites: int | None = None
    removed: tuple[str, ...] = ()
    feed: tuple[DataFile, ...] = ()
    events: tuple[DataFile, ...] | None = None
    event_columns: Schema = Schema()

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """Everything that was staged for it."""
        return (*(self.rewritten or ()), *self.files, *self.feed, *(self.events or ()))

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
            same = found is not None and (
                self.rewritten is not None or found.type == grown(old.type, found.type)
            )
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
                    hint=f"let the column be NULL, or {self._rewrite}",
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
        return f"start over: {full_refresh(self.table.name)}"
