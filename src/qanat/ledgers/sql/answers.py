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
from qanat.model.name import Named
from qanat.model.record import Epoch, LastEpoch, Lease, PastSource, is_mark

_LAST = """
WITH RECURSIVE flows (flow) AS (
    SELECT min(flow) FROM qanat_epochs WHERE scope = ?
    UNION ALL
    SELECT (SELECT min(flow) FROM qanat_epochs WHERE scope = ? AND flow > flows.flow)
    FROM flows WHERE flow IS NOT NULL
)
SELECT e.flow, e.id, e.number, e.generation, e.fingerprint, e.dataset
FROM flows JOIN qanat_epochs e ON e.scope = ? AND e.flow = flows.flow AND e.status = 'committed'
    AND e.number = (
        SELECT max(number) FROM qanat_epochs
        WHERE scope = ? AND flow = flows.flow AND status = 'committed'
    )
"""
# The recursion steps from flow to flow by the index. GROUP BY would read every epoch that there
# ever was, in SQLite and in PostgreSQL.


class Answers(Frozen):
    """The answers, for all flows and datasets of a scope.

    Args:
        last: by flow, its newest committed epoch.
        generations: the current one of each dataset that had a full refresh.
        positions: as text, by flow, generation and source.
        described: the flows, generations and sources whose columns are kept. Those may be long
            texts, so only the database has them.
    """

    last: dict[str, LastEpoch]
    generations: Named[int]
    positions: dict[tuple[str, int, str], str]
    described: set[tuple[str, int, str]]

    def sources(self) -> Iterator[PastSource]:
        """What each flow has read as a stream."""
        for flow, generation, key in sorted(self.described | self.positions.keys()):
            last = self.last.get(flow)
            if last is not None and last.generation == generation and not is_mark(key):
                positioned = (flow, generation, key) in self.positions
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

    def of_flow(self, flow: str) -> Answers | None:
        """The answers about a flow; None if only the database can tell."""
        lease, known = self._lease, self._now()
        if lease is None or known is None or lease.datasets is None:
            return known
        last = known.last.get(flow)
        return known if last is not None and lease.covers(last.dataset) else None

    def of_dataset(self, dataset: str) -> Answers | None:
        """The answers about a dataset; None if only the database can tell."""
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
                self._known.last[epoch.flow] = LastEpoch(
                    epoch.id, epoch.number, epoch.generation, epoch.fingerprint, epoch.dataset
                )
                for source, text in positions.items():
                    self._known.positions[epoch.flow, epoch.generation, source] = text
                for source in epoch.source_schemas:
                    self._known.described.add((epoch.flow, epoch.generation, source))

    def began(self, dataset: str, generation: int) -> None:
        """A dataset began another generation."""
        with self._lock:
            if self._known is not None:
                self._known.generations[dataset] = generation


def _read_known(transaction: Transaction, scope: str) -> Answers:
    last = transaction.read(_LAST, (scope,) * 4)
    generations = transaction.read(
        "SELECT dataset_key, generation FROM qanat_generations WHERE scope = ?", (scope,)
    )
    sources = transaction.read(
        "SELECT flow, generation, source, position, columns IS NOT NULL FROM qanat_sources"
        " WHERE scope = ?",
        (scope,),
    )
    return Answers(
        {flow: LastEpoch(*values) for flow, *values in last},
        Named(generations),
        {(f, generation, s): text for f, generation, s, text, _ in sources if text is not None},
        {(f, generation, s) for f, generation, s, _, described in sources if described},
    )
