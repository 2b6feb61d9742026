"""The ledger's logic, the same for every database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from qanat.errors import EpochConflictError, LedgerError
from qanat.ledgers.sql import lease as leases
from qanat.ledgers.sql.database import Database, Transaction
from qanat.ledgers.sql.rows import (
    EPOCH_COLUMNS,
    FILE_COLUMNS,
    counts_to_text,
    digest_rows,
    epoch_from_row,
    file_rows,
    files_of,
    range_from_text,
    range_to_text,
    ranges_to_text,
    rules_to_text,
    schema_from_text,
    schema_to_text,
    schemas_to_text,
)
from qanat.model.position import FileRef, Range, TableRange
from qanat.model.record import (
    Definition,
    Epoch,
    EpochStatus,
    Lease,
    UpdateRecord,
    UpdateStatus,
)
from qanat.model.schema import Schema

_PATHS_A_QUERY = 500
"""SQLite up to 3.31 takes 999 values in one statement."""


class SqlLedger:
    """One project and environment's memory in a relational database.

    Args:
        database: where the rows are; closed with the ledger.
        scope: `<project>/<environment>`: whose rows.
    """

    def __init__(self, database: Database, scope: str) -> None:
        self._database = database
        self._locks = database.locks_rows
        self.scope = scope

    # -- the lease -------------------------------------------------------------------------

    def acquire(self, holder: str, seconds: float) -> Lease:
        """Take the lease for `seconds`; from a dead process of this machine at once.

        Raises:
            UpdateRunningError: somebody else holds it (says who, where, since when).
        """
        with self._database.writing() as transaction:
            return leases.acquire(transaction, self._locks, self.scope, holder, seconds)

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """Prolong the lease.

        Raises:
            LeaseLostError: it expired and somebody else has taken it.
        """
        with self._held(lease) as transaction:
            return replace(lease, expires=leases.prolong(transaction, lease, seconds))

    def release(self, lease: Lease) -> None:
        """Give the lease back; silently nothing if it was lost."""
        with self._database.writing() as transaction:
            leases.release(transaction, lease)

    # -- updates and epochs ----------------------------------------------------------------

    def begin_update(self, update: UpdateRecord) -> None:
        """Record that an update runs.

        Raises:
            LedgerError: one of that identifier is recorded already.
        """
        with self._database.writing() as transaction:
            transaction.write(
                "INSERT INTO qanat_updates"
                " (scope, id, environment, command, started, ended, status, error)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self.scope,
                    update.id,
                    update.environment,
                    update.command,
                    update.started,
                    update.ended,
                    update.status.value,
                    update.error,
                ),
            )

    def end_update(self, id: str, status: UpdateStatus, error: str | None = None) -> None:
        """Record how an update ended."""
        with self._database.writing() as transaction:
            transaction.write(
                "UPDATE qanat_updates SET ended = ?, status = ?, error = ?"
                " WHERE scope = ? AND id = ?",
                (time.time(), status.value, error, self.scope, id),
            )

    def intend(self, epoch: Epoch, lease: Lease) -> Epoch:
        """Record an epoch before it is computed; returns it with its `id`.

        Raises:
            LeaseLostError: the lease is no longer ours.
            EpochConflictError: the flow already has an open epoch, or another number is due.
        """
        with self._held(lease) as transaction:
            self._check_due(transaction, epoch)
            # The lease's row is locked: nobody else gives out numbers in this scope.
            ((last,),) = transaction.read(
                "SELECT coalesce(max(id), 0) FROM qanat_epochs WHERE scope = ?", (self.scope,)
            )
            intended = replace(epoch, id=last + 1, status=EpochStatus.INTENDED)
            transaction.write(
                f"INSERT INTO qanat_epochs (scope, dataset_key, {EPOCH_COLUMNS})"
                f" VALUES ({', '.join('?' * 20)})",
                (
                    self.scope,
                    epoch.dataset.casefold(),
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
                ),
            )
            transaction.write_all(
                f"INSERT INTO qanat_epoch_files (scope, epoch_id, source, ordinal, {FILE_COLUMNS})"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                file_rows(self.scope, intended.id, epoch.ranges),
            )
        return intended

    def settle(self, epoch: Epoch, lease: Lease) -> None:
        """Mark an intended epoch committed, with its version, counts, rules and schemas.

        Digests of files that reading has found are kept too. Settling twice is the same as
        once.

        Raises:
            LeaseLostError: the lease is no longer ours.
            EpochConflictError: the epoch was given up, or is not known.
        """
        with self._held(lease) as transaction:
            settled = transaction.write(
                "UPDATE qanat_epochs SET status = ?, ended = ?, version = ?, counts = ?,"
                " rules = ?, source_schemas = ?, bytes_written = ?, error = NULL"
                " WHERE scope = ? AND id = ? AND status = ?",
                (
                    EpochStatus.COMMITTED.value,
                    time.time() if epoch.ended is None else epoch.ended,
                    epoch.version,
                    counts_to_text(epoch.counts),
                    rules_to_text(epoch.rules),
                    schemas_to_text(epoch.source_schemas),
                    epoch.bytes_written,
                    self.scope,
                    epoch.id,
                    EpochStatus.INTENDED.value,
                ),
            )
            if not settled:
                self._check_committed(transaction, epoch)
                return
            transaction.write_all(
                "UPDATE qanat_epoch_files SET digest = ?"
                " WHERE scope = ? AND epoch_id = ? AND source = ? AND ordinal = ?",
                digest_rows(self.scope, epoch.id, epoch.ranges),
            )
            positions = {
                source: range_to_text(range_)
                for source, range_ in epoch.ranges.items()
                if isinstance(range_, TableRange)
            }
            self._remember(transaction, epoch, "position", positions)
            columns = {s: schema_to_text(schema) for s, schema in epoch.source_schemas.items()}
            self._remember(transaction, epoch, "columns", columns)

    def abandon(self, epoch: Epoch, error: str, lease: Lease) -> None:
        """Mark an intended epoch failed: nothing of it was published, its range is unread.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            transaction.write(
                "UPDATE qanat_epochs SET status = ?, ended = ?, error = ?"
                " WHERE scope = ? AND id = ? AND status = ?",
                (
                    EpochStatus.FAILED.value,
                    time.time(),
                    error,
                    self.scope,
                    epoch.id,
                    EpochStatus.INTENDED.value,
                ),
            )

    def open_epochs(self) -> Sequence[Epoch]:
        """The intended epochs, oldest first, with their full ranges."""
        return self._epochs("status = 'intended' ORDER BY id", (), whole=True)

    def last_epoch(self, flow: str) -> Epoch | None:
        """The newest committed epoch of a flow, with its full ranges."""
        found = self._epochs(
            "flow = ? AND status = 'committed' ORDER BY number DESC LIMIT 1", (flow,), whole=True
        )
        return found[0] if found else None

    def position(self, flow: str, generation: int, source: str) -> Range | None:
        """The newest committed table range of a flow's source (by `source_key`)."""
        text = self._remembered(flow, generation, source, "position")
        return None if text is None else range_from_text(text)

    def seen(self, flow: str, generation: int, paths: Iterable[str]) -> Mapping[str, FileRef]:
        """Of these paths, those that committed epochs have read, as they were then (last)."""
        asked = tuple(paths)
        found: dict[str, FileRef] = {}
        with self._database.reading() as transaction:
            for start in range(0, len(asked), _PATHS_A_QUERY):
                some = asked[start : start + _PATHS_A_QUERY]
                rows = transaction.read(
                    "SELECT f.path, f.size, f.modified_ns, f.digest"
                    " FROM qanat_epoch_files f"
                    " JOIN qanat_epochs e ON e.scope = f.scope AND e.id = f.epoch_id"
                    " WHERE f.scope = ? AND e.flow = ? AND e.generation = ?"
                    f" AND e.status = 'committed' AND f.path IN ({', '.join('?' * len(some))})"
                    " ORDER BY f.epoch_id",
                    (self.scope, flow, generation, *some),
                )
                found |= {row[0]: FileRef(*row) for row in rows}
        return found

    def source_schema(self, flow: str, generation: int, source: str) -> Schema | None:
        """The columns last found in a flow's source (keyed as in `Epoch.source_schemas`)."""
        text = self._remembered(flow, generation, source, "columns")
        return None if text is None else schema_from_text(text)

    # -- definitions and generations -------------------------------------------------------

    def definitions(self) -> Mapping[str, Definition]:
        """All datasets as last run, by case-folded name."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT dataset_key, dataset, kind, fingerprint, inputs, text"
                " FROM qanat_definitions WHERE scope = ? ORDER BY dataset_key",
                (self.scope,),
            )
        return {key: Definition(*values) for key, *values in rows}

    def define(self, definition: Definition) -> None:
        """Record a dataset as it is now run."""
        with self._database.writing() as transaction:
            transaction.write(
                "INSERT INTO qanat_definitions"
                " (scope, dataset_key, dataset, kind, fingerprint, inputs, text)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, dataset_key) DO UPDATE"
                " SET dataset = excluded.dataset, kind = excluded.kind,"
                " fingerprint = excluded.fingerprint, inputs = excluded.inputs,"
                " text = excluded.text",
                (
                    self.scope,
                    definition.dataset.casefold(),
                    definition.dataset,
                    definition.kind,
                    definition.fingerprint,
                    definition.inputs,
                    definition.text,
                ),
            )

    def generation(self, dataset: str) -> int:
        """The current generation: 0 until the first full refresh."""
        with self._database.reading() as transaction:
            return self._generation(transaction, dataset)

    def refresh(self, dataset: str, lease: Lease) -> int:
        """Begin the next generation; returns its number.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            generation = self._generation(transaction, dataset) + 1
            transaction.write(
                "INSERT INTO qanat_generations (scope, dataset_key, generation)"
                " VALUES (?, ?, ?) ON CONFLICT (scope, dataset_key)"
                " DO UPDATE SET generation = excluded.generation",
                (self.scope, dataset.casefold(), generation),
            )
        return generation

    def generation_started(self, dataset: str, generation: int) -> bool:
        """Whether an epoch of that generation has been committed."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT 1 FROM qanat_epochs WHERE scope = ? AND dataset_key = ?"
                " AND generation = ? AND status = 'committed' LIMIT 1",
                (self.scope, dataset.casefold(), generation),
            )
        return bool(rows)

    # -- looking back ----------------------------------------------------------------------

    def updates(self, limit: int = 20) -> Sequence[UpdateRecord]:
        """Newest first."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT id, environment, command, started, ended, status, error"
                " FROM qanat_updates WHERE scope = ? ORDER BY started DESC, id DESC LIMIT ?",
                (self.scope, limit),
            )
        return [
            UpdateRecord(id, environment, command, started, ended, UpdateStatus(status), error)
            for id, environment, command, started, ended, status, error in rows
        ]

    def epochs(
        self, update: str | None = None, dataset: str | None = None, limit: int = 100
    ) -> Sequence[Epoch]:
        """Newest first; file ranges come without their files (use `epoch_files`)."""
        conditions, values = ["1 = 1"], []
        if update is not None:
            conditions.append("update_id = ?")
            values.append(update)
        if dataset is not None:
            conditions.append("dataset_key = ?")
            values.append(dataset.casefold())
        where = f"{' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
        return self._epochs(where, (*values, limit), whole=False)

    def epoch_files(self, epoch_id: int) -> Sequence[FileRef]:
        """The files of an epoch, of all its sources."""
        with self._database.reading() as transaction:
            found = files_of(transaction, self.scope, epoch_id)
        return [file for files in found.values() for file in files]

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    # -- inside ----------------------------------------------------------------------------

    @contextmanager
    def _held(self, lease: Lease) -> Iterator[Transaction]:
        """A transaction in which nobody can take the lease from us."""
        if lease.scope != self.scope:
            raise LedgerError(f"a lease of {lease.scope} does not hold for {self.scope}")
        with self._database.writing() as transaction:
            leases.check(transaction, self._locks, lease)
            yield transaction

    def _check_due(self, transaction: Transaction, epoch: Epoch) -> None:
        rows = transaction.read(
            "SELECT number FROM qanat_epochs WHERE scope = ? AND flow = ? AND status = 'intended'",
            (self.scope, epoch.flow),
        )
        if rows:
            raise EpochConflictError(
                f"flow {epoch.flow} has an open epoch",
                got=f"epoch {rows[0][0]}",
                hint="it is recovered when an update starts; run again",
            )
        ((last,),) = transaction.read(
            "SELECT coalesce(max(number), 0) FROM qanat_epochs"
            " WHERE scope = ? AND flow = ? AND status = 'committed'",
            (self.scope, epoch.flow),
        )
        if epoch.number != last + 1:
            raise EpochConflictError(
                f"flow {epoch.flow} is due for another epoch",
                wanted=f"epoch {last + 1}",
                got=f"epoch {epoch.number}",
            )

    def _check_committed(self, transaction: Transaction, epoch: Epoch) -> None:
        rows = transaction.read(
            "SELECT status FROM qanat_epochs WHERE scope = ? AND id = ?", (self.scope, epoch.id)
        )
        if rows != [(EpochStatus.COMMITTED.value,)]:
            raise EpochConflictError(
                f"epoch {epoch.number} of {epoch.flow} cannot be settled",
                wanted="an intended epoch",
                got=rows[0][0] if rows else "an epoch that the ledger does not know",
            )

    def _epochs(self, where: str, values: Sequence[object], whole: bool) -> list[Epoch]:
        with self._database.reading() as transaction:
            rows = transaction.read(
                f"SELECT {EPOCH_COLUMNS} FROM qanat_epochs WHERE scope = ? AND {where}",
                (self.scope, *values),
            )
            files = [files_of(transaction, self.scope, r[0]) if whole else {} for r in rows]
        return [epoch_from_row(row, found) for row, found in zip(rows, files, strict=True)]

    def _remember(
        self, transaction: Transaction, epoch: Epoch, column: str, texts: Mapping[str, str]
    ) -> None:
        transaction.write_all(
            f"INSERT INTO qanat_sources (scope, flow, generation, source, {column})"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (scope, flow, generation, source)"
            f" DO UPDATE SET {column} = excluded.{column}",
            [(self.scope, epoch.flow, epoch.generation, s, text) for s, text in texts.items()],
        )

    def _remembered(self, flow: str, generation: int, source: str, column: str) -> str | None:
        with self._database.reading() as transaction:
            rows = transaction.read(
                f"SELECT {column} FROM qanat_sources"
                " WHERE scope = ? AND flow = ? AND generation = ? AND source = ?",
                (self.scope, flow, generation, source),
            )
        return rows[0][0] if rows else None

    def _generation(self, transaction: Transaction, dataset: str) -> int:
        rows = transaction.read(
            "SELECT generation FROM qanat_generations WHERE scope = ? AND dataset_key = ?",
            (self.scope, dataset.casefold()),
        )
        return int(rows[0][0]) if rows else 0
