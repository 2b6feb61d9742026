"""Where tables live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from qanat.frozen import Frozen
from qanat.model.table import Added, Commit, CommitGate, Snapshot, TableRef
from qanat.model.upkeep import Cleaned, Layout, Needed, Policy


class LocalFolders(Frozen):
    """Where a store may put files of its own on this machine.

    Args:
        scratch: gives a folder of this process, which is removed when that ends.
        cache: a folder that processes share; what is in it may be removed at any time.
    """

    scratch: Callable[[], Path]
    cache: Path


class TableStore(Protocol):
    """Tables with atomic, durable, idempotent commits.

    A process may be stopped at any instruction, lose its lease, and wake in the middle of a
    commit; that commit must fail. `Commit.gate` names a folder of the update for this. The update
    that takes over renames that folder away, calls `repair` for every table, and only then looks
    at what was committed. So a store commits in one of three ways:

    1. It makes the commit out of the gate, by a link or a rename that fails once the folder is
       gone (Delta in a file system).
    2. It looks at the gate after it has read the table and before it exchanges exactly what it
       read, and `repair` changes the table (a fence), so that an exchange which was already under
       way fails (Iceberg).
    3. Where no folder is shared it calls `CommitGate.confirm`, which asks the ledger, in place of
       looking at the gate; `repair` puts a fence (Delta in object stores).

    A session makes one for each table format, as `Class(private, options, owner, folders)`, from
    the class that `TableFormat.store` names: the project's own folder (which may not exist yet)
    for whatever the format keeps beside its tables, the spec's `storage_options`, checked by
    `TableFormat.options`, `<project>/<environment>`, and the session's own `LocalFolders`.

    Each commit says in the table's property `qanat.owner` whose the table is, and a table that is
    another owner's is never changed. `qanat.model.owner` has what all stores need for that. One
    with an empty owner marks nothing and checks nothing.

    Datasets are updated in parallel: it is safe to call from several threads. Hints of errors have
    `qanat.errors.DATASET` where the dataset's name belongs; the caller fills it in.
    """

    @property
    def maintains(self) -> bool:
        """True if tables are maintained: `layout`, `stale`, `clean`, `Change.REARRANGE`."""
        ...

    @property
    def extends(self) -> bool:
        """True if files may have columns that their table has not, which its readers pass over."""
        ...

    @property
    def merges(self) -> bool:
        """True if rows of a table can be changed (`Change.MERGE`).

        Then a version has changes beside its rows (`Commit.events`), which go where it goes: a
        commit that is taken back, a table that moves, an older version that is read.
        """
        ...

    def look_again(self, tables: Sequence[TableRef] = ()) -> None:
        """Let no later answer be older than this call.

        Between two calls a store may remember which version of a table is the newest, so that an
        update asks a distant store once. What it commits itself, it knows.

        Args:
            tables: what will be asked about next: a distant store can be asked for all at once.
        """
        ...

    def tables(self, place: str) -> Sequence[TableRef]:
        """All tables right below a folder, also those that are no longer declared."""
        ...

    def version(self, table: TableRef) -> int | None:
        """The newest version, None if there is no table. Cheap: reads no data.

        Versions are 0, 1, 2, … without gaps, whatever the format's own are called.
        """
        ...

    def last_change(self, table: TableRef) -> int | None:
        """The newest version, without those behind it that change no row.

        They only fence the table, or have the same rows in other files. Who reads the table as it
        is names this one: there is no reason to read it again.
        """
        ...

    def same_rows(self, table: TableRef, version: int) -> int:
        """The newest version that has the same rows as another one, perhaps in other files."""
        ...

    def owner(self, table: TableRef) -> str | None:
        """Whose a table is; None if it does not say, or if there is none.

        Also of a table that has something wrong, as far as can be told.
        """
        ...

    def snapshot(self, table: TableRef, version: int | None = None) -> Snapshot:
        """The table at a version (default: newest).

        Raises:
            TableNotFoundError: there is no table.
            TableTooNewError: it needs a protocol feature this store does not have.
        """
        ...

    def added(self, table: TableRef, after: int, upto: int, skip: bool = False) -> Added:
        """The rows that the table gained after one version, up to and with another.

        `after` -1: everything that it holds at `upto`.

        Args:
            skip: take only the versions that add rows, and pass over those that remove or rewrite
                any. What a version added that was taken back since does not count.

        Raises:
            NotAppendOnlyError: a version in between removed or rewrote rows; never with `skip`.
        """
        ...

    def changed(
        self, table: TableRef, after: int, upto: int, fed: bool = False, begins: bool = False
    ) -> Added:
        """What the versions after one, up to and with another, did to rows, each apart.

        The columns are those of the table at `upto`, and `qanat.model.feed.CHANGE_FIELDS`.

        Args:
            after: -1 to begin with the first version.
            fed: whether each version must have kept a feed of changes; else those without one
                count that tell by their files alone what they did.
            begins: whether all rows at `upto` are given as inserted by it, where the table does
                not tell any more what its first versions did.

        Raises:
            UnsupportedError: a version does not tell what it did, or this store cannot.
            SchemaMismatchError: a column has a type by now that does not hold its earlier values.
        """
        ...

    def settled(
        self, table: TableRef, after: int, carried: Callable[[str], int | None]
    ) -> int | None:
        """The newest version up to which no commit can be taken back any more; None if none.

        A commit of an application may still be taken back (`retract`) if its number is beyond the
        one that the application has elsewhere, where its epochs commit last.

        Args:
            after: commits of this version and of earlier ones are not looked at.
            carried: the number of an application there; None if nobody can tell, and its commits
                count.
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
            CommitConflictError: the application is at another number than `number - 1`, the
                gate is gone, or the table is not what `Commit.rewrites` says any more.
            UnsupportedError: the commit changes rows, which this store or table cannot have.
            SchemaMismatchError: an append does not fit the table. `publish` calls
                `Commit.check_append` for every change that keeps rows, with the columns and
                partitions of exactly the version that it commits on top of, and
                `Commit.check_partitions` where it writes down columns. Both come after the look
                whether the commit is there already.
            ForeignTableError: the table is another owner's.
            AdapterError: a staged file is gone, or is not what was staged; the message names it.
            StorageFullError: there is no space.
        """
        ...

    def retract(
        self, table: TableRef, application: str, number: int, gate: CommitGate | None = None
    ) -> bool:
        """Take back a commit of an application, if its newest has that number.

        What the commit added goes, what it removed comes back, and the application is at
        the number before it again, all in one commit. Returns whether there was anything to take
        back; doing it twice is the same as once.

        Raises:
            CommitConflictError: the gate is gone.
            ForeignTableError: the table is another owner's.
            TableCorruptError: the table's history no longer has that commit.
            UnsupportedError: another application has changed the same rows since (`Change.MERGE`).
        """
        ...

    def repair(self, table: TableRef) -> bool:
        """Make a table durable as it is, and fence it; remove what a power loss tore.

        Only a commit that was never reported as done can be torn. All others are synced: the
        process that wrote them may have been killed before its own sync. Commits that are under
        way on top of the table fail from now on, unless they fail by the gate alone; also the
        first commit of a table that does not exist yet.

        Returns whether anything was removed.

        Raises:
            ForeignTableError: the table is another owner's.
        """
        ...

    def sweep(self, table: TableRef, confirm: Callable[[], object] | None = None) -> int:
        """Delete files that no version in the log mentions (a crashed writer's); how many.

        Those that another owner has staged are spared; in another owner's table all are, but for
        what this owner has staged there.

        Args:
            confirm: called once they have been found, before any is deleted; raises if another
                writer may have begun. Nothing that came later is deleted, whatever it is called.
        """
        ...

    def orphans(self, table: TableRef) -> int:
        """How many files `sweep` would delete now; deletes nothing."""
        ...

    def missing(self, table: TableRef, version: int | None = None) -> Sequence[str]:
        """The files of a version (default: newest) that are not there."""
        ...

    def forgotten(self, table: TableRef) -> bool:
        """True if there was a table of which only its own folder still tells.

        So it is where a catalog was lost; `version` says that there is no table then. Where all
        that makes a table lies in its folder, this is never so.
        """
        ...

    # -- maintenance -------------------------------------------------------------------------

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

        Args:
            thorough: whether all small files are; else only as many as pays after an update.
            by_flow: whether files that different applications have brought stay apart, for tables
                of which one may replace its own rows (`Change.REPLACE_OWN`).
            settled: files of later versions stay as they are: their commits may be taken back.

        Raises:
            TableNotFoundError: there is no table.
        """
        ...

    def stale(self, table: TableRef, policy: Policy, needed: Needed) -> Cleaned:
        """What `clean` would delete now; writes nothing."""
        ...

    def clean(
        self,
        table: TableRef,
        policy: Policy,
        needed: Needed,
        confirm: Callable[[], object] | None = None,
        gate: CommitGate | None = None,
    ) -> Cleaned:
        """Delete what the table has lost for long enough, and log entries that are old enough.

        Durable, and harmless to break off at any point; doing it twice is the same as once.

        Args:
            confirm: called once it is found what goes, before anything is deleted.

        Raises:
            ForeignTableError: the table is another owner's.
            AdapterError: the disk, or the store, refuses.
        """
        ...

    # -- names -----------------------------------------------------------------------------

    def check_move(self, table: TableRef) -> None:
        """Raise what forbids that a table gets another name.

        Raises:
            UnsupportedError: this store cannot move it.
        """
        ...

    def move(self, table: TableRef, to: TableRef, gate: CommitGate | None = None) -> None:
        """Give a table another name and place, with its whole history, durably.

        Nothing if there is no such table, so that doing it twice is the same as once.

        Raises:
            CommitConflictError: the gate is gone.
            AdapterError: there is something else in that place.
        """
        ...

    def drop(self, table: TableRef, gate: CommitGate | None = None) -> None:
        """Remove a table with all its versions, durably; nothing if there is none.

        Raises:
            CommitConflictError: the gate is gone.
        """
        ...

    def rename_application(
        self, table: TableRef, old: str, new: str | None, gate: CommitGate | None = None
    ) -> bool:
        """Let what an application has committed to a table be another's from now on.

        `transaction` of the new one is what that of the old one was, which becomes 0, and the rows
        that the old one has brought are the new one's own (`Change.REPLACE_OWN`). No row changes.
        Returns whether there was anything to do; doing it twice is the same as once.

        Args:
            new: None lets the old one begin anew, and the rows be nobody's own.

        Raises:
            CommitConflictError: the gate is gone.
        """
        ...
