"""The writing half of the ledger, the same for every database."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from qanat.ledgers.sql.database import Transaction
from qanat.ledgers.sql.lease import SqlLeases, check_due, check_status
from qanat.ledgers.sql.metrics import SqlMetrics, add_metrics
from qanat.ledgers.sql.moves import SqlMoves
from qanat.ledgers.sql.outbox import SqlOutbox, owe
from qanat.ledgers.sql.pauses import SqlPauses
from qanat.ledgers.sql.reader import current_generation
from qanat.ledgers.sql.requests import SqlRequests
from qanat.ledgers.sql.retention import SqlRetention
from qanat.ledgers.sql.rows import (
    EPOCH_COLUMNS,
    FILE_COLUMNS,
    UPDATE_COLUMNS,
    columns_to_text,
    counts_to_text,
    digest_rows,
    file_rows,
    position_to_text,
    ranges_to_text,
    rules_to_text,
    schema_to_text,
    schemas_to_text,
    update_row,
)
from qanat.ledgers.sql.runs import SqlRuns
from qanat.model.event import EventRecord
from qanat.model.name import fold
from qanat.model.outbox import CLAIM_SECONDS
from qanat.model.record import (
    Definition,
    Epoch,
    EpochStatus,
    Lease,
    QuarantineMark,
    UpdateRecord,
    UpdateStatus,
    quarantine_key,
)


class SqlLedger(
    SqlLeases, SqlMoves, SqlPauses, SqlRequests, SqlRuns, SqlMetrics, SqlOutbox, SqlRetention
):
    """The ledger of one project and environment, in a relational database.

    Args:
        database: the database; it is closed with the ledger.
        scope: `<project>/<environment>`; several ledgers may share a database.
    """

    def begin_update(
        self, update: UpdateRecord, lease: Lease, observers: Collection[str] = ()
    ) -> None:
        """Record that an update runs, and owes its events to observers.

        Raises:
            LeaseLostError: the lease is no longer ours.
            LedgerError: an update with that identifier is already recorded.
        """
        with self._held(lease) as transaction:
            transaction.write(
                f"INSERT INTO qanat_updates (scope, {UPDATE_COLUMNS})"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self.scope, *update_row(update)),
            )
            if observers:
                owe(transaction, self.scope, update.id, update.started, observers, CLAIM_SECONDS)

    def leave(self, update: str, datasets: Collection[str], lease: Lease) -> None:
        """Record where files of a crashed update may still be left over.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            transaction.write(
                "UPDATE qanat_updates SET leaves = ? WHERE scope = ? AND id = ?",
                (json.dumps(list(datasets)), self.scope, update),
            )

    def end_update(
        self, id: str, status: UpdateStatus, lease: Lease, error: str | None = None
    ) -> None:
        """Record how an update ended: this one, or an earlier one that lost the lease.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            transaction.write(
                "UPDATE qanat_updates SET ended = ?, status = ?, error = ?"
                " WHERE scope = ? AND id = ? AND status = 'running'",
                (time.time(), status.value, error, self.scope, id),
            )

    def keep(self, update: str, records: Sequence[EventRecord]) -> None:
        """Keep events of an update that has begun, with its next write of any kind."""
        self._events.add(update, records)

    def intend(self, epoch: Epoch, lease: Lease) -> Epoch:
        """Record an epoch before it is computed; returns it with its `id`.

        Raises:
            LeaseLostError: the lease is no longer ours.
            EpochConflictError: the flow already has an open epoch, or another number is due.
        """
        with self._held(lease) as transaction:
            check_due(transaction, self.scope, epoch)
            # The lease's row is locked, so no other update takes the same number in this scope.
            ((last,),) = transaction.read(
                "SELECT coalesce(max(id), 0) FROM qanat_epochs WHERE scope = ?", (self.scope,)
            )
            intended = replace(epoch, id=last + 1, status=EpochStatus.INTENDED)
            transaction.write(
                f"INSERT INTO qanat_epochs (scope, dataset_key, {EPOCH_COLUMNS})"
                f" VALUES ({', '.join('?' * 21)})",
                (
                    self.scope,
                    fold(epoch.dataset),
                    intended.id,
                    epoch.flow,
                    epoch.dataset,
                    epoch.number,
                    epoch.update,
                    epoch.generation,
                    int(epoch.replaces),
                    ranges_to_text(epoch.ranges),
                    epoch.fingerprint,
                    intended.status.value,
                    epoch.started,
                    None,
                    None,
                    None,
                    rules_to_text(()),
                    schemas_to_text({}),
                    None,
                    None,
                    None,
                ),
            )
            transaction.write_all(
                f"INSERT INTO qanat_epoch_files (scope, epoch_id, source, ordinal, {FILE_COLUMNS})"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                file_rows(self.scope, intended.id, epoch.ranges),
            )
        return intended

    def prepare(self, epoch: Epoch, lease: Lease) -> None:
        """Record the results of a staged epoch before it is published.

        Results are counts, violations, source schemas, bytes and file digests.

        Raises:
            LeaseLostError: the lease is no longer ours.
            EpochConflictError: the epoch was given up, or is not in the ledger.
        """
        with self._held(lease) as transaction:
            self._write_results(transaction, epoch, columns_to_text(epoch.columns))

    def settle(self, epoch: Epoch, lease: Lease, definition: Definition | None = None) -> None:
        """Mark an intended epoch as committed, with its results; its range counts as read.

        Settling an epoch twice is the same as settling it once. One that replaces the table of a
        dataset in a generation that has not begun begins it.

        Args:
            definition: recorded in the same transaction.

        Raises:
            LeaseLostError: the lease is no longer ours.
            EpochConflictError: the epoch was given up, or is not in the ledger.
        """
        with self._held(lease) as transaction:
            if definition is not None:
                self._write_definition(transaction, definition)
            settled = transaction.write(
                "UPDATE qanat_epochs SET status = ?, ended = ?, version = ?, error = NULL"
                " WHERE scope = ? AND id = ? AND status = ?",
                (
                    EpochStatus.COMMITTED.value,
                    time.time() if epoch.ended is None else epoch.ended,
                    epoch.version,
                    self.scope,
                    epoch.id,
                    EpochStatus.INTENDED.value,
                ),
            )
            if not settled:
                check_status(transaction, self.scope, epoch, EpochStatus.COMMITTED)
                return
            self._write_results(transaction, epoch)
            add_metrics(transaction, self.scope, epoch)
            read = {s: r.value for s, r in epoch.ranges.items() if r.positioned}
            positions = {**read, **self._put(transaction, epoch)}
            texts = {s: position_to_text(position) for s, position in positions.items()}
            self._remember(transaction, epoch, "position", texts)
            columns = {s: schema_to_text(schema) for s, schema in epoch.source_schemas.items()}
            self._remember(transaction, epoch, "columns", columns)
            if epoch.replaces and epoch.generation:
                self._write_generation(transaction, epoch.dataset, epoch.generation)
        self._answers.settled(epoch, texts)
        if epoch.replaces and epoch.generation:
            self._answers.moved_to(epoch.dataset, epoch.generation)

    def _put(self, transaction: Transaction, epoch: Epoch) -> dict[str, dict[str, Any]]:
        """By quarantine that this epoch changed, the flow's epochs whose rows it now holds."""
        emptied = epoch.checked_datasets if self._starts_over(transaction, epoch) else frozenset()
        if not epoch.replaces:
            # The epoch that replaced the table has already emptied its quarantine for all flows.
            emptied -= {epoch.dataset}
        found = dict.fromkeys(emptied, QuarantineMark(epoch.number, emptied=True))
        found |= dict.fromkeys(epoch.quarantined_datasets, QuarantineMark(epoch.number))
        return {quarantine_key(dataset): asdict(mark) for dataset, mark in found.items()}

    def _starts_over(self, transaction: Transaction, epoch: Epoch) -> bool:
        """True if the epoch replaces the table, or is the flow's first after a full refresh."""
        if epoch.replaces or not epoch.generation:
            return epoch.replaces
        return not transaction.read(
            "SELECT 1 FROM qanat_epochs WHERE scope = ? AND flow = ? AND dataset_key = ?"
            " AND generation = ? AND status = 'committed' AND id <> ? LIMIT 1",
            (self.scope, epoch.flow, fold(epoch.dataset), epoch.generation, epoch.id),
        )

    def _write_results(
        self, transaction: Transaction, epoch: Epoch, columns: str | None = None
    ) -> None:
        written = transaction.write(
            "UPDATE qanat_epochs SET counts = ?, rules = ?, source_schemas = ?,"
            " bytes_written = ?, columns = ? WHERE scope = ? AND id = ? AND status <> ?",
            (
                counts_to_text(epoch.counts),
                rules_to_text(epoch.rules),
                schemas_to_text(epoch.source_schemas),
                epoch.bytes_written,
                columns,
                self.scope,
                epoch.id,
                EpochStatus.FAILED.value,
            ),
        )
        if not written:
            check_status(transaction, self.scope, epoch, EpochStatus.INTENDED)
        transaction.write_all(
            "UPDATE qanat_epoch_files SET digest = ?"
            " WHERE scope = ? AND epoch_id = ? AND source = ? AND ordinal = ?",
            digest_rows(self.scope, epoch.id, epoch.ranges),
        )

    def give_up(self, epoch: Epoch, error: str, lease: Lease) -> None:
        """Mark an intended epoch as failed: nothing was published, and its range is unread again.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            transaction.write(
                "UPDATE qanat_epochs SET status = ?, ended = ?, error = ?, rules = ?"
                " WHERE scope = ? AND id = ? AND status = ?",
                (
                    EpochStatus.FAILED.value,
                    time.time(),
                    error,
                    rules_to_text(epoch.rules),
                    self.scope,
                    epoch.id,
                    EpochStatus.INTENDED.value,
                ),
            )

    def forget(self, epoch: Epoch, lease: Lease) -> None:
        """Remove an intended epoch that turned out to have nothing to do.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            gone = transaction.write(
                "DELETE FROM qanat_epochs WHERE scope = ? AND id = ? AND status = ?",
                (self.scope, epoch.id, EpochStatus.INTENDED.value),
            )
            if gone:
                # The next epoch may get the same identifier.
                transaction.write(
                    "DELETE FROM qanat_epoch_files WHERE scope = ? AND epoch_id = ?",
                    (self.scope, epoch.id),
                )

    def define(self, definition: Definition, lease: Lease) -> None:
        """Record the definition that a dataset was run with.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            self._write_definition(transaction, definition)

    def _write_definition(self, transaction: Transaction, definition: Definition) -> None:
        transaction.write(
            "INSERT INTO qanat_definitions"
            " (scope, dataset_key, dataset, kind, fingerprint, inputs, text)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, dataset_key) DO UPDATE"
            " SET dataset = excluded.dataset, kind = excluded.kind,"
            " fingerprint = excluded.fingerprint, inputs = excluded.inputs,"
            " text = excluded.text",
            (
                self.scope,
                fold(definition.dataset),
                definition.dataset,
                definition.kind,
                definition.fingerprint,
                definition.inputs,
                definition.text,
            ),
        )

    def begin_generation(self, datasets: Iterable[str], lease: Lease) -> None:
        """Begin the next generation of datasets, for a full refresh.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        begun = {}
        with self._held(lease) as transaction:
            for dataset in datasets:
                begun[dataset] = current_generation(transaction, self.scope, dataset) + 1
                self._write_generation(transaction, dataset, begun[dataset])
        for dataset, generation in begun.items():
            self._answers.moved_to(dataset, generation)

    def take_back_generation(self, datasets: Iterable[str], lease: Lease) -> None:
        """Go back to the generations before, as if the newest had never begun.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        now = {}
        with self._held(lease) as transaction:
            for dataset in datasets:
                transaction.write(
                    "UPDATE qanat_generations SET generation = generation - 1"
                    " WHERE scope = ? AND dataset_key = ?",
                    (self.scope, fold(dataset)),
                )
                now[dataset] = current_generation(transaction, self.scope, dataset)
        for dataset, generation in now.items():
            self._answers.moved_to(dataset, generation)

    def _write_generation(self, transaction: Transaction, dataset: str, generation: int) -> None:
        transaction.write(
            "INSERT INTO qanat_generations (scope, dataset_key, generation)"
            " VALUES (?, ?, ?) ON CONFLICT (scope, dataset_key)"
            " DO UPDATE SET generation = excluded.generation"
            " WHERE excluded.generation > qanat_generations.generation",
            (self.scope, fold(dataset), generation),
        )

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def _remember(
        self, transaction: Transaction, epoch: Epoch, column: str, texts: Mapping[str, str]
    ) -> None:
        transaction.write_all(
            f"INSERT INTO qanat_positions"
            f" (scope, flow, dataset_key, generation, source, {column}) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (scope, flow, dataset_key, generation, source)"
            f" DO UPDATE SET {column} = excluded.{column}",
            [
                (self.scope, epoch.flow, fold(epoch.dataset), epoch.generation, s, text)
                for s, text in texts.items()
            ],
        )
