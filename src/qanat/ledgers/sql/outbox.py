"""Events that observers have still to get: who writes that needs no lease, but a claim.

An entry is made with the record of its update, and goes when all is delivered. Between the two a
process that delivers holds a claim on it, as an update holds its lease: it ends with the process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from qanat.ledgers.sql.database import Transaction
from qanat.ledgers.sql.process import Process, this_process
from qanat.ledgers.sql.reader import SqlLedgerReader
from qanat.model.outbox import Owed

_FORGOTTEN = 366 * 86400.0
"""Seconds for which an entry is kept that nobody claims."""


class SqlOutbox(SqlLedgerReader):
    """The outbox of a ledger."""

    def claim(self, observers: Collection[str], seconds: float) -> Sequence[Owed]:
        """Claim what observers are owed and nobody else delivers, oldest first."""
        # Most often there is nothing: then no process waits for another one's transaction.
        with self._database.reading() as transaction:
            if not self._free(transaction, observers):
                return ()
        with self._database.writing() as transaction:
            found = self._free(transaction, observers)
            self._write_claims(transaction, found, seconds)
        return found

    def renew_claims(self, owed: Sequence[Owed], seconds: float) -> None:
        """Prolong claims, and remember how far their observers have got."""
        with self._database.writing() as transaction:
            self._write_claims(transaction, owed, seconds)

    def give_back(self, owed: Sequence[Owed]) -> None:
        """End claims, and remember how far their observers have got."""
        with self._database.writing() as transaction:
            self._write_claims(transaction, owed, 0.0)

    def delivered(self, owed: Owed) -> None:
        """Nothing of this is owed any more."""
        with self._database.writing() as transaction:
            transaction.write(
                "DELETE FROM qanat_outbox WHERE scope = ? AND observer = ? AND update_id = ?",
                (self.scope, owed.observer, owed.update),
            )

    def _free(self, transaction: Transaction, observers: Collection[str]) -> list[Owed]:
        rows = transaction.read(
            "SELECT observer, update_id, number, since, claimed, host, machine, pid,"
            " process_started FROM qanat_outbox WHERE scope = ? ORDER BY since, update_id",
            (self.scope,),
        )
        now = transaction.now()
        return [
            Owed(observer, update, number, since)
            for observer, update, number, since, claimed, *process in rows
            if observer in observers and (claimed <= now or Process(*process).dead)
        ]

    def _write_claims(
        self, transaction: Transaction, owed: Iterable[Owed], seconds: float
    ) -> None:
        until, me = transaction.now() + seconds, this_process()
        claim = until, me.host, me.machine, me.pid, me.started
        transaction.write_all(
            # An answer that comes late must not take back what was delivered since.
            "UPDATE qanat_outbox SET claimed = ?, host = ?, machine = ?, pid = ?,"
            " process_started = ?, number = CASE WHEN number < ? THEN ? ELSE number END"
            " WHERE scope = ? AND observer = ? AND update_id = ?",
            [(*claim, o.number, o.number, self.scope, o.observer, o.update) for o in owed],
        )


def owe(
    transaction: Transaction,
    scope: str,
    update: str,
    since: float,
    observers: Iterable[str],
    seconds: float,
) -> None:
    """Write that an update owes its events to observers, claimed by this process.

    Args:
        since: when the update began, seconds since 1970 (UTC).
    """
    until, me = transaction.now() + seconds, this_process()
    # What was owed to an observer that the spec has no longer: nobody claims it.
    transaction.write(
        "DELETE FROM qanat_outbox WHERE scope = ? AND since < ?", (scope, since - _FORGOTTEN)
    )
    transaction.write_all(
        "INSERT INTO qanat_outbox (scope, observer, update_id, number, since, claimed, host,"
        " machine, pid, process_started) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
        [
            (scope, o, update, since, until, me.host, me.machine, me.pid, me.started)
            for o in observers
        ],
    )
