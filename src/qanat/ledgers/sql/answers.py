"""What the holder of a lease knows: the few things that an update asks of each dataset.

While it holds the lease no other update writes what belongs to its datasets, so three queries
answer for all of them, and its own writes keep the answers right. About other datasets only the
database can tell. An update that has lost the lease without noticing goes on with answers that may
be stale, and can do no harm: the ledger refuses its writes by the lease's token, the gate its
commits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock

from qanat.errors import LeaseLostError
from qanat.frozen import Frozen
from qanat.ledgers.sql.database import Database, Transaction
from qanat.model.name import Named, fold
from qanat.model.record import Epoch, LastEpoch, Lease, PastSource, is_mark

_LAST = """
WITH RECURSIVE flows (flow) AS (
    SELECT min(flow) FROM qanat_epochs WHERE scope = ?
    UNION ALL
    SELECT (SELECT min(flow) FROM qanat_epochs WHERE scope = ? AND flow > flows.flow)
    FROM flows WHERE flow IS NOT NULL
),
fed (flow, dataset) AS (
    SELECT flow, (SELECT min(dataset_key) FROM qanat_epochs WHERE scope = ? AND flow = flows.flow)
    FROM flows WHERE flow IS NOT NULL
    UNION ALL
    SELECT flow, (
        SELECT min(dataset_key) FROM qanat_epochs
        WHERE scope = ? AND flow = fed.flow AND dataset_key > fed.dataset
    )
    FROM fed WHERE dataset IS NOT NULL
)
SELECT e.flow, e.dataset_key, e.id, e.number, e.generation, e.fingerprint, e.dataset
FROM fed JOIN qanat_epochs e ON e.scope = ? AND e.flow = fed.flow AND e.dataset_key = fed.dataset
    AND e.status = 'committed' AND e.number = (
        SELECT max(number) FROM qanat_epochs
        WHERE scope = ? AND flow = fed.flow AND dataset_key = fed.dataset AND status = 'committed'
    )
"""
# The recursion steps from flow to flow, and from one of its datasets to the next, by the index.
# GROUP BY would read every epoch that there
# ever was, in SQLite and in PostgreSQL.


class Answers(Frozen):
    """The answers, for all flows and datasets of a scope.

    Args:
        last: by flow and folded name of a dataset that it feeds, its newest committed epoch there.
        generations: the current one of each dataset that had a full refresh.
        positions: as text, by flow, folded name of the dataset, generation and source.
        described: the flows, datasets, generations and sources whose columns are kept. Those may
            be long texts, so only the database has them.
    """

    last: dict[tuple[str, str], LastEpoch]
    generations: Named[int]
    positions: dict[tuple[str, str, int, str], str]
    described: set[tuple[str, str, int, str]]

    def sources(self) -> Iterator[PastSource]:
        """What each flow has read as a stream."""
        for flow, dataset, generation, key in sorted(self.described | self.positions.keys()):
            last = self.last.get((flow, dataset))
            if last is not None and last.generation == generation and not is_mark(key):
                positioned = (flow, dataset, generation, key) in self.positions
                yield PastSource(flow, last.dataset, generation, key, positioned)


class AnswerCache:
    """Keeps what is known between `begin` and `end`; safe for several threads.

    Args:
        scope: of the ledger.
    """

    def __init__(self, database: Database, scope: str) -> None:
        self._database = database
        self._scope = scope
        self._lease: Lease | None = None
        self._known: Answers | None = None
        # Held while the answers are read, so that writes meanwhile are added after that.
        self._lock = Lock()

    def begin(self, lease: Lease) -> None:
        """The lease is ours, of these datasets."""
        with self._lock:
            self._lease, self._known = lease, None

    def end(self) -> None:
        """The lease is no longer ours, as far as we know."""
        with self._lock:
            self._lease, self._known = None, None

    def doubt(self, error: BaseException) -> None:
        """A write failed, and may have been kept all the same: read anew when asked."""
        with self._lock:
            if isinstance(error, LeaseLostError):
                self._lease = None
            self._known = None

    def of_dataset(self, dataset: str) -> Answers | None:
        """The answers about a dataset and flows into it; None if only the database can tell."""
        lease, known = self._lease, self._now()
        return known if lease is not None and lease.covers(dataset) else None

    def looked_up(self) -> Answers:
        """The answers as they are now, about what is ours and what is not."""
        lease, known = self._lease, self._now()
        if known is None or lease is None or lease.datasets is not None:
            with self._database.reading() as transaction:
                known = _read_known(transaction, self._scope)
        return known

    def _now(self) -> Answers | None:
        if self._lease is None:
            return None
        with self._lock:
            if self._lease is not None and self._known is None:
                with self._database.reading() as transaction:
                    self._known = _read_known(transaction, self._scope)
            return self._known

    def settled(self, epoch: Epoch, positions: Mapping[str, str]) -> None:
        """An epoch was committed, and moved these sources' positions."""
        with self._lock:
            if self._known is not None:
                flow, dataset, generation = epoch.flow, fold(epoch.dataset), epoch.generation
                self._known.last[flow, dataset] = LastEpoch(
                    epoch.id, epoch.number, generation, epoch.fingerprint, epoch.dataset
                )
                for source, text in positions.items():
                    self._known.positions[flow, dataset, generation, source] = text
                for source in epoch.source_schemas:
                    self._known.described.add((flow, dataset, generation, source))

    def moved_to(self, dataset: str, generation: int) -> None:
        """A dataset is in another generation."""
        with self._lock:
            if self._known is not None:
                self._known.generations[dataset] = generation


def _read_known(transaction: Transaction, scope: str) -> Answers:
    last = transaction.read(_LAST, (scope,) * 6)
    generations = transaction.read(
        "SELECT dataset_key, generation FROM qanat_generations WHERE scope = ?", (scope,)
    )
    sources = transaction.read(
        "SELECT flow, dataset_key, generation, source, position, columns IS NOT NULL"
        " FROM qanat_positions WHERE scope = ?",
        (scope,),
    )
    return Answers(
        {(flow, dataset): LastEpoch(*values) for flow, dataset, *values in last},
        Named(generations),
        {(f, d, g, s): text for f, d, g, s, text, _ in sources if text is not None},
        {(f, d, g, s) for f, d, g, s, _, described in sources if described},
    )
