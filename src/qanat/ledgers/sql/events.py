"""What updates have told: events wait in memory for the next transaction, and are read back.

An update writes to its ledger a few times an epoch. A transaction of their own would cost each
event a sync of the disk; in one that happens anyway they cost some bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from threading import Lock

from qanat.ledgers.sql.database import Row, Transaction
from qanat.model.event_record import EventRecord, UnknownEvent, event_of, facts_of, kind_of


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
        """All that wait of an update; they wait on until somebody says that they are written.

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


def _text(record: EventRecord) -> str:
    # In ASCII: neither database stores half of a surrogate pair, as in names of broken files.
    return json.dumps(facts_of(record.event), separators=(",", ":"))


def _record(row: Row) -> EventRecord:
    number, at, kind, text = row
    try:
        facts = json.loads(text)
    except ValueError:
        return EventRecord(number, at, UnknownEvent(kind, {"text": text}))
    if not isinstance(facts, dict):
        return EventRecord(number, at, UnknownEvent(kind, {"facts": facts}))
    return EventRecord(number, at, event_of(kind, facts))
