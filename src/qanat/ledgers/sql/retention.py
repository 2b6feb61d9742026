"""Old history is forgotten: updates with their events, and epochs that nothing needs any more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import NamedTuple, TypeVar

from qanat.ledgers.sql.database import Database, Transaction
from qanat.model.record import EpochStatus, Lease

T = TypeVar("T")

_A_QUERY = 500
"""SQLite up to 3.31 allows 999 values in one statement."""
_COLUMNS = "id, flow, dataset_key, generation, number, fingerprint, status, replaces, ranges"


class _Old(NamedTuple):
    """What has to be known of an epoch to forget it."""

    id: int
    flow: str
    dataset: str
    generation: int
    number: int
    fingerprint: str
    status: str
    replaces: int
    ranges: str

    def covered_by(self, newer: _Old | None) -> bool:
        """True if the next epoch of its flow in its generation tells all that this one does."""
        if newer is None or newer.generation != self.generation:
            return False
        known = json.loads(newer.ranges).keys() >= json.loads(self.ranges).keys()
        return known and newer.fingerprint == self.fingerprint


class SqlRetention:
    """The part of a ledger that forgets."""

    _database: Database
    scope: str

    def _held(self, lease: Lease) -> AbstractContextManager[Transaction]:
        raise NotImplementedError

    def forget_updates(self, before: float, lease: Lease, most: int = 100) -> int:
        """Forget updates that began before a moment, the oldest first; how many there were.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        old = "FROM qanat_updates WHERE scope = ? AND started < ? AND status <> 'running'"
        with self._database.reading() as transaction:
            if not transaction.read(f"SELECT 1 {old} LIMIT 1", (self.scope, before)):
                return 0
        with self._held(lease) as transaction:
            rows = transaction.read(
                f"SELECT id {old} ORDER BY started LIMIT ?", (self.scope, before, most)
            )
            updates = [id for (id,) in rows]
            forgotten = [e.id for e in _Epochs(transaction, self.scope).forgettable(updates)]
            for table, column, gone in (
                ("qanat_epoch_files", "epoch_id", forgotten),
                ("qanat_epochs", "id", forgotten),
                ("qanat_events", "update_id", updates),
                ("qanat_updates", "id", updates),
            ):
                transaction.write_all(
                    f"DELETE FROM {table} WHERE scope = ? AND {column} = ?",
                    [(self.scope, each) for each in gone],
                )
        return len(updates)


class _Epochs:
    """Finds the epochs of old updates that nothing needs any more."""

    def __init__(self, transaction: Transaction, scope: str) -> None:
        self._transaction = transaction
        self._scope = scope
        rows = transaction.read(
            "SELECT dataset_key, generation FROM qanat_generations WHERE scope = ?", (scope,)
        )
        self._generations = {key: int(generation) for key, generation in rows}

    def forgettable(self, updates: Sequence[str]) -> Iterator[_Old]:
        """Those of some updates."""
        epochs = [e for some in _parts(updates) for e in self._of(some)]
        epochs.sort(key=lambda e: (e.flow, e.dataset, e.generation, e.number))
        with_files = self._with_files(epochs)
        for epoch, next_ in pairwise((*epochs, None)):
            if epoch is None or epoch.status == EpochStatus.INTENDED:
                continue
            if epoch.status == EpochStatus.FAILED:
                yield epoch  # its range was unread again, and nothing of it is in a table
                continue
            follows = next_ is not None and _follows(epoch, next_)
            newer = next_ if follows else self._newer(epoch)
            past = epoch.generation < self._generations.get(epoch.dataset, 0)
            if newer is None or self._began(epoch):
                continue
            if past or (epoch.id not in with_files and epoch.covered_by(newer)):
                yield epoch

    def _of(self, updates: Sequence[str]) -> Iterator[_Old]:
        marks = ", ".join("?" * len(updates))
        for row in self._transaction.read(
            f"SELECT {_COLUMNS} FROM qanat_epochs WHERE scope = ? AND update_id IN ({marks})",
            (self._scope, *updates),
        ):
            yield _Old(*row)

    def _with_files(self, epochs: Sequence[_Old]) -> set[int]:
        found: set[int] = set()
        for some in _parts([e.id for e in epochs]):
            marks = ", ".join("?" * len(some))
            rows = self._transaction.read(
                "SELECT DISTINCT epoch_id FROM qanat_epoch_files"
                f" WHERE scope = ? AND epoch_id IN ({marks})",
                (self._scope, *some),
            )
            found.update(id for (id,) in rows)
        return found

    def _newer(self, epoch: _Old) -> _Old | None:
        """The committed epoch of its flow into its dataset that came next."""
        rows = self._transaction.read(
            f"SELECT {_COLUMNS} FROM qanat_epochs WHERE scope = ? AND flow = ?"
            " AND dataset_key = ? AND status = 'committed' AND number > ? ORDER BY number LIMIT 1",
            (self._scope, epoch.flow, epoch.dataset, epoch.number),
        )
        return _Old(*rows[0]) if rows else None

    def _began(self, epoch: _Old) -> bool:
        """True if it was the first of a generation to replace its table: streams of that ask."""
        if not (epoch.replaces and epoch.generation):
            return False
        return not self._transaction.read(
            "SELECT 1 FROM qanat_epochs WHERE scope = ? AND dataset_key = ? AND id < ?"
            " AND generation = ? AND replaces = 1 AND status = 'committed' LIMIT 1",
            (self._scope, epoch.dataset, epoch.id, epoch.generation),
        )


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, as many at a time as a query takes."""
    for start in range(0, len(values), _A_QUERY):
        yield values[start : start + _A_QUERY]


def _follows(epoch: _Old, other: _Old) -> bool:
    """True if the other one is the next of its flow into its dataset."""
    same = (epoch.flow, epoch.dataset) == (other.flow, other.dataset)
    return same and other.status == EpochStatus.COMMITTED and other.number == epoch.number + 1
