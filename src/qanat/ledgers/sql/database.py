"""What the ledger needs of a database, and events on their way there.

All other SQL is the same for every database. An update writes to its ledger a few times an epoch.
A transaction of their own would cost each event a sync of the disk; in one that happens anyway
they cost some bytes. So events wait in memory for the next transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, Protocol, TypeAlias

from qanat.errors import TableTooNewError
from qanat.ledgers.sql.tables import MIGRATIONS, VERSION, VERSION_TABLE
from qanat.model.event import EventRecord, UnknownEvent, event_of, facts_of, kind_of

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


class WaitingEvents:
    """Events that are not known to be written yet, by update; safe for several threads."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[EventRecord]] = {}
        self._lock = Lock()

    def add(self, update: str, records: Iterable[EventRecord]) -> None:
        """Let events wait; their numbers are greater than those of all before."""
        with self._lock:
            self._waiting.setdefault(update, []).extend(records)

    def of(self, update: str) -> Sequence[EventRecord]:
        """The events of an update that wait to be written; they wait until `written` is called.

        So each transaction writes all that is missing, and there is never a gap: not even where
        one fails while another goes on.
        """
        with self._lock:
            return tuple(self._waiting.get(update, ()))

    def written(self, update: str, records: Sequence[EventRecord]) -> None:
        """Forget events that a transaction has written."""
        if records:
            with self._lock:
                left = self._waiting.get(update, [])
                self._waiting[update] = [r for r in left if r.number > records[-1].number]

    def forget(self, update: str) -> None:
        """Forget all of an update."""
        with self._lock:
            self._waiting.pop(update, None)


def write_events(
    transaction: Transaction, scope: str, update: str, records: Sequence[EventRecord]
) -> None:
    """Insert events; one that is there already stays as it is."""
    # Two threads may write the same one after another; and a server that dies during COMMIT may
    # have kept what its client believes lost.
    transaction.write_all(
        "INSERT INTO qanat_events (scope, update_id, number, at, kind, facts)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (scope, update_id, number) DO NOTHING",
        [(scope, update, r.number, r.at, kind_of(r.event), _text(r)) for r in records],
    )


def read_events(
    transaction: Transaction, scope: str, update: str, after: int, limit: int
) -> list[EventRecord]:
    """The events of an update in their order, from the one behind number `after`."""
    rows = transaction.read(
        "SELECT number, at, kind, facts FROM qanat_events"
        " WHERE scope = ? AND update_id = ? AND number > ? ORDER BY number LIMIT ?",
        (scope, update, after, limit),
    )
    return [_record(row) for row in rows]


# `json.dumps` makes a new encoder at each call that has options.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _text(record: EventRecord) -> str:
    # In ASCII: neither database stores half of a surrogate pair, as in names of broken files.
    return _encode(facts_of(record.event))


def _record(row: Row) -> EventRecord:
    number, at, kind, text = row
    try:
        facts = json.loads(text)
    except ValueError:
        return EventRecord(number, at, UnknownEvent(kind, {"text": text}))
    if not isinstance(facts, dict):
        return EventRecord(number, at, UnknownEvent(kind, {"facts": facts}))
    return EventRecord(number, at, event_of(kind, facts))
