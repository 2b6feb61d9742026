"""What tells whether the data is good: expectations, and the history of metrics."""

from __future__ import annotations

from qanat.project.selecting import Names, selection
from qanat.project.shown import Checks, MetricsHistory
from qanat.project.upkeep import run_module
from qanat.run.session import Session


class Quality:
    """The part of an opened project that tells whether its data is good."""

    def _current(self) -> Session:
        raise NotImplementedError

    def test(self, select: Names = ()) -> Checks:
        """Every expectation against the rows that the tables hold now; nothing is written.

        Raises:
            SelectionError: a name matches nothing.

        >>> project.test("silver_orders").passed
        True
        """
        return Checks(run_module("expectations").check(self._current(), selection(select)))

    def metrics(self, dataset: str, limit: int = 20) -> MetricsHistory:
        """What the newest updates have brought into a dataset, by flow, newest first.

        Rows, broken rules, bytes, and of each column how many values are NULL and between which
        bounds the others lie. Nothing is read for it but the ledger.

        Args:
            limit: entries at most.

        Raises:
            DatasetNotFoundError: no such dataset is declared, and none has epochs.

        >>> newest = project.metrics("silver_orders")[0]
        >>> newest.rows, newest.counts.quarantined, newest.columns["amount"].low
        (9, 3, 8.75)
        """
        return MetricsHistory(run_module("look").metrics(self._current(), dataset, limit))
