"""What the ledger needs of a database; all other SQL is the same for every database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

from qanat.errors import TableTooNewError
from qanat.ledgers.sql.tables import MIGRATIONS, VERSION, VERSION_TABLE

Row: TypeAlias = tuple[Any, ...]


class Transaction(Protocol):
    """Statements that take effect together and durably, or not at all; placeholders are `?`."""

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        ...

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows that it changed."""
        ...

    def write_all(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        ...

    def now(self) -> float:
        """Seconds since 1970, by a clock that all users of this database share."""
        ...


class Database(Protocol):
    """A database; safe to use from several threads.

    Attributes:
        locks_rows: the clause that ends a query to lock its rows against other writers
            (`FOR UPDATE`); empty if the database admits only one writer at a time.
    """

    locks_rows: str

    def reading(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction that sees one state and never waits for writers."""
        ...

    def writing(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction that may write."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


def migrate(transaction: Transaction, place: str) -> None:
    """Create the ledger's tables, or bring them to this version of Qanat.

    Args:
        transaction: writes the changes.
        place: the ledger's path or URL, for the message.

    Raises:
        TableTooNewError: a newer version of Qanat wrote the ledger.
    """
    transaction.write(VERSION_TABLE)
    rows = transaction.read("SELECT version FROM qanat_ledger")
    version = rows[0][0] if rows else 0
    check_version(version, place)
    if version == VERSION:
        return
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            transaction.write(statement)
    if rows:
        transaction.write("UPDATE qanat_ledger SET version = ?", (VERSION,))
    else:
        transaction.write("INSERT INTO qanat_ledger (version) VALUES (?)", (VERSION,))


def check_version(version: int, place: str) -> None:
    """Check that this version of Qanat can read a ledger.

    Args:
        version: the version of the ledger's tables.
        place: the ledger's path or URL, for the message.

    Raises:
        TableTooNewError: a newer version of Qanat wrote the ledger.
    """
    if version > VERSION:
        raise TableTooNewError(
            f"the ledger {place} was written by a newer Qanat",
            wanted=f"ledger version {VERSION} or older",
            got=f"ledger version {version}",
            hint="upgrade Qanat here, or point this environment at a ledger of its own",
        )
