"""Datasets that no update works on for now: who writes that needs no lease."""

from __future__ import annotations

from collections.abc import Iterable

from qanat.ledgers.sql.reader import SqlLedgerReader
from qanat.model.name import Named, fold
from qanat.model.record import Pause


class SqlPauses(SqlLedgerReader):
    """The pauses of a ledger's datasets."""

    def pause(self, dataset: str, reason: str) -> None:
        """Let no update work on a dataset from now on."""
        with self._database.writing() as transaction:
            transaction.write(
                "INSERT INTO qanat_pauses (scope, dataset_key, dataset, since, reason, resumed)"
                " VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (scope, dataset_key) DO UPDATE"
                " SET dataset = excluded.dataset, since = excluded.since,"
                " reason = excluded.reason, resumed = NULL",
                (self.scope, fold(dataset), dataset, transaction.now(), reason),
            )

    def resume(self, datasets: Iterable[str]) -> list[str]:
        """Let updates work on datasets again; those that were paused."""
        resumed = []
        with self._database.writing() as transaction:
            for dataset in datasets:
                was_paused = transaction.write(
                    "UPDATE qanat_pauses SET resumed = ?"
                    " WHERE scope = ? AND dataset_key = ? AND resumed IS NULL",
                    (transaction.now(), self.scope, fold(dataset)),
                )
                resumed += [dataset] if was_paused else []
        return resumed

    def pauses(self) -> Named[Pause]:
        """The newest pause of each dataset that has had one."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT dataset_key, dataset, since, reason, resumed FROM qanat_pauses"
                " WHERE scope = ? ORDER BY dataset_key",
                (self.scope,),
            )
        return Named((key, Pause(*values)) for key, *values in rows)
