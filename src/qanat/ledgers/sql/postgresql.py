"""The ledger in PostgreSQL, by URL; needs the extra `postgres`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

from qanat.errors import LedgerError, MissingExtraError
from qanat.ledgers.sql.database import Row, check_version, migrate
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.ledgers.sql.tables import VERSION

try:
    import psycopg
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "a ledger in PostgreSQL needs the package psycopg",
        hint='install it with the extra: pip install "qanat[postgres]"',
    ) from error

_CONNECT_SECONDS = 10
_MIGRATION_LOCK = 0x71616E61  # "qana": any number that nobody else takes


class PostgresLedger(SqlLedger):
    """A ledger in a PostgreSQL database; its tables are created if need be.

    Args:
        url: `postgresql://user:password@host:port/database`.

    Raises:
        LedgerError: the server cannot be reached or refuses.
        TableTooNewError: a newer Qanat wrote it.
    """

    def __init__(self, url: str, scope: str) -> None:
        super().__init__(PostgresDatabase(url), scope)


class PostgresDatabase:
    """One connection per thread, opened again when the server has closed it."""

    locks_rows = "FOR UPDATE"

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        # Never the user or password: this goes into messages.
        self._place = f"postgresql://{parts.hostname or ''}{parts.path}"
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Row]] = []
        self._guard = threading.Lock()
        with ExitStack() as undo:
            undo.callback(self.close)
            self._create()
            undo.pop_all()

    @contextmanager
    def reading(self) -> Iterator[PostgresTransaction]:
        """A transaction that sees one state and never waits for writers."""
        with self._begun() as transaction:
            transaction.write("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[PostgresTransaction]:
        """A transaction that may write."""
        with self._begun() as transaction:
            # A server may be set to answer before the disk has; a ledger must not.
            transaction.write("SET LOCAL synchronous_commit = on")
            yield transaction

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
        with self._errors():
            connection = self._connection()
            with connection.transaction():
                yield PostgresTransaction(connection)

    def _connection(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                prepare_threshold=None,  # poolers between us and the server mix sessions
                application_name="qanat",
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
    """Statements of one transaction of one connection."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        return self._connection.execute(_placed(sql), values).fetchall()

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; how many rows it touched."""
        return self._connection.execute(_placed(sql), values or None).rowcount

    def write_all(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row, in one round trip for many."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_placed(sql), rows)

    def now(self) -> float:
        """Seconds since 1970 by the server's clock."""
        ((now,),) = self.read("SELECT extract(epoch FROM clock_timestamp())::double precision")
        return float(now)


def _placed(sql: str) -> bytes:
    """The same statement with psycopg's placeholders; ours have no other `?` and no `%`."""
    return sql.replace("?", "%s").encode()
