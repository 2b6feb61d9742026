"""Which updates wait for the lease of a continuous one: who writes that needs no lease."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from qanat.ledgers.sql.reader import SqlLedgerReader
from qanat.model.name import Names


class SqlRequests(SqlLedgerReader):
    """What updates ask others to give them."""

    def request(self, holder: str, datasets: Collection[str] | None, seconds: float) -> None:
        """Ask for the lease of some datasets (None: of all), for `seconds` from now."""
        wanted = None if datasets is None else json.dumps(list(datasets))
        with self._database.writing() as transaction:
            now = transaction.now()
            # Those of processes that died while they waited.
            transaction.write(
                "DELETE FROM qanat_requests WHERE scope = ? AND expires <= ?", (self.scope, now)
            )
            transaction.write(
                "INSERT INTO qanat_requests (scope, holder, datasets, expires)"
                " VALUES (?, ?, ?, ?) ON CONFLICT (scope, holder) DO UPDATE"
                " SET datasets = excluded.datasets, expires = excluded.expires",
                (self.scope, holder, wanted, now + seconds),
            )

    def withdraw(self, holder: str) -> None:
        """Ask no longer."""
        with self._database.writing() as transaction:
            transaction.write(
                "DELETE FROM qanat_requests WHERE scope = ? AND holder = ?", (self.scope, holder)
            )

    def requests(self) -> Sequence[Names | None]:
        """What is asked for now, by each update that asks."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT datasets FROM qanat_requests WHERE scope = ? AND expires > ?"
                " ORDER BY holder",
                (self.scope, transaction.now()),
            )
        return [None if text is None else Names(json.loads(text)) for (text,) in rows]
