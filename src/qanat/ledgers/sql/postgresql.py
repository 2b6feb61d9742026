"""The ledger in PostgreSQL; needs the extra `postgres`."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from qanat.errors import LedgerError, needing
from qanat.ledgers.sql.database import Row, check_version, migrate
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.ledgers.sql.tables import VERSION
from qanat.model.record import Lease

with needing("a ledger in PostgreSQL", "postgres"):
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.errors import LockNotAvailable

_NAME = "qanat"
_CONNECT_SECONDS = 10
IDLE_SECONDS = 30.0
"""Seconds that a transaction may pause between two statements. Ours never pause; but a process
that is stopped in a transaction, or whose machine died, keeps the lease's row locked."""
# Notice within a minute that the server has died; Linux alone would take two hours.
_ALIVE = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,
}
_MIGRATION_LOCK = 0x71616E61  # "qana": an arbitrary number that other programs hardly use


class PostgresLedger(SqlLedger):
    """A ledger in a PostgreSQL database; missing tables are created.

    Args:
        url: `postgresql://user:password@host:port/database`.
        scope: `<project>/<environment>`.

    Raises:
        LedgerError: the server cannot be reached or refuses.
        TableTooNewError: a newer version of Qanat wrote the ledger.
    """

    def __init__(self, url: str, scope: str) -> None:
        self._server = PostgresDatabase(url)
        super().__init__(self._server, scope)

    def acquire(
        self, holder: str, seconds: float, datasets: Collection[str] | None = None
    ) -> Lease:
        """Take the lease for `seconds`, if need be after ending sessions that lock its row.

        Raises:
            UpdateRunningError: another update holds it; the error says which, where, since when.
        """
        try:
            return super().acquire(holder, seconds, datasets)
        except LedgerError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
        self._server.end_sleepers()
        return super().acquire(holder, seconds, datasets)


class PostgresDatabase:
    """One connection per thread, reopened if the server has closed it."""

    locks_rows = "FOR UPDATE"

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        # Without user and password: messages show it.
        self._place = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Row]] = []
        self._guard = threading.Lock()
        with ExitStack() as undo:
            undo.callback(self.close)
            self._create()
            undo.pop_all()

    @contextmanager
    def reading(self) -> Iterator[PostgresTransaction]:
        """Begin a transaction that sees one state and never waits for writers."""
        with self._begun() as transaction:
            transaction.write("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[PostgresTransaction]:
        """Begin a transaction that may write."""
        with self._begun() as transaction:
            # PostgreSQL may be configured to answer before a commit is on disk; the ledger needs
            # it there.
            idle = round(1000 * IDLE_SECONDS)
            transaction.write(
                "SET LOCAL synchronous_commit = on;"
                f" SET LOCAL idle_in_transaction_session_timeout = {idle};"
                f" SET LOCAL lock_timeout = {2 * idle}"
            )
            yield transaction

    def end_sleepers(self) -> None:
        """End sessions of Qanat whose process was stopped in the middle of a statement.

        The server waits for the rest of the statement. To it the session is active, not idle, so
        `idle_in_transaction_session_timeout` does not end it; a timeout for whole transactions
        exists only since PostgreSQL 17.
        """
        with self._begun() as transaction:
            transaction.read(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = ? AND usename = current_user"
                " AND datname = current_database() AND state = 'active'"
                " AND wait_event = 'ClientRead' AND clock_timestamp() - state_change > ?",
                (_NAME, timedelta(seconds=IDLE_SECONDS)),
            )

    def close(self) -> None:
        """Close every thread's connection."""
        with self._guard:
            while self._connections:
                self._connections.pop().close()
        self._local = threading.local()

    def _create(self) -> None:
        with self.reading() as transaction:
            ((table,),) = transaction.read("SELECT to_regclass('qanat_ledger')::text")
            rows = transaction.read("SELECT version FROM qanat_ledger") if table else []
        if rows:
            check_version(rows[0][0], self._place)
            if rows[0][0] == VERSION:
                return
        with self.writing() as transaction:
            transaction.read("SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))
            migrate(transaction, self._place)

    @contextmanager
    def _begun(self) -> Iterator[PostgresTransaction]:
        with self._errors(), ExitStack() as transaction:
            connection = self._connection()
            try:
                transaction.enter_context(connection.transaction())
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
                # The server or the network has ended it since its last transaction; of this one
                # nothing has been sent.
                connection = self._connection()
                transaction.enter_context(connection.transaction())
            yield PostgresTransaction(connection)

    def _connection(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = psycopg.connect(
                make_conninfo("", **{**_ALIVE, **conninfo_to_dict(self._url)}),
                autocommit=True,
                prepare_threshold=None,  # prepared statements fail behind some connection poolers
                application_name=_NAME,
            )
            self._local.connection = connection
            with self._guard:
                self._connections = [c for c in self._connections if not c.closed]
                self._connections.append(connection)
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.IntegrityError as error:
            text = str(error).partition("\n")[0]
            raise LedgerError(f"the ledger {self._place} refused a row", got=text) from error
        except LockNotAvailable as error:
            raise LedgerError(
                f"the ledger {self._place} is locked",
                got="another session has begun to write to it and does not go on",
                hint="find the session and end it: SELECT * FROM pg_stat_activity",
            ) from error
        except psycopg.OperationalError as error:
            raise LedgerError(
                f"cannot reach the ledger {self._place}",
                got=str(error).strip().partition("\n")[0],
                hint="check that the server runs and that the URL's user may use the database",
            ) from error
        except (psycopg.Error, UnicodeError) as error:
            text = str(error).strip().partition("\n")[0]
            raise LedgerError(f"cannot use the ledger {self._place}", got=text) from error


class PostgresTransaction:
    """The statements of one transaction."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        return self._connection.execute(_placed(sql), values).fetchall()

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows that it changed."""
        return self._connection.execute(_placed(sql), values or None).rowcount

    def write_all(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row, in few round trips."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_placed(sql), rows)

    def now(self) -> float:
        """Seconds since 1970 by the server's clock."""
        ((now,),) = self.read("SELECT extract(epoch FROM clock_timestamp())::double precision")
        return float(now)


def _placed(sql: str) -> bytes:
    """A statement with psycopg's placeholders; the ledger's SQL has no other `?` and no `%`."""
    return sql.replace("?", "%s").encode()
