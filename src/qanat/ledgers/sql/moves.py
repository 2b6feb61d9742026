"""Renamings and removals in the ledger: intended first, and in the end carried out at once.

What a dataset that goes has left in the history must never be taken for a new dataset's: its
epochs count neither for `last_epoch` and `check_due` (numbers begin anew) nor for `seen`,
`replaced`, `generation_started` and what else asks for committed epochs. All of these ask by flow
or by folded name of the dataset. So both get names there that hold the identifier of the update
that removed them, which no author writes; only the spelling that people read stays. A flow that
has fed other datasets, too, keeps its name: quarantines of views have its numbers, which must not
be given again. The epochs themselves stay: updates list them as before.

The generation stays, too, and grows. A sink may hold epochs of the dataset that went, and refuses
numbers that the ledger does not know, unless another generation sends them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict

from qanat.ledgers.sql.answers import AnswerCache
from qanat.ledgers.sql.database import Database, Transaction
from qanat.ledgers.sql.reader import past_name
from qanat.model.move import Move, Moved
from qanat.model.name import fold
from qanat.model.record import Definition, Lease

_MEASURED = ("qanat_metrics", "qanat_watched", "qanat_anomalies")
"""Tables that are about what flows have brought into a dataset."""
_NAMED = ("qanat_definitions", "qanat_pauses", *_MEASURED)
"""Tables that are about a dataset, and have its name as it is written."""


class SqlMoves:
    """The part of a ledger that renames and removes."""

    _database: Database
    _answers: AnswerCache
    scope: str

    def _held(self, lease: Lease) -> AbstractContextManager[Transaction]:
        raise NotImplementedError

    def _write_definition(self, transaction: Transaction, definition: Definition) -> None:
        raise NotImplementedError

    def begin_move(self, move: Move, lease: Lease) -> None:
        """Record a renaming or removal before anything is touched.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            transaction.write(
                "INSERT INTO qanat_moves (scope, update_id, facts) VALUES (?, ?, ?)",
                (self.scope, move.update, json.dumps(asdict(move))),
            )

    def open_moves(self) -> Sequence[Move]:
        """The renamings and removals that were recorded and have not ended, oldest first."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT facts FROM qanat_moves WHERE scope = ? ORDER BY update_id", (self.scope,)
            )
        return [_move(text) for (text,) in rows]

    def end_move(self, move: Move, lease: Lease) -> None:
        """Rename or remove in the ledger, and forget the intention, in one transaction.

        Nothing, if it has been forgotten: doing it twice is the same as once.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        with self._held(lease) as transaction:
            intended = transaction.write(
                "DELETE FROM qanat_moves WHERE scope = ? AND update_id = ?",
                (self.scope, move.update),
            )
            # A server that died during COMMIT may have kept what its client believes lost.
            if intended:
                _carry_out(transaction, self.scope, move)
                for definition in move.definitions:
                    _refingerprint(transaction, self.scope, definition)
                    self._write_definition(transaction, definition)
        self._answers.begin(lease)  # what was known of the old names is no longer so


def _move(text: str) -> Move:
    facts = json.loads(text)
    facts["what"] = Moved(facts["what"])
    facts["gone"] = tuple(facts["gone"])
    facts["paths"] = tuple(facts["paths"])
    facts["definitions"] = tuple(Definition(**d) for d in facts["definitions"])
    return Move(**facts)


def _carry_out(transaction: Transaction, scope: str, move: Move) -> None:
    if move.what is Moved.DATASET and move.new is None:
        _remove_dataset(transaction, scope, move)
    elif move.what is Moved.DATASET and move.new is not None:
        _rename_dataset(transaction, scope, move.old, move.new)
    for old, new in move.flows.items():
        _rename_flow(transaction, scope, old, new)
    if move.what is Moved.SOURCE:
        _rename_files(transaction, scope, move)
    elif move.new is not None:
        _rename_ranges(transaction, scope, move)
    for key, other in move.sources.items():
        if other is None:
            transaction.write(
                "DELETE FROM qanat_positions WHERE scope = ? AND source = ?", (scope, key)
            )
        elif other != key:
            _replace(transaction, scope, "qanat_positions", "source", key, other)


def _remove_dataset(transaction: Transaction, scope: str, move: Move) -> None:
    key = fold(move.old)
    _look_again(transaction, scope, tuple(move.sources))
    transaction.write(
        "DELETE FROM qanat_definitions WHERE scope = ? AND dataset_key = ?", (scope, key)
    )
    transaction.write(
        "INSERT INTO qanat_generations (scope, dataset_key, generation) VALUES (?, ?, 1)"
        " ON CONFLICT (scope, dataset_key)"
        " DO UPDATE SET generation = qanat_generations.generation + 1",
        (scope, key),
    )
    transaction.write(
        "UPDATE qanat_epochs SET dataset_key = ? WHERE scope = ? AND dataset_key = ?",
        (past_name(key, move.update), scope, key),
    )
    transaction.write(
        "DELETE FROM qanat_positions WHERE scope = ? AND dataset_key = ?", (scope, key)
    )
    for table in ("qanat_pauses", *_MEASURED):
        transaction.write(f"DELETE FROM {table} WHERE scope = ? AND dataset_key = ?", (scope, key))
    # Flows that have fed other datasets, too, keep their names: their numbers go on.
    for flow in move.gone:
        transaction.write(
            "UPDATE qanat_epochs SET flow = ? WHERE scope = ? AND flow = ?",
            (past_name(flow, move.update), scope, flow),
        )


def _look_again(transaction: Transaction, scope: str, keys: Sequence[str]) -> None:
    """Let no view that was computed from sources that go take what comes later for the same.

    Versions of a new table begin at 0 again: the inputs would seem unchanged.
    """
    gone = frozenset(keys)
    for (dataset,) in transaction.read(
        "SELECT dataset_key FROM qanat_definitions WHERE scope = ? AND inputs <> ''", (scope,)
    ):
        rows = transaction.read(
            "SELECT ranges FROM qanat_epochs WHERE scope = ? AND dataset_key = ?"
            " AND status = 'committed' ORDER BY id DESC LIMIT 1",
            (scope, dataset),
        )
        if rows and not gone.isdisjoint(json.loads(rows[0][0])):
            transaction.write(
                "UPDATE qanat_definitions SET inputs = '' WHERE scope = ? AND dataset_key = ?",
                (scope, dataset),
            )


def _rename_dataset(transaction: Transaction, scope: str, old: str, new: str) -> None:
    was, key = fold(old), fold(new)
    for table in (*_NAMED, "qanat_generations", "qanat_positions"):
        # A dataset that has gone leaves a generation behind, which this one's replaces.
        if was != key:
            _replace(transaction, scope, table, "dataset_key", was, key)
    for table in (*_NAMED, "qanat_epochs"):
        if table == "qanat_epochs" and was != key:
            transaction.write(
                f"UPDATE {table} SET dataset_key = ? WHERE scope = ? AND dataset_key = ?",
                (key, scope, was),
            )
        transaction.write(
            f"UPDATE {table} SET dataset = ? WHERE scope = ? AND dataset_key = ?",
            (new, scope, key),
        )


def _rename_flow(transaction: Transaction, scope: str, old: str, new: str) -> None:
    transaction.write(
        "UPDATE qanat_epochs SET flow = ? WHERE scope = ? AND flow = ?", (new, scope, old)
    )
    for table in ("qanat_positions", *_MEASURED):
        _replace(transaction, scope, table, "flow", old, new)


def _refingerprint(transaction: Transaction, scope: str, definition: Definition) -> None:
    """Let epochs count as computed by a definition that differs from theirs by a name alone."""
    key = fold(definition.dataset)
    transaction.write(
        "UPDATE qanat_epochs SET fingerprint = ? WHERE scope = ? AND dataset_key = ?"
        " AND fingerprint IN (SELECT fingerprint FROM qanat_definitions"
        " WHERE scope = ? AND dataset_key = ?)",
        (definition.fingerprint, scope, key, scope, key),
    )


def _rename_ranges(transaction: Transaction, scope: str, move: Move) -> None:
    """Let what epochs have read of a dataset be known by its new name."""
    keys = {old: new for old, new in move.sources.items() if new not in (None, old)}
    readers = {
        reader
        for key in keys
        for reader in transaction.read(
            "SELECT flow, dataset_key FROM qanat_positions WHERE scope = ? AND source = ?",
            (scope, key),
        )
    }
    for flow, dataset in sorted(readers):
        for id_, text in transaction.read(
            "SELECT id, ranges FROM qanat_epochs WHERE scope = ? AND flow = ? AND dataset_key = ?",
            (scope, flow, dataset),
        ):
            before = json.loads(text)
            ranges = {keys.get(key) or key: r for key, r in before.items()}
            if ranges != before:
                transaction.write(
                    "UPDATE qanat_epochs SET ranges = ? WHERE scope = ? AND id = ?",
                    (json.dumps(ranges), scope, id_),
                )


def _rename_files(transaction: Transaction, scope: str, move: Move) -> None:
    """Let the files that were read under a source's old place count as read in its new one."""
    was, now = move.paths
    for old, new in move.sources.items():
        for id_, text in transaction.read(
            "SELECT id, ranges FROM qanat_epochs WHERE scope = ? AND id IN"
            " (SELECT epoch_id FROM qanat_epoch_files WHERE scope = ? AND source = ?)",
            (scope, scope, old),
        ):
            ranges = {new if key == old else key: r for key, r in json.loads(text).items()}
            transaction.write(
                "UPDATE qanat_epochs SET ranges = ? WHERE scope = ? AND id = ?",
                (json.dumps(ranges), scope, id_),
            )
        transaction.write(
            "UPDATE qanat_epoch_files SET source = ?, path = CASE WHEN substr(path, 1, ?) = ?"
            " THEN ? || substr(path, ?) ELSE path END WHERE scope = ? AND source = ?",
            (new, len(was), was, now, len(was) + 1, scope, old),
        )


def _replace(
    transaction: Transaction, scope: str, table: str, column: str, old: str, new: str
) -> None:
    """Give rows another key, in place of those that have it; `old` is not `new`."""
    transaction.write(f"DELETE FROM {table} WHERE scope = ? AND {column} = ?", (scope, new))
    transaction.write(
        f"UPDATE {table} SET {column} = ? WHERE scope = ? AND {column} = ?", (new, scope, old)
    )
