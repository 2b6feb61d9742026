"""The history of metrics: one row for each flow and update, to which settled epochs are added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from time import time

from qanat.ledgers.sql.database import Database, Row, Transaction
from qanat.ledgers.sql.reader import current_generation
from qanat.ledgers.sql.rows import columns_as_json, columns_of, rules_as_json
from qanat.model.anomaly import FRESHNESS, Anomaly, Verdict
from qanat.model.metrics import Metrics, Volume, Watched, of_epoch
from qanat.model.name import fold
from qanat.model.record import CONTINUOUS, Epoch, Lease
from qanat.model.staged import Counts, RuleCount

_COLUMNS = "flow, dataset, update_id, started, ended, facts"
_ANOMALY = "dataset, flow, metric, update_id, at, facts, verdict"
_LIMITS = ("value", "expected", "low", "high")


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
        found = self._newest(f"{_COLUMNS} FROM qanat_metrics", "ended", dataset, limit, flow)
        return [_metrics(row) for row in found]

    def volumes(self, dataset: str, flow: str, limit: int) -> Sequence[Volume]:
        """The rows of these entries alone, newest first."""
        columns = "update_id, ended, volume, generation, lasted FROM qanat_metrics"
        return [Volume(*row) for row in self._newest(columns, "ended", dataset, limit, flow)]

    def watched(self) -> Sequence[Watched]:
        """What is watched of each flow that has brought something, by dataset and flow."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT flow, dataset, metrics, due FROM qanat_watched WHERE scope = ?"
                " ORDER BY dataset_key, flow",
                (self.scope,),
            )
        return [Watched(*row) for row in rows]

    def close_metrics(
        self, update: str, lasted: float, silent: Sequence[Watched], lease: Lease
    ) -> None:
        """Note how long a continuous update lasted, with its rows, also where there were none.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        now = time()
        with self._held(lease) as transaction:
            transaction.write(
                "UPDATE qanat_metrics SET lasted = ? WHERE scope = ? AND update_id = ?",
                (lasted, self.scope, update),
            )
            for each in silent:
                key = fold(each.dataset)
                none = Metrics(each.flow, each.dataset, update, now, now, 0, Counts())
                transaction.write(
                    "INSERT INTO qanat_metrics (scope, dataset_key, flow, update_id, started,"
                    " ended, dataset, generation, volume, facts, lasted)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (scope, dataset_key, flow, update_id) DO NOTHING",
                    (
                        *(self.scope, key, each.flow, update, now, now, each.dataset),
                        *(current_generation(transaction, self.scope, key), 0),
                        *(_facts(none), lasted),
                    ),
                )

    def forget_metrics(self, before: float, lease: Lease) -> None:
        """Forget entries that ended before a moment (seconds since 1970, UTC), and anomalies.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        old = "qanat_metrics WHERE scope = ? AND ended < ?"
        with self._database.reading() as transaction:
            if not transaction.read(f"SELECT 1 FROM {old} LIMIT 1", (self.scope, before)):
                return
        with self._held(lease) as transaction:
            transaction.write(f"DELETE FROM {old}", (self.scope, before))
            transaction.write(
                "DELETE FROM qanat_anomalies WHERE scope = ? AND at < ?", (self.scope, before)
            )

    def keep_anomalies(self, found: Sequence[Anomaly], lease: Lease) -> None:
        """Record anomalies; a flow of which nothing has come is due no more.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        late = [(self.scope, *_place(a)) for a in found if a.metric == FRESHNESS]
        with self._held(lease) as transaction:
            transaction.write_all(
                "INSERT INTO qanat_anomalies"
                " (scope, dataset_key, flow, metric, update_id, at, dataset, facts)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (scope, dataset_key, flow, metric, update_id) DO UPDATE"
                " SET at = excluded.at, facts = excluded.facts",
                [
                    (self.scope, *_place(a), a.metric, a.update, a.at, a.dataset, _limits(a))
                    for a in found
                ],
            )
            transaction.write_all(
                "UPDATE qanat_watched SET due = NULL"
                " WHERE scope = ? AND dataset_key = ? AND flow = ?",
                late,
            )

    def anomalies(
        self, dataset: str | None = None, limit: int | None = None, flow: str | None = None
    ) -> Sequence[Anomaly]:
        """Those that were found, newest first."""
        found = self._newest(f"{_ANOMALY} FROM qanat_anomalies", "at", dataset, limit, flow)
        return [_anomaly(row) for row in found]

    def mark(self, anomalies: Sequence[Anomaly], verdict: Verdict) -> None:
        """Remember what somebody says of anomalies."""
        with self._database.writing() as transaction:
            transaction.write_all(
                "UPDATE qanat_anomalies SET verdict = ? WHERE scope = ? AND dataset_key = ?"
                " AND flow = ? AND metric = ? AND update_id = ?",
                [(verdict.value, self.scope, *_place(a), a.metric, a.update) for a in anomalies],
            )

    def _newest(
        self, columns: str, time: str, dataset: str | None, limit: int | None, flow: str | None
    ) -> list[Row]:
        sql, values = f"SELECT {columns} WHERE scope = ?", list[object]([self.scope])
        if dataset is not None:
            sql, values = f"{sql} AND dataset_key = ?", [*values, fold(dataset)]
        if flow is not None:
            sql, values = f"{sql} AND flow = ?", [*values, flow]
        sql += f" ORDER BY {time} DESC, dataset_key, flow, update_id"
        if limit is not None:
            sql, values = f"{sql} LIMIT ?", [*values, limit]
        with self._database.reading() as transaction:
            return transaction.read(sql, values)


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
        " (scope, dataset_key, flow, update_id,"
        " started, ended, dataset, generation, volume, facts, lasted)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT 0.0 FROM qanat_updates"
        " WHERE scope = ? AND id = ? AND command = ?))"
        " ON CONFLICT (scope, dataset_key, flow, update_id) DO UPDATE"
        " SET started = excluded.started, ended = excluded.ended, volume = excluded.volume,"
        " facts = excluded.facts",
        (
            *key,
            added.started,
            added.ended,
            added.dataset,
            epoch.generation,
            added.rows,
            _facts(added),
            *(scope, epoch.update, CONTINUOUS),
        ),
    )
    # What writes no row has no columns, while those of the update before are watched still.
    metrics = "excluded.metrics" if added.counts.written else "qanat_watched.metrics"
    transaction.write(
        "INSERT INTO qanat_watched (scope, dataset_key, flow, dataset, metrics, due)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (scope, dataset_key, flow) DO UPDATE"
        f" SET dataset = excluded.dataset, metrics = {metrics}, due = excluded.due",
        (*key[:3], added.dataset, 1 + len(added.shares), epoch.due),
    )


def _place(of: Anomaly) -> tuple[str, str]:
    return fold(of.dataset), of.flow


def _facts(metrics: Metrics) -> str:
    facts = {
        "epochs": metrics.epochs,
        "counts": {name: n for name, n in vars(metrics.counts).items() if n},
        "rules": rules_as_json(metrics.rules),
        "bytes": metrics.bytes,
        "columns": columns_as_json(metrics.columns),
    }
    return json.dumps({**facts, "gap": metrics.gap} if metrics.gap else facts)


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
        facts.get("gap", 0.0),
    )


def _limits(anomaly: Anomaly) -> str:
    return json.dumps({name: getattr(anomaly, name) for name in _LIMITS})


def _anomaly(row: Row) -> Anomaly:
    dataset, flow, metric, update, at, text, verdict = row
    said = None if verdict is None else Verdict(verdict)
    limits = json.loads(text)
    return Anomaly(dataset, flow, metric, update, at, **limits, verdict=said)
