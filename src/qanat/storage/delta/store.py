"""The Delta table store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from qanat.errors import (
    AdapterError,
    CommitConflictError,
    QanatError,
    TableCorruptError,
    TableNotFoundError,
    TableTooNewError,
    UnsupportedError,
    full_refresh,
    install,
)
from qanat.model.owner import OWNER, check_owner, marked, spares
from qanat.model.table import Added, Commit, CommitGate, Snapshot, TableRef
from qanat.ports.store import LocalFolders
from qanat.storage.delta.batches import added, batch_of, events_of
from qanat.storage.delta.commit import entry, undoing
from qanat.storage.delta.events import EVENTS, event_files
from qanat.storage.delta.feed import changed
from qanat.storage.delta.files import Files
from qanat.storage.delta.log import Log
from qanat.storage.delta.merges import check_base
from qanat.storage.delta.owner import owner_in
from qanat.storage.delta.places import Places
from qanat.storage.delta.retract import RENAMES, commit_of, settled
from qanat.storage.delta.state import TableState
from qanat.storage.delta.states import KEPT_FILES, States
from qanat.storage.delta.upkeep import DeltaUpkeep

_CHECKPOINT_EVERY = 100
"""Commits between checkpoints (delta-rs's default); `delta.checkpointInterval` overrides."""


class DeltaStore(DeltaUpkeep):
    """Delta tables in folders and in object stores.

    Safe to use from several threads and processes at once.

    Args:
        private: the project's own folder; Delta needs nothing there.
        options: Delta has none.
        owner: whose tables it writes.
        folders: for copies of what lies in object stores; default: in the system's folder for
            temporary files.
    """

    extends = merges = True

    def __init__(
        self,
        private: Path | None = None,
        options: Mapping[str, Any] | None = None,
        owner: str = "",
        folders: LocalFolders | None = None,
    ) -> None:
        del private, options
        self._owner = owner
        self._places = Places(folders)
        self._states = States(lambda *asked: _table().load(*asked))
        self._snapshots: dict[TableRef, tuple[TableState, Snapshot]] = {}

    def look_again(self, tables: Sequence[TableRef] = ()) -> None:
        """Let no later answer be older than this call: of tables in object stores some may be."""
        self._places.look_again(tables)

    def tables(self, place: str) -> Sequence[TableRef]:
        """All Delta tables right below a folder, and the folders that may be some."""
        return self._places.tables(place)

    def staging(self, table: TableRef) -> Path:
        """The table's own folder: a file is part of the table once the log names it.

        Of a table in an object store, the folder of this process from which files are uploaded.
        """
        return self._here(table).log.table

    def missing(self, table: TableRef, version: int | None = None) -> Sequence[str]:
        """The files of a version (default: newest) that are not there."""
        state = self._state(table, version)
        files = (*(state.files if state.plain else ()), *event_files(state.properties))
        return self._here(table).missing(files) if files else ()

    def version(self, table: TableRef) -> int | None:
        """The newest version, None if there is no table. Cheap: lists one folder."""
        log = self._log(table)
        found: int | None = log.version() if log else _table().newest(table.location)
        return found

    def last_change(self, table: TableRef) -> int | None:
        """The newest version, without those behind it that change no row."""
        log = self._log(table)
        return log.last_change() if log else self.version(table)

    def owner(self, table: TableRef) -> str | None:
        """Whose a table is; None if it does not say or is not there."""
        try:
            return self._state(table).properties.get(OWNER)
        except TableNotFoundError:
            return None
        except (TableCorruptError, TableTooNewError):
            return owner_in(self._here(table).log)

    def snapshot(self, table: TableRef, version: int | None = None) -> Snapshot:
        """The table at a version (default: newest).

        Raises:
            TableNotFoundError: there is no table, or no such version.
            TableTooNewError: it needs a protocol feature that we lack (named).
            TableCorruptError: its log is damaged (names the file).
        """
        state = self._state(table, version)
        kept = self._snapshots.get(table)
        if kept is not None and kept[0] is state:
            # An epoch asks three times, and the paths of all files are in it.
            return kept[1]
        snapshot = self._snapshot(table, state)
        if len(state.files) <= KEPT_FILES:
            self._snapshots[table] = state, snapshot
        return snapshot

    def _snapshot(self, table: TableRef, state: TableState) -> Snapshot:
        files = self._places.files(table.location)
        hidden = (OWNER, RENAMES, EVENTS)
        return Snapshot(
            version=state.version,
            schema=state.schema,
            partition_by=state.partition_by,
            batch=batch_of(table, state, files),
            rows=state.rows,
            bytes=sum(f.size for f in state.files),
            files=len(state.files),
            comment=state.comment,
            properties={k: v for k, v in state.properties.items() if k not in hidden},
            id=state.id,
            newest_ms=state.newest_ms,
            events=events_of(state, files),
        )

    def added(self, table: TableRef, after: int, upto: int, skip: bool = False) -> Added:
        """The rows that the table gained after one version, up to and with another.

        `after` -1: everything that it holds at `upto`.

        Raises:
            NotAppendOnlyError: a version in between removed or rewrote rows; never with `skip`.
            TableCorruptError: the log no longer reaches back that far.
            FileVanishedError: a file of the range has been vacuumed.
        """
        if after < 0:
            snapshot = self.snapshot(table, upto)
            return Added(snapshot.batch, snapshot.amount)
        there = self._streamed(table)
        return added(table, there, after, upto, partial(self._state, table), skip)

    def changed(
        self, table: TableRef, after: int, upto: int, fed: bool = False, begins: bool = False
    ) -> Added:
        """What the versions after one, up to and with another, did to rows, each apart.

        Raises:
            TableCorruptError, FileVanishedError, TableTooNewError: as `added` does.
        """
        there = self._streamed(table)
        return changed(table, there, after, upto, partial(self._state, table), fed, begins)

    def _streamed(self, table: TableRef) -> Files:
        """The files of a table of which it is asked what came and went.

        Raises:
            UnsupportedError: only delta-rs can read it.
        """
        there = self._places.files(table.location)
        if there is None:
            raise UnsupportedError(
                f"{table} cannot be read as a stream: only tables in folders, S3, Google Cloud"
                " Storage and Azure can",
                hint=f"read it without STREAM, or install what reads it: {install('obstore')}",
            )
        return there

    def settled(
        self, table: TableRef, after: int, carried: Callable[[str], int | None]
    ) -> int | None:
        """The newest version up to which no commit can be taken back any more; None if none."""
        files = self._places.files(table.location)
        return settled(files, after, carried) if files else self.version(table)

    def transaction(self, table: TableRef, application: str) -> int:
        """The last committed number of an application; 0 if none or no table."""
        log = self._log(table)
        number = log.transaction(application) if log else None
        if number is None:
            try:
                state = self._state(table, application=application)
            except TableNotFoundError:
                return 0
            number = state.transactions.get(application, 0)
        return number

    def publish(self, commit: Commit) -> int:
        """Make staged files part of the table, durably; returns the new version.

        Idempotent: when the table already carries (application, number), that is made durable
        and the current version is returned. Other writers' commits in between are no
        conflict: the commit is rebuilt on top of them.

        Raises:
            CommitConflictError: the application is at another number than `number - 1`, or
                the gate is gone.
            ForeignTableError: the table is another owner's.
            SchemaMismatchError: an append does not fit the table's columns.
            StorageFullError: there is no space for the log entry.
        """
        files, commit = self._here(commit.table), marked(commit, self._owner)
        try:
            version, state = self._commit(files, commit)
        except QanatError:
            files.withdraw(commit.all_files)
            raise
        finally:
            files.forget(commit.all_files)
        if state and version % _interval(commit.properties, state.properties) == 0:
            self._checkpoint(commit)
        return version

    def _commit(self, files: Files, commit: Commit) -> tuple[int, TableState | None]:
        looked = False
        while True:
            state = self._newest(commit)
            last = state.transactions.get(commit.application, 0) if state else 0
            if state and last == commit.number:
                # The process that published it may have been killed before it was durable.
                files.secure()
                return state.version, None
            fits = last == commit.number - 1 or (commit.gaps and last < commit.number)
            if not fits and not looked:
                files.look_again()
                looked = True
                continue
            if not fits:
                raise CommitConflictError(
                    f"{commit.table.name} is at number {last} of {commit.application!r}",
                    wanted=str(commit.number - 1),
                    got=str(last),
                    hint="another update committed to the table; run again",
                )
            check_base(commit, state, files.log, partial(self._state, commit.table))
            content = entry(commit, state, files.log)
            version = state.version + 1 if state else files.first_version()
            files.upload(commit.all_files)
            if version is not None and files.put(version, content, commit.gate, not last):
                return version, state

    def retract(
        self, table: TableRef, application: str, number: int, gate: CommitGate | None = None
    ) -> bool:
        """Take back a commit of an application, if its newest has that number.

        Raises:
            TableCorruptError: the log no longer has that commit.
            CommitConflictError: the gate is gone.
            ForeignTableError: the table is another owner's.
            StorageFullError: there is no space for the log entry.
            UnsupportedError: others have changed the same rows again since.
        """
        files = self._here(table)
        log = files.log
        files.look_again()
        while self.transaction(table, application) == number and log.version() is not None:
            self._check_owner(table)
            made = commit_of(log, application, number)
            if made is None:
                raise TableCorruptError(
                    f"the log of {table} no longer has commit {number} of {application!r}",
                    hint=f"start over: {full_refresh()}",
                )
            state = self._state(table, application=application)
            state.check_writable(table.location)
            before = self._before(table, log, made)
            content = undoing(log, made, before, state, application, number)
            if files.put(state.version + 1, content, gate):
                return True
        return False

    def sweep(self, table: TableRef, confirm: Callable[[], object] | None = None) -> int:
        """Delete files that no version in the log mentions (a crashed writer's); how many.

        Args:
            confirm: called between finding and deleting; raises if the lease was lost.

        Those of Spark and delta-rs stay for a day: their commit may be under way. Those that
        another owner has staged stay; in its table, all that this one has not.
        """
        return self._here(table).sweep(confirm, self._spared(table))

    def orphans(self, table: TableRef) -> int:
        """How many files `sweep` would delete now."""
        return self._here(table).orphans(self._spared(table))

    def repair(self, table: TableRef) -> bool:
        """Make a table durable as it is, and remove what a power loss tore; whether it did.

        A log entry or a checkpoint may be torn. All others are synced: the process that wrote
        them may have been killed before its own sync.

        Raises:
            TableCorruptError: the damage is not of that kind; nothing was removed.
            ForeignTableError: the table is another owner's.
            TableTooNewError: it is in an object store, and needs a feature of its writers that we
                lack.
        """
        self._check_owner(table)
        return self._here(table).repair(partial(self._check_writable, table))

    def _check_writable(self, table: TableRef) -> None:
        with suppress(TableNotFoundError, TableCorruptError):
            self._state(table).check_writable(table.location)

    def _check_owner(self, table: TableRef) -> None:
        if self._owner:
            check_owner(table.name, self.owner(table), self._owner)

    def _spared(self, table: TableRef) -> Callable[[Path], bool]:
        return spares(self._owner, partial(self.owner, table))

    def _newest(self, commit: Commit) -> TableState | None:
        if self._here(commit.table).log.version() is None:
            return None
        state = self._state(commit.table, application=commit.application)
        check_owner(commit.table.name, state.properties.get(OWNER), self._owner)
        state.check_writable(commit.table.location)
        return state

    def _state(
        self, table: TableRef, version: int | None = None, application: str | None = None
    ) -> TableState:
        log = self._log(table)
        if log is None:
            loaded: TableState = _table().load(table.location, version, application)
            return loaded
        newest = log.version()
        if newest is None:
            raise TableNotFoundError(f"there is no Delta table at {table}")
        if version is not None and version > newest:
            raise TableNotFoundError(
                f"{table} has no version {version}", got=f"newest version {newest}"
            )
        log.ready(version)
        found = newest if version is None else version
        return self._states.at(log, found, version is not None, application)

    def _before(self, table: TableRef, log: Log, version: int) -> TableState | None:
        """The table before a version, if that one has changed its metadata."""
        before = log.version_before(version)
        made = next((a["metaData"] for a in log.actions(version) if "metaData" in a), None)
        if before is None or made is None:
            return None
        try:
            return self._state(table, before)
        except (TableNotFoundError, TableCorruptError):
            # Another tool has removed the entries before it. Only events have to be known.
            if EVENTS in made.get("configuration", {}):
                raise
            return None

    def _checkpoint(self, commit: Commit) -> None:
        try:
            self._here(commit.table).checkpoint(commit.gate)
        except (AdapterError, OSError):
            # The commit is made. A checkpoint only saves readers time; the next one will do.
            return

    def _log(self, table: TableRef) -> Log | None:
        """The table's log; None at a URL that only delta-rs can read."""
        files = self._places.files(table.location)
        return None if files is None else files.log

    def _here(self, table: TableRef) -> Files:
        return self._places.here(table.location)


def _interval(*properties: Mapping[str, str]) -> int:
    texts = (p.get("delta.checkpointInterval", "") for p in properties)
    return next((int(t) for t in texts if t.isdigit() and int(t)), _CHECKPOINT_EVERY)


def _table() -> Any:
    """The module that imports deltalake, which an unchanged run must not pay for."""
    return import_module("qanat.storage.delta.table")
