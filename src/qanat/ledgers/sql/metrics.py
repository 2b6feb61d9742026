"""The history of metrics: one row for each flow and update, to which settled epochs are added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from time import time

from qanat.ledgers.sql.database import Database, Row, Transaction
from qanat.ledgers.sql.rows import columns_as_json, columns_of
from qanat.model.metrics import Metrics, of_epoch
from qanat.model.name import fold
from qanat.model.record import Epoch, Lease
from qanat.model.staged import Counts, RuleCount

_COLUMNS = "flow, dataset, update_id, started, ended, facts"


class SqlMetrics:
    """The part of a ledger that keeps metrics."""

    _database: Database
    scope: str

    def _held(self, lease: Lease) -> AbstractContextManager[Transaction]:
        raise NotImplementedError

    def metrics(
        self, dataset: str, limit: int | None = None, flow: str | None = None
    ) -> Sequence[Metrics]:
        """What flows have brought into a dataset, newest first: one entry for flow and update."""
        sql = f"SELECT {_COLUMNS} FROM qanat_metrics WHERE scope = ? AND dataset_key = ?"
        values: list[object] = [self.scope, fold(dataset)]
        if flow is not None:
            sql, values = f"{sql} AND flow = ?", [*values, flow]
        sql += " ORDER BY ended DESC, flow, update_id"
        if limit is not None:
            sql, values = f"{sql} LIMIT ?", [*values, limit]
        with self._database.reading() as transaction:
            return [_metrics(row) for row in transaction.read(sql, values)]

    def forget_metrics(self, before: float, lease: Lease) -> None:
        """Forget entries that ended before a moment (seconds since 1970, UTC).

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        old = "qanat_metrics WHERE scope = ? AND ended < ?"
        with self._database.reading() as transaction:
            if not transaction.read(f"SELECT 1 FROM {old} LIMIT 1", (self.scope, before)):
                return
        with self._held(lease) as transaction:
            transaction.write(f"DELETE FROM {old}", (self.scope, before))


def add_metrics(transaction: Transaction, scope: str, epoch: Epoch) -> None:
    """Add an epoch that is being settled to what its update has brought."""
    added = of_epoch(epoch if epoch.ended is not None else replace(epoch, ended=time()))
    if added is None:
        return
    key = scope, fold(epoch.dataset), epoch.flow, epoch.update
    for row in transaction.read(
        f"SELECT {_COLUMNS} FROM qanat_metrics"
        " WHERE scope = ? AND dataset_key = ? AND flow = ? AND update_id = ?",
        key,
    ):
        added = _metrics(row) + added
    transaction.write(
        "INSERT INTO qanat_metrics"
        " (scope, dataset_key, flow, update_id, started, ended, dataset, facts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (scope, dataset_key, flow, update_id) DO UPDATE"
        " SET started = excluded.started, ended = excluded.ended, facts = excluded.facts",
        (*key, added.started, added.ended, added.dataset, _facts(added)),
    )


def _facts(metrics: Metrics) -> str:
    facts = {
        "epochs": metrics.epochs,
        "counts": {name: n for name, n in vars(metrics.counts).items() if n},
        "rules": [[r.dataset, r.rule, r.action, r.violations] for r in metrics.rules],
        "bytes": metrics.bytes,
        "columns": columns_as_json(metrics.columns),
    }
    return json.dumps(facts)


def _metrics(row: Row) -> Metrics:
    flow, dataset, update, started, ended, text = row
    facts = json.loads(text)
    return Metrics(
        flow,
        dataset,
        update,
        started,
        ended,
        facts["epochs"],
        Counts(**facts["counts"]),
        tuple(RuleCount(*rule) for rule in facts["rules"]),
        facts["bytes"],
        columns_of(facts["columns"]),
    )
