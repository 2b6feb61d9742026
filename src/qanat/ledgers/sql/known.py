"""What a ledger knows of every flow, read once for as long as its lease is ours.

An update asks the same few things of each dataset. While it holds the lease no other update writes
to its scope, so three queries answer them for all datasets, and its own writes keep the answers
right. An update that has lost the lease without noticing goes on with answers that may be stale,
and can do no harm: the ledger refuses its writes by the lease's token, the gate its commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from qanat.errors import LeaseLostError
from qanat.frozen import Frozen
from qanat.ledgers.sql.database import Database, Transaction
from qanat.model.name import Named
from qanat.model.record import Epoch, LastEpoch

_LAST = """
WITH RECURSIVE flows (flow) AS (
    SELECT min(flow) FROM qanat_epochs WHERE scope = ?
    UNION ALL
    SELECT (SELECT min(flow) FROM qanat_epochs WHERE scope = ? AND flow > flows.flow)
    FROM flows WHERE flow IS NOT NULL
)
SELECT e.flow, e.id, e.number, e.generation
FROM flows JOIN qanat_epochs e ON e.scope = ? AND e.flow = flows.flow AND e.status = 'committed'
    AND e.number = (
        SELECT max(number) FROM qanat_epochs
        WHERE scope = ? AND flow = flows.flow AND status = 'committed'
    )
"""
# The recursion steps from flow to flow by the index. GROUP BY would read every epoch that there
# ever was, in SQLite and in PostgreSQL.


class Known(Frozen):
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


class Knowledge:
    """Keeps what is known between `begin` and `end`; safe for several threads.

    Args:
        scope: of the ledger.
    """

    def __init__(self, database: Database, scope: str) -> None:
        self._database = database
        self._scope = scope
        self._held = False
        self._known: Known | None = None
        # Held while the answers are read, so that writes meanwhile are added after that.
        self._lock = Lock()

    def begin(self) -> None:
        """The lease is ours."""
        with self._lock:
            self._held, self._known = True, None

    def end(self) -> None:
        """The lease is no longer ours, as far as we know."""
        with self._lock:
            self._held, self._known = False, None

    def doubt(self, error: BaseException) -> None:
        """A write failed, and may have been kept all the same: read anew when asked."""
        with self._lock:
            self._held = self._held and not isinstance(error, LeaseLostError)
            self._known = None

    def known(self) -> Known | None:
        """What is known; None while the lease is not ours: then only the database can tell."""
        if not self._held:
            return None
        with self._lock:
            if self._held and self._known is None:
                with self._database.reading() as transaction:
                    self._known = _read(transaction, self._scope)
            return self._known

    def settled(self, epoch: Epoch, positions: Mapping[str, str]) -> None:
        """An epoch was committed, and moved these sources' positions."""
        with self._lock:
            if self._known is not None:
                last = LastEpoch(epoch.id, epoch.number, epoch.generation)
                self._known.last[epoch.flow] = last
                for source, text in positions.items():
                    self._known.positions[epoch.flow, epoch.generation, source] = text
                for source in epoch.source_schemas:
                    self._known.described.add((epoch.flow, epoch.generation, source))

    def refreshed(self, dataset: str, generation: int) -> None:
        """A dataset began another generation."""
        with self._lock:
            if self._known is not None:
                self._known.generations[dataset] = generation


def _read(transaction: Transaction, scope: str) -> Known:
    last = transaction.read(_LAST, (scope,) * 4)
    generations = transaction.read(
        "SELECT dataset_key, generation FROM qanat_generations WHERE scope = ?", (scope,)
    )
    sources = transaction.read(
        "SELECT flow, generation, source, position, columns IS NOT NULL FROM qanat_sources"
        " WHERE scope = ?",
        (scope,),
    )
    return Known(
        {flow: LastEpoch(*values) for flow, *values in last},
        Named(generations),
        {(f, generation, s): text for f, generation, s, text, _ in sources if text is not None},
        {(f, generation, s) for f, generation, s, _, described in sources if described},
    )
