"""The Iceberg table store.

**Exactly once.** A commit of an application's number is one snapshot, whose summary carries the
numbers of all applications; it is made only if the number before is the last. Files, columns,
partitions and properties change in one exchange of metadata, which fails if another writer has
committed meanwhile; then the commit starts again from the new state.

**Wider types** take two snapshots: a `replace` with the same rows in other files, and the commit's
own. A crash in between leaves a table with wider types than it needs yet, and the same rows.

**Sleepers.** A process may be stopped between any two instructions, for longer than its lease,
and commit when it wakes. Commits to Delta tables go through a folder (the gate) that an update
which takes over removes; an exchange in a catalog goes through none. Instead:

1. A commit reads the table's metadata, *then* looks whether its gate is there, then exchanges
   exactly the metadata that it read (a file catalog compares the metadata's name; others compare
   the current snapshot, which every commit of Qanat changes).
2. An update that takes over closes the gate, then `repair`s every table before looking at it;
   that makes a *fence*: a snapshot without a change.

A sleeper that read before the gate was closed builds on a snapshot from before the fence, so its
exchange either comes before the fence, and is seen, or fails. One that reads later finds its gate
closed. A table that is not there has no snapshot to exchange; so it is registered first, without
one, which publishes nothing, and is fenced like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from qanat.disk import disk_error, explained, is_dropped, staged_file, sync, sync_path
from qanat.errors import (
    CommitConflictError,
    QanatError,
    TableCorruptError,
    TableNotFoundError,
    full_refresh,
)
from qanat.model.owner import OWNER, check_owner, marked, spares
from qanat.model.table import Added, Commit, CommitGate, Snapshot, TableRef
from qanat.ports.store import LocalFolders
from qanat.storage.iceberg.catalog import Catalog, FileCatalog, Registered, driver, read_history
from qanat.storage.iceberg.names import IcebergNames
from qanat.storage.iceberg.refusals import check_commit, check_gate, local
from qanat.storage.iceberg.upkeep import NoUpkeep

_NAMESPACE = "default"


class IcebergStore(NoUpkeep, IcebergNames):
    """Iceberg tables in local folders.

    Safe to use from several threads and processes at once.

    Args:
        private: the project's own folder, for the catalog, made when needed.
        options: as `qanat.storage.iceberg.OPTIONS` has them; without any, the catalog is a file
            in `private`.
        owner: whose tables it writes.
    """

    merges = extends = False

    def __init__(
        self, private: Path, options: Mapping[str, Any], owner: str = "", *_: LocalFolders
    ) -> None:
        self._options, self._owner = dict(options), owner
        self._namespace = str(options.get("namespace") or _NAMESPACE)
        others = {k for k, v in options.items() if v not in (None, "")} - {"namespace"}
        self._file = None if others else FileCatalog(private, self._namespace)
        self._foreign: Catalog | None = None

    @property
    def _catalog(self) -> Catalog:
        if self._file is not None:
            return self._file
        if self._foreign is None:
            self._foreign = driver("foreign").ForeignCatalog(self._options, self._namespace)
        return self._foreign

    # -- looking -------------------------------------------------------------------------------

    def look_again(self, tables: Sequence[TableRef] = ()) -> None:
        """Nothing: no answer is remembered."""

    def tables(self, place: str) -> Sequence[TableRef]:
        """All tables right below a folder, and the folders that may be some."""
        above = place.rstrip("/")
        folders = (f for f in Path(above).glob("*") if f.is_dir() and not is_dropped(f))
        found = {f.name: TableRef(str(f), unquote(f.name)) for f in folders}
        for table in self._catalog.tables():
            name = table.location.rpartition("/")[2]
            # A storage that was copied has its tables here, whatever its catalog says.
            here = TableRef(f"{above}/{name}", table.name)
            if table.location == here.location or self._catalog.find(here) is not None:
                found[name] = here
        return sorted(found.values())

    def version(self, table: TableRef) -> int | None:
        """The newest version, None if there is no table. Cheap: imports no driver."""
        base = self._catalog.find(table)
        return base.history.newest.version if base and base.history.newest else None

    def last_change(self, table: TableRef) -> int | None:
        """The newest version, also if it is a fence."""
        return self.version(table)

    def owner(self, table: TableRef) -> str | None:
        """Whose a table is, or will be once it has its first version; None if it does not say."""
        try:
            base = self._catalog.find(table)
        except TableCorruptError:
            return None
        return base.history.properties.get(OWNER) if base else None

    def snapshot(self, table: TableRef, version: int | None = None) -> Snapshot:
        """The table at a version (default: newest).

        Raises:
            TableNotFoundError: there is no table, or no such version.
            TableTooNewError: it has columns or a version of the format that we do not know.
            TableCorruptError: its metadata is damaged.
        """
        base = self._found(table)
        made = base.history.newest if version is None else base.history.at(version)
        if made is None:
            newest = base.history.newest
            raise TableNotFoundError(
                f"{table} has no version {version}",
                got="no version" if newest is None else f"newest version {newest.version}",
            )
        found: Snapshot = self._reader(table, base).snapshot(made)
        return found

    def added(self, table: TableRef, after: int, upto: int, skip: bool = False) -> Added:
        """The rows that the table gained after one version, up to and with another.

        `after` -1: everything that it holds at `upto`.

        Raises:
            NotAppendOnlyError: a version in between removed or rewrote rows; never with `skip`.
            TableCorruptError: snapshots of the range have been expired.
            FileVanishedError: a file of the range is gone.
        """
        if after < 0:
            snapshot = self.snapshot(table, upto)
            return Added(snapshot.batch, snapshot.amount)
        found: Added = self._reader(table, self._found(table)).added(after, upto, skip)
        return found

    def settled(
        self, table: TableRef, after: int, carried: Callable[[str], int | None]
    ) -> int | None:
        """The newest version up to which no commit can be taken back any more; None if none."""
        while (newest := self.version(table)) is not None:
            found = self._found(table).history.settled(after, carried)
            # A number is given again once its commit was taken back.
            if self.version(table) == newest:
                return found
        return None

    def transaction(self, table: TableRef, application: str) -> int:
        """The last committed number of an application; 0 if none or no table."""
        base = self._catalog.find(table)
        return base.history.numbers.get(application, 0) if base else 0

    def missing(self, table: TableRef, version: int | None = None) -> Sequence[str]:
        """The files of a version (default: newest) that are not there."""
        base = self._found(table)
        made = base.history.newest if version is None else base.history.at(version)
        found: Sequence[str] = self._reader(table, base).missing(made) if made else ()
        return found

    def forgotten(self, table: TableRef) -> bool:
        """True if metadata with snapshots lies here, but Qanat's own catalog has no such table.

        A crash before the first commit leaves none: the catalog's entry is durable by then.
        """
        if self._file is None or self._catalog.find(table) is not None:
            return False
        for path in (table.folder / "metadata").glob("*.metadata.json"):
            with suppress(TableCorruptError):  # torn before the catalog named it
                if read_history(path).newest is not None:
                    return True
        return False

    # -- changing ------------------------------------------------------------------------------

    def staging(self, table: TableRef) -> Path:
        """The folder of staged files; raises UnsupportedError for tables on other machines."""
        return Path(local(table).location, "data")

    def publish(self, commit: Commit) -> int:
        """See `TableStore.publish`. Other writers' commits in between are no conflict.

        Raises:
            OptionError, UnsupportedError: the commit asks for what Iceberg tables cannot have.
            QanatError: what the port says.
        """
        table = local(commit.table)
        check_commit(commit)
        with explained("commit to", table):
            return self._publish(marked(commit, self._owner), table)

    def _publish(self, commit: Commit, table: TableRef) -> int:
        while True:
            base = self._find_own(table)
            if base is not None and (version := self._carries(commit, base)) is not None:
                return version
            check_gate(commit.gate, table)
            if base is None:
                self._create(commit)
            elif self._at_home(table, base):
                staging = str(self.staging(table))
                draft = driver("commit").drafted(commit, base, self._io(base, table), staging)
                if self._exchange(table, base, draft) and not draft.same_rows:
                    return int(draft.before.last_sequence)

    def retract(
        self, table: TableRef, application: str, number: int, gate: CommitGate | None = None
    ) -> bool:
        """See `TableStore.retract`."""
        with explained("commit to", table):
            return self._retract(table, application, number, gate)

    def _retract(
        self, table: TableRef, application: str, number: int, gate: CommitGate | None
    ) -> bool:
        while True:
            base = self._catalog.find(table)
            if base is None or base.history.numbers.get(application, 0) != number:
                return False
            self._find_own(table)
            made = base.history.committed(application, number)
            if made is None:
                raise TableCorruptError(
                    f"{table} no longer has the snapshot of commit {number} of {application!r}",
                    hint=f"start over: {full_refresh()}",
                )
            check_gate(gate, table)
            if self._at_home(table, base):
                draft = driver("commit").retracting(
                    base, self._io(base, table), made, application, number
                )
                if self._exchange(table, base, draft):
                    return True

    def repair(self, table: TableRef) -> bool:
        """Make a table durable as it is; make commits that are under way on top of it fail.

        Nothing of Iceberg's can be torn: every file has its name only once it is on the disk.

        Raises:
            TableCorruptError: a file of the table is damaged.
            ForeignTableError: the table is another owner's.
        """
        with explained("repair", table):
            self._find_own(table)
            self._catalog.secure()
            self._fence(table)
        return False

    def sweep(self, table: TableRef, confirm: Callable[[], object] | None = None) -> int:
        """Delete files that no snapshot mentions (a crashed writer's); how many.

        Args:
            confirm: called between finding and deleting; raises if the lease was lost.

        Those that may be another tool's stay for a day: their commit may be under way. Those that
        another owner has staged stay; in its table, all that this one has not.
        """
        return self._tidy(table, "sweep", confirm)

    def orphans(self, table: TableRef) -> int:
        """How many files `sweep` would delete now; deletes nothing."""
        return self._tidy(table, "orphans")

    def _fence(self, table: TableRef) -> Registered | None:
        """Make commits on top of the table as it is fail; the table then, if there is one."""
        while (base := self._find_own(table)) is not None:
            if self._at_home(table, base):
                draft = driver("commit").fencing(base, self._io(base, table))
                if self._exchange(table, base, draft):
                    break
        return base and self._catalog.find(table)

    # -- steps ---------------------------------------------------------------------------------

    def _find_own(self, table: TableRef) -> Registered | None:
        """The table, unless it is another owner's; None if there is none."""
        base = self._catalog.find(table)
        if base is not None:
            check_owner(table.name, base.history.properties.get(OWNER), self._owner)
        return base

    def _found(self, table: TableRef) -> Registered:
        base = self._catalog.find(table)
        if base is None or base.history.newest is None:
            raise TableNotFoundError(f"there is no Iceberg table at {table}")
        return base

    def _reader(self, table: TableRef, base: Registered) -> Any:
        return driver("reading").Reader(table, base, self._io(base, table))

    def _io(self, base: Registered, table: TableRef) -> Any:
        if base.handle is not None:
            return base.handle.io
        moved = None if base.moved_from is None else (base.moved_from, table.location)
        return driver("disk").DurableIO(moved=moved)

    def _carries(self, commit: Commit, base: Registered) -> int | None:
        """The table's version if it has the commit already; None if it is to be made.

        Raises:
            CommitConflictError: it cannot be made: others have come in between.
        """
        last = base.history.numbers.get(commit.application, 0)
        newest = base.history.newest
        if newest is not None and last == commit.number:
            # The process that published it may have been killed before it was durable.
            self._catalog.secure()
            return newest.version
        if last != commit.number - 1 and not (commit.gaps and last < commit.number):
            raise CommitConflictError(
                f"{commit.table.name} is at number {last} of {commit.application!r}",
                wanted=str(commit.number - 1),
                got=str(last),
                hint="another update committed to the table; run again",
            )
        return None

    def _create(self, commit: Commit) -> None:
        draft = driver("commit")
        for file in commit.files:
            staged_file(self.staging(commit.table) / file.path, file.size)
        schema, properties = draft.initial(commit)
        self._catalog.create(commit.table, schema, properties)

    def _at_home(self, table: TableRef, base: Registered) -> bool:
        """True if a table's metadata names its files where they are; if not, now it does."""
        if base.moved_from is None or self._file is None:
            return True
        driver("moving").settle(self._file, table, base)
        return False

    def _exchange(self, table: TableRef, base: Registered, draft: Any) -> bool:
        """Commit a draft; False if the table is no longer what it builds on."""
        try:
            first = base.history.head is None
            folder = table.folder
            # The names of new data files, of partitions and of the metadata are in these folders.
            # Their own names may not be durable: a process may have made them and crashed.
            for each in (folder / "data", folder):
                if each.is_dir():
                    sync_path(each) if first else sync(each)
            if first:
                self._catalog.secure()
            done = self._catalog.commit(table, base, draft)
        except (OSError, QanatError):
            self._give_up(table, draft)
            raise
        if not done:
            draft.discard()
        return done

    def _give_up(self, table: TableRef, draft: Any) -> None:
        """Remove what a failed commit has written, unless it is in the catalog all the same."""
        # Another catalog may have made the commit although it did not answer: keep the files.
        if self._file is not None:
            with suppress(QanatError):
                base = self._file.find(table)
                if base is None or draft.snapshot_id not in base.history.known:
                    draft.discard()

    def _tidy(self, table: TableRef, act: str, confirm: Callable[[], object] | None = None) -> int:
        try:
            if not table.folder.is_dir():
                return 0
            base = self._catalog.find(table)
            if base is None and self.forgotten(table):
                return 0
            io = None if base is None else self._io(base, table)
            leftovers = driver("leftovers")
            spared = spares(self._owner, partial(self.owner, table))
            if act == "orphans":
                return len(leftovers.orphans(table, base, io, spared))
            # Of a table of others only what this owner has staged goes: no commit is to name that.
            mine = self.owner(table) in (None, self._owner) or not self._owner
            fence = partial(self._fence if mine else self._catalog.find, table)
            removed: int = leftovers.sweep(table, base, io, confirm, fence, spared)
        except OSError as error:
            raise disk_error(error, "look for leftovers in", table) from error
        return removed
