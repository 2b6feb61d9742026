"""The Delta table store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from qanat.disk import disk_error, explained, is_dropped, sync, sync_path
from qanat.errors import (
    AdapterError,
    CommitConflictError,
    FileVanishedError,
    TableCorruptError,
    TableNotFoundError,
    TableTooNewError,
    UnsupportedError,
    full_refresh,
)
from qanat.model.owner import OWNER, check_owner, marked, spares
from qanat.model.table import Added, Commit, Snapshot, TableRef
from qanat.model.work import Amount, ArrowBatch, Batch, TableBatch
from qanat.storage.delta.commit import entry, undoing
from qanat.storage.delta.leftovers import orphans, sweep
from qanat.storage.delta.log import Log, Stamp, put_if_absent
from qanat.storage.delta.names import DeltaNames
from qanat.storage.delta.owner import owner_in
from qanat.storage.delta.retract import commit_of
from qanat.storage.delta.state import (
    TableState,
    added_files,
    hive_style,
    local_path,
    local_paths,
    reconciled,
)

_CHECKPOINT_EVERY = 100
"""Commits between checkpoints (delta-rs's default); `delta.checkpointInterval` overrides."""

_KEPT_FILES = 10_000
"""A state that lists more is read again each time, rather than kept in memory."""


class DeltaStore(DeltaNames):
    """Delta tables in local folders; tables at URLs can be read.

    Safe to use from several threads and processes at once.

    Args:
        private: the project's own folder; Delta needs nothing there.
        options: Delta has none.
        owner: whose tables it writes.
    """

    def __init__(
        self,
        private: Path | None = None,
        options: Mapping[str, Any] | None = None,
        owner: str = "",
    ) -> None:
        del private, options
        self._owner = owner
        self._states: dict[tuple[str, str | None], tuple[Stamp, TableState]] = {}
        self._secured: tuple[Path | None, Path] | None = None

    def tables(self, place: str) -> Sequence[TableRef]:
        """All Delta tables right below a folder, and the folders that may be some."""
        found = (f for f in Path(place).glob("*") if f.is_dir() and not is_dropped(f))
        return sorted(TableRef(str(f), unquote(f.name)) for f in found)

    def staging(self, table: TableRef) -> Path:
        """The table's own folder: a file is part of the table once the log names it."""
        return table.folder

    def missing(self, table: TableRef) -> Sequence[str]:
        """The files of the newest version that are not there."""
        batch = self.snapshot(table).batch
        files = batch.files if isinstance(batch, TableBatch) else ()
        return tuple(f for f in files if not Path(f).exists())

    def version(self, table: TableRef) -> int | None:
        """The newest version, None if there is no table. Cheap: lists one folder."""
        log = _log(table)
        found: int | None = log.version() if log else _table().newest(table.location)
        return found

    def owner(self, table: TableRef) -> str | None:
        """Whose a table is; None if it does not say or is not there."""
        try:
            return self._state(table).properties.get(OWNER)
        except TableNotFoundError:
            return None
        except (TableCorruptError, TableTooNewError):
            return owner_in(_here(table))

    def snapshot(self, table: TableRef, version: int | None = None) -> Snapshot:
        """The table at a version (default: newest).

        Raises:
            TableNotFoundError: there is no table, or no such version.
            TableTooNewError: it needs a protocol feature that we lack (named).
            TableCorruptError: its log is damaged (names the file).
        """
        state = self._state(table, version)
        known = [f.rows for f in state.files]
        return Snapshot(
            version=state.version,
            schema=state.schema,
            partition_by=state.partition_by,
            batch=_batch(table, state),
            rows=None if state.masked else _total(known),
            bytes=sum(f.size for f in state.files),
            files=len(state.files),
            comment=state.comment,
            properties={k: v for k, v in state.properties.items() if k != OWNER},
            id=state.id,
        )

    def added(self, table: TableRef, after: int, upto: int) -> Added:
        """The rows that the table gained after one version, up to and with another.

        `after` -1: everything that it holds at `upto`.

        Raises:
            NotAppendOnlyError: a version in between removed or rewrote rows.
            TableCorruptError: the log no longer reaches back that far.
            FileVanishedError: a file of the range has been vacuumed.
        """
        if after < 0:
            snapshot = self.snapshot(table, upto)
            return Added(snapshot.batch, snapshot.amount)
        log = _log(table)
        if log is None:
            raise UnsupportedError(
                f"{table} cannot be read as a stream: only tables in local folders can",
                hint="read it without STREAM",
            )
        files = tuple(added_files(log, after, upto))
        state = self._state(table, upto)
        if state.mapped:
            raise TableTooNewError(f"cannot read {table} as a stream: it needs columnMapping")
        batch = TableBatch(local_paths(log, files, state), state.schema, state.partition_by)
        for path in batch.files:
            if not Path(path).exists():
                raise FileVanishedError(
                    f"{table} lost rows that have not been read yet",
                    got=f"{path} is gone (vacuumed?)",
                    hint=f"start over from what is there: {full_refresh()}",
                )
        size = sum(f.size for f in files)
        return Added(batch, Amount(len(files), size, _total(f.rows for f in files)))

    def transaction(self, table: TableRef, application: str) -> int:
        """The last committed number of an application; 0 if none or no table."""
        log = _log(table)
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
        log, commit = _here(commit.table), marked(commit, self._owner)
        while True:
            state = self._newest(commit)
            last = state.transactions.get(commit.application, 0) if state else 0
            if state and last == commit.number:
                # The process that published it may have been killed before it was durable.
                with explained("commit to", log.table):
                    log.secure()
                return state.version
            if last != commit.number - 1 and not (commit.gaps and last < commit.number):
                raise CommitConflictError(
                    f"{commit.table.name} is at number {last} of {commit.application!r}",
                    wanted=str(commit.number - 1),
                    got=str(last),
                    hint="another update committed to the table; run again",
                )
            version = state.version + 1 if state else 0
            if self._put(log, version, entry(commit, state), commit.gate, not last):
                break
        if state and version % _interval(commit.properties, state.properties) == 0:
            self._checkpoint(commit)
        return version

    def retract(
        self, table: TableRef, application: str, number: int, gate: Path | None = None
    ) -> bool:
        """Take back a commit of an application, if its newest has that number.

        Raises:
            TableCorruptError: the log no longer has that commit.
            CommitConflictError: the gate is gone.
            ForeignTableError: the table is another owner's.
            StorageFullError: there is no space for the log entry.
        """
        log = Log(table.folder)
        while self.transaction(table, application) == number and log.version() is not None:
            self._check_owner(table)
            made = commit_of(log, application, number)
            if made is None:
                raise TableCorruptError(
                    f"the log of {table} no longer has commit {number} of {application!r}",
                    hint=f"start over: {full_refresh()}",
                )
            state = self._state(table, application=application)
            state.features.check_writable(table.location)
            content = undoing(log, made, state, application, number)
            if self._put(log, state.version + 1, content, gate):
                return True
        return False

    def sweep(self, table: TableRef, confirm: Callable[[], object] | None = None) -> int:
        """Delete files that no version in the log mentions (a crashed writer's); how many.

        Args:
            confirm: called between finding and deleting; raises if the lease was lost.

        Those of Spark and delta-rs stay for a day: their commit may be under way. Those that
        another owner has staged stay; in its table, all that this one has not.
        """
        try:
            return sweep(Log(table.folder), confirm, self._spared(table))
        except OSError as error:
            raise disk_error(error, "sweep", table) from error

    def orphans(self, table: TableRef) -> int:
        """How many files `sweep` would delete now."""
        try:
            return len(orphans(Log(table.folder), self._spared(table)))
        except OSError as error:
            raise disk_error(error, "look for leftovers in", table) from error

    def repair(self, table: TableRef) -> bool:
        """Make a table durable as it is, and remove what a power loss tore; whether it did.

        A log entry or a checkpoint may be torn. All others are synced: the process that wrote
        them may have been killed before its own sync.

        Raises:
            TableCorruptError: the damage is not of that kind; nothing was removed.
            ForeignTableError: the table is another owner's.
        """
        self._check_owner(table)
        try:
            repaired = Log(table.folder).repair()
            Log(table.folder).secure()
        except OSError as error:
            raise disk_error(error, "repair", table) from error
        return repaired

    def _check_owner(self, table: TableRef) -> None:
        if self._owner:
            check_owner(table.name, self.owner(table), self._owner)

    def _spared(self, table: TableRef) -> Callable[[Path], bool]:
        return spares(self._owner, partial(self.owner, table))

    def _newest(self, commit: Commit) -> TableState | None:
        if _here(commit.table).version() is None:
            return None
        state = self._state(commit.table, application=commit.application)
        check_owner(commit.table.name, state.properties.get(OWNER), self._owner)
        state.features.check_writable(commit.table.location)
        return state

    def _state(
        self, table: TableRef, version: int | None = None, application: str | None = None
    ) -> TableState:
        log = _log(table)
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
        # A version never changes; but another table may have been put in the same place.
        stamp = log.stamp(newest if version is None else version)
        kept = self._states.get((table.location, application))
        if kept is not None and kept[0] == stamp:
            return kept[1]
        state: TableState = reconciled(log, version) or _table().load(
            str(log.table), version, application
        )
        # Another commit may have come in between.
        if stamp and stamp[0] == state.version and len(state.files) <= _KEPT_FILES:
            self._states[table.location, application] = stamp, state
        return state

    def _put(
        self, log: Log, version: int, content: bytes, gate: Path | None, first: bool = False
    ) -> bool:
        try:
            log.folder.mkdir(parents=True, exist_ok=True)
            log.secure_others(version)
            # The names of new data files, partition folders and the log are in this folder.
            # Its own name may not be durable: an earlier process may have made it and crashed.
            if first:
                self._secure_names(log.table, gate)
            else:
                sync(log.table)
            return put_if_absent(log.path(version), content, gate)
        except FileNotFoundError as error:
            if gate is None or gate.is_dir():
                raise disk_error(error, "commit to", log.table) from error
            raise CommitConflictError(
                f"another update took over before this one committed to {log.table.name}",
                hint="it was stopped for longer than its lease; nothing of it is lost: run again",
            ) from error
        except OSError as error:
            raise disk_error(error, "commit to", log.table) from error

    def _secure_names(self, table: Path, gate: Path | None) -> None:
        """Make the names in a table's folder durable, its own, and those of the folders above."""
        # While the gate is there, so are the folders above it that this process has synced.
        known = gate is not None and self._secured == (gate, table.parent)
        sync_path(table, upto=table.parent if known else None)
        self._secured = gate, table.parent

    def _checkpoint(self, commit: Commit) -> None:
        try:
            _table().checkpoint(commit.table.folder, commit.gate)
        except (AdapterError, OSError):
            # The commit is made. A checkpoint only saves readers time; the next one will do.
            return


def _interval(*properties: Mapping[str, str]) -> int:
    texts = (p.get("delta.checkpointInterval", "") for p in properties)
    return next((int(t) for t in texts if t.isdigit() and int(t)), _CHECKPOINT_EVERY)


def _table() -> Any:
    """The module that imports deltalake, which an unchanged run must not pay for."""
    return import_module("qanat.storage.delta.table")


def _log(table: TableRef) -> Log | None:
    """The log of a local table; None for a URL."""
    return _log_at(table.location)


def _here(table: TableRef) -> Log:
    """The log of a table in a local folder."""
    return _log(table) or Log(table.folder)


@lru_cache(maxsize=10_000)
def _log_at(location: str) -> Log | None:
    path = location.removeprefix("file://")
    return None if "://" in path else Log(Path(path))


def _batch(table: TableRef, state: TableState) -> Batch:
    log = _log(table)
    if log and state.plain and all(hive_style(f.path, state.partition_by) for f in state.files):
        files = [local_path(log.table, f.path) for f in state.files]
        if None not in files:
            return TableBatch(
                tuple(f for f in files if f is not None), state.schema, state.partition_by
            )
    place = str(log.table) if log else table.location
    return ArrowBatch(partial(_table().scan, place, state.version), state.schema)


def _total(rows: Iterable[int | None]) -> int | None:
    """The sum, None when one is unknown."""
    total = 0
    for count in rows:
        if count is None:
            return None
        total += count
    return total
