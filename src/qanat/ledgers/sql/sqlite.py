"""The ledger in SQLite: one file in the project's storage."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from qanat.disk import sync_path
from qanat.errors import LedgerError, LedgerLostError, StorageFullError
from qanat.ledgers.sql.database import Row, check_version, migrate
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.ledgers.sql.tables import VERSION
from qanat.ports import ledger


class SqliteLedger(SqlLedger):
    """A ledger in one SQLite file; a missing file is created, with the folders above it.

    Args:
        path: the file.
        scope: `<project>/<environment>`.

    Raises:
        LedgerError: the file cannot be opened, or is no SQLite database.
        TableTooNewError: a newer version of Qanat wrote the ledger.
    """

    def __init__(self, path: Path, scope: str) -> None:
        super().__init__(SqliteDatabase(path), scope)


class SqliteDatabase:
    """One connection per thread; with SQLite's write-ahead log, readers never wait for writers.

    A file that this user may not write to can be read all the same.
    """

    locks_rows = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        # Makes threads wait for each other: SQLite's own lock, which polls, would be slower.
        self._write_lock = threading.Lock()
        self._writable = not path.exists() or (
            os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        )
        self._identity: tuple[int, int] | None = None
        with ExitStack() as undo:
            undo.callback(self.close)
            with self._errors():
                self._create()
                self._identity = _identity(path)
            undo.pop_all()

    @contextmanager
    def reading(self) -> Iterator[SqliteTransaction]:
        """Begin a transaction that sees one state and never waits for writers."""
        with self._errors(), self._begun("BEGIN") as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[SqliteTransaction]:
        """Begin a transaction that may write; other writers wait until it ends."""
        with self._write_lock, self._errors(), self._begun("BEGIN IMMEDIATE") as transaction:
            yield transaction

    def close(self) -> None:
        """Close every thread's connection."""
        while self._connections:
            self._connections.pop().close()
        self._local = threading.local()

    def _create(self) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._version() is None:
            # Sync before the tables exist: an update that is killed in between leaves no tables,
            # so the next one comes here and syncs again.
            sync_path(self._path.parent)
            with self._begun("BEGIN IMMEDIATE") as transaction:
                migrate(transaction, str(self._path))

    def _version(self) -> int | None:
        """The version of the tables if it is this Qanat's; None if a migration is needed."""
        with self._begun("BEGIN") as transaction:
            if not transaction.read("SELECT 1 FROM sqlite_master WHERE name = 'qanat_ledger'"):
                return None
            ((version,),) = transaction.read("SELECT coalesce(max(version), 0) FROM qanat_ledger")
        check_version(version, str(self._path))
        return int(version) if version == VERSION else None

    @contextmanager
    def _begun(self, begin: str) -> Iterator[SqliteTransaction]:
        with self._opened() as connection:
            connection.execute(begin)
            try:
                yield SqliteTransaction(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if self._writable:
            self._check_there()
            yield self._connection()
            return
        # Without its write-ahead log the file is complete, but SQLite wants to make one even to
        # read. Look each time: another user may have begun to write.
        log = self._path.with_name(f"{self._path.name}-wal")
        uri = f"{self._path.absolute().as_uri()}?{'mode=ro' if log.exists() else 'immutable=1'}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            yield connection

    def _check_there(self) -> None:
        """Refuse to go on with a file that has lost its name: what is written there is gone.

        Raises:
            LedgerLostError: the file was removed, or is another one.
        """
        if self._identity in (None, _identity(self._path)):
            return
        raise LedgerLostError(
            f"the ledger {self._path} was removed or replaced while it was in use",
            hint="if its disk is not mounted, mount it; if you have removed the project's storage"
            " to start over, run again",
        )

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path,
                timeout=ledger.BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,  # `close` closes the connections of all threads
            )
            self._connections.append(connection)
            _enter_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            self._local.connection = connection
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise LedgerError(f"the ledger {self._path} refused a row", got=str(error)) from error
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> LedgerError | StorageFullError:
        text = str(error)
        if "disk is full" in text or "No space left" in text:
            return StorageFullError(
                f"no space left for the ledger {self._path}",
                hint="free space and run again; whatever was being written is done again",
            )
        hint = None
        if "not a database" in text or "malformed" in text:
            hint = (
                "restore the file from a backup; or move it away and start over with all tables:"
                " qanat run --full-refresh"
            )
        elif "readonly" in text or "unable to open" in text or isinstance(error, OSError):
            hint = "the project's storage must be a folder that this user may write to"
        elif "disk I/O error" in text:
            hint = "see whether the disk is full or a limit on file sizes is set, and run again"
        elif "locked" in text:
            hint = "another program holds the file; close it and run again"
        return LedgerError(f"cannot use the ledger {self._path}", got=text, hint=hint)


class SqliteTransaction:
    """The statements of one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        return self._connection.execute(sql, values).fetchall()

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows that it changed."""
        return self._connection.execute(sql, values).rowcount

    def write_all(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        self._connection.executemany(sql, rows)

    def now(self) -> float:
        """Seconds since 1970 by this machine's clock: all users of the file share it."""
        return time.time()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _enter_wal(connection: sqlite3.Connection) -> None:
    # Retry by hand: SQLite's busy timeout does not apply to the switch to WAL, and two processes
    # may create one ledger at the same time.
    deadline = time.monotonic() + ledger.BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
