"""The reading half of the ledger, which works while updates write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from qanat.ledgers.sql.answers import AnswerCache
from qanat.ledgers.sql.database import Database, Transaction, read_events
from qanat.ledgers.sql.rows import (
    EPOCH_COLUMNS,
    UPDATE_COLUMNS,
    epoch_from_row,
    files_of,
    mark_from_text,
    position_from_text,
    schema_from_text,
    update_from_row,
)
from qanat.model.event import EventRecord
from qanat.model.name import Named, fold
from qanat.model.pipeline import replay_flow, upkeep_flow
from qanat.model.record import (
    Definition,
    Epoch,
    FileRef,
    LastEpoch,
    PastSource,
    QuarantineMark,
    UpdateRecord,
    quarantine_key,
)
from qanat.model.schema import Schema

_PATHS_A_QUERY = 500
"""SQLite up to 3.31 allows 999 values in one statement."""


class SqlLedgerReader:
    """The reading half of a ledger: no method writes, and none waits for a writer.

    Args:
        database: the database with the ledger's tables.
        scope: `<project>/<environment>`; several ledgers may share a database.
    """

    def __init__(self, database: Database, scope: str) -> None:
        self._database = database
        self.scope = scope
        self._answers = AnswerCache(database, scope)

    def crashed_updates(self) -> Sequence[UpdateRecord]:
        """The updates that are recorded as running and have no lease any more, oldest first."""
        return self._updates(
            "status = 'running' AND NOT EXISTS (SELECT 1 FROM qanat_held h"
            " WHERE h.scope = qanat_updates.scope AND h.holder = qanat_updates.id)"
            " ORDER BY started, id",
            (),
        )

    def open_epochs(self) -> Sequence[Epoch]:
        """The epochs that are intended and neither committed nor failed, oldest first.

        Their ranges include the files.
        """
        return self._epochs("status = 'intended' ORDER BY id", (), whole=True)

    def last_epoch(self, flow: str, dataset: str) -> LastEpoch | None:
        """A flow's newest committed epoch into a dataset; None if it has none."""
        known = self._answers.of_dataset(dataset)
        if known is not None:
            return known.last.get((flow, fold(dataset)))
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT id, number, generation, fingerprint, dataset FROM qanat_epochs"
                " WHERE scope = ? AND flow = ? AND dataset_key = ? AND status = 'committed'"
                " ORDER BY number DESC LIMIT 1",
                (self.scope, flow, fold(dataset)),
            )
        return LastEpoch(*rows[0]) if rows else None

    def last_epochs(self, flow: str) -> Sequence[LastEpoch]:
        """A flow's newest committed epoch into each dataset that it has fed, newest first."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT DISTINCT dataset_key FROM qanat_epochs"
                " WHERE scope = ? AND flow = ? AND status = 'committed'",
                (self.scope, flow),
            )
        found = (self.last_epoch(flow, key) for (key,) in rows if not is_past(key))
        return sorted((e for e in found if e is not None), key=lambda e: -e.number)

    def last_number(self, flow: str) -> int:
        """The number of a flow's newest committed epoch, also into what was dropped; or 0."""
        with self._database.reading() as transaction:
            ((number,),) = transaction.read(
                "SELECT coalesce(max(number), 0) FROM qanat_epochs"
                " WHERE scope = ? AND flow = ? AND status = 'committed'",
                (self.scope, flow),
            )
        return int(number)

    def sources(self) -> Sequence[PastSource]:
        """What each flow has read as a stream into what, in the generation of its newest epoch."""
        return list(self._answers.looked_up().sources())

    def others(self, dataset: str) -> Sequence[str]:
        """The other scopes with committed epochs of a dataset, compared without case; sorted."""
        sql = "SELECT DISTINCT scope FROM qanat_epochs WHERE dataset_key = ? AND scope <> ?"
        with self._database.reading() as reading:
            found = reading.read(f"{sql} AND status = 'committed'", (fold(dataset), self.scope))
        return sorted(scope for (scope,) in found)

    def epochs(
        self,
        update: str | None = None,
        dataset: str | None = None,
        limit: int | None = None,
        files: bool = False,
    ) -> Sequence[Epoch]:
        """Epochs, newest first; without `files`, their file ranges are empty.

        Args:
            dataset: only epochs of this dataset, compared without case.
            limit: epochs at most; default: all.
        """
        conditions: list[str] = ["1 = 1"]
        values: list[object] = []
        if update is not None:
            conditions.append("update_id = ?")
            values.append(update)
        if dataset is not None:
            conditions.append("dataset_key = ?")
            values.append(fold(dataset))
        where = f"{' AND '.join(conditions)} ORDER BY id DESC"
        if limit is not None:
            where += " LIMIT ?"
            values.append(limit)
        return self._epochs(where, values, whole=files)

    def updates(self, limit: int = 20) -> Sequence[UpdateRecord]:
        """Updates, newest first, at most `limit`."""
        return self._updates("1 = 1 ORDER BY started DESC, id DESC LIMIT ?", (limit,))

    def update(self, id: str) -> UpdateRecord | None:
        """The update of that identifier."""
        found = self._updates("id = ?", (id,))
        return found[0] if found else None

    def events(self, update: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        """What an update has told, in its order."""
        with self._database.reading() as transaction:
            return read_events(transaction, self.scope, update, after, limit)

    def position(
        self, flow: str, dataset: str, generation: int, source: str
    ) -> Mapping[str, Any] | None:
        """The value of the newest committed range of a flow's source that has a position."""
        text = self._position(flow, dataset, generation, source)
        return None if text is None else position_from_text(text)

    def quarantine_mark(
        self, flow: str, dataset: str, generation: int, of: str
    ) -> QuarantineMark | None:
        """What a quarantine must carry of a flow; None if the flow has never changed it."""
        text = self._position(flow, dataset, generation, quarantine_key(of))
        return None if text is None else mark_from_text(text)

    def quarantine_marks(
        self, dataset: str, generation: int, of: str
    ) -> Mapping[str, QuarantineMark]:
        """What a quarantine must carry of each flow into a dataset that has changed it."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT flow, position FROM qanat_positions WHERE scope = ? AND dataset_key = ?"
                " AND generation = ? AND source = ? AND position IS NOT NULL",
                (self.scope, fold(dataset), generation, quarantine_key(of)),
            )
        return {flow: mark_from_text(text) for flow, text in rows}

    def seen(
        self,
        flow: str,
        dataset: str,
        generation: int,
        paths: Iterable[str],
        relevant: Callable[[str], bool] | None = None,
    ) -> Mapping[str, FileRef]:
        """By path, those of some files that a flow has read into a dataset, as last read.

        Args:
            relevant: called with the name of a source; False ignores what was read through it.
        """
        asked = tuple(paths)
        found: dict[str, FileRef] = {}
        with self._database.reading() as transaction:
            for start in range(0, len(asked), _PATHS_A_QUERY):
                some = asked[start : start + _PATHS_A_QUERY]
                rows = transaction.read(
                    "SELECT f.source, f.path, f.size, f.modified_ns, f.digest"
                    " FROM qanat_epoch_files f"
                    " JOIN qanat_epochs e ON e.scope = f.scope AND e.id = f.epoch_id"
                    " WHERE f.scope = ? AND e.flow = ? AND e.dataset_key = ? AND e.generation = ?"
                    f" AND e.status = 'committed' AND f.path IN ({', '.join('?' * len(some))})"
                    " ORDER BY f.epoch_id",
                    (self.scope, flow, fold(dataset), generation, *some),
                )
                for source, *values in rows:
                    if relevant is None or relevant(source):
                        found[values[0]] = FileRef(*values)
        return found

    def source_schema(
        self, flow: str, dataset: str, generation: int, source: str
    ) -> Schema | None:
        """The columns last found in a flow's source, keyed as in `Epoch.source_schemas`."""
        known, key = self._answers.of_dataset(dataset), (flow, fold(dataset), generation, source)
        never = known is not None and key not in known.described
        text = None if never else self._remembered(*key, "columns")
        return None if text is None else schema_from_text(text)

    def definitions(self) -> Named[Definition]:
        """The definitions that datasets were last run with."""
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT dataset_key, dataset, kind, fingerprint, inputs, text"
                " FROM qanat_definitions WHERE scope = ? ORDER BY dataset_key",
                (self.scope,),
            )
        return Named((key, Definition(*values)) for key, *values in rows)

    def generation(self, dataset: str) -> int:
        """A dataset's current generation: 0 until its first full refresh."""
        known = self._answers.of_dataset(dataset)
        if known is not None:
            return known.generations.get(dataset, 0)
        with self._database.reading() as transaction:
            return current_generation(transaction, self.scope, dataset)

    def generation_started(self, dataset: str, generation: int) -> bool:
        """True if an epoch of a dataset's generation has been committed.

        Replays and maintenance do not count: they move rows of the generation before.
        """
        with self._database.reading() as transaction:
            rows = transaction.read(
                "SELECT 1 FROM qanat_epochs WHERE scope = ? AND dataset_key = ?"
                " AND generation = ? AND status = 'committed' AND flow NOT IN (?, ?) LIMIT 1",
                (
                    self.scope,
                    fold(dataset),
                    generation,
                    replay_flow(dataset),
                    upkeep_flow(dataset),
                ),
            )
        return bool(rows)

    def replaced(self, dataset: str, after: int) -> int | None:
        """The lowest table version at which a committed epoch replaced a dataset's rows.

        Args:
            dataset: the dataset, compared without case.
            after: only epochs whose `id` is greater; None if none of them did.
        """
        with self._database.reading() as transaction:
            ((version,),) = transaction.read(
                "SELECT min(version) FROM qanat_epochs WHERE scope = ? AND dataset_key = ?"
                " AND id > ? AND replaces = 1 AND status = 'committed'",
                (self.scope, fold(dataset), after),
            )
        return None if version is None else int(version)

    def _updates(self, where: str, values: Sequence[object]) -> list[UpdateRecord]:
        with self._database.reading() as transaction:
            rows = transaction.read(
                f"SELECT {UPDATE_COLUMNS} FROM qanat_updates WHERE scope = ? AND {where}",
                (self.scope, *values),
            )
        return [update_from_row(row) for row in rows]

    def _epochs(self, where: str, values: Sequence[object], whole: bool) -> list[Epoch]:
        with self._database.reading() as transaction:
            rows = transaction.read(
                f"SELECT {EPOCH_COLUMNS} FROM qanat_epochs WHERE scope = ? AND {where}",
                (self.scope, *values),
            )
            files = [files_of(transaction, self.scope, r[0]) if whole else {} for r in rows]
        return [epoch_from_row(row, found) for row, found in zip(rows, files, strict=True)]

    def _position(self, flow: str, dataset: str, generation: int, source: str) -> str | None:
        known, key = self._answers.of_dataset(dataset), (flow, fold(dataset), generation, source)
        return known.positions.get(key) if known else self._remembered(*key, "position")

    def _remembered(
        self, flow: str, key: str, generation: int, source: str, column: str
    ) -> str | None:
        with self._database.reading() as transaction:
            rows = transaction.read(
                f"SELECT {column} FROM qanat_positions WHERE scope = ?"
                " AND flow = ? AND dataset_key = ? AND generation = ? AND source = ?",
                (self.scope, flow, key, generation, source),
            )
        return rows[0][0] if rows else None


def current_generation(transaction: Transaction, scope: str, dataset: str) -> int:
    """A dataset's current generation: 0 until its first full refresh."""
    rows = transaction.read(
        "SELECT generation FROM qanat_generations WHERE scope = ? AND dataset_key = ?",
        (scope, fold(dataset)),
    )
    return int(rows[0][0]) if rows else 0


_DROPPED = "/dropped/"
"""In what is gone; no author can write a name with a slash in it."""


def past_name(name: str, update: str) -> str:
    """What a flow or dataset that an update has removed is called in the history."""
    return f"{name}{_DROPPED}{update}"


def is_past(name: str) -> bool:
    """True if that is what a flow or dataset was called which is gone."""
    return _DROPPED in name
