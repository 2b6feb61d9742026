"""What remembers the metrics of past updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qanat.model.metrics import Metrics
from qanat.model.record import Lease


class MetricsHistory(Protocol):
    """The part of a ledger that keeps metrics; `Ledger.settle` adds those of an epoch."""

    def metrics(
        self, dataset: str, limit: int | None = None, flow: str | None = None
    ) -> Sequence[Metrics]:
        """What flows have brought into a dataset, newest first: one entry for flow and update.

        Args:
            dataset: compared without case.
            limit: entries at most; default: all.
            flow: only of this one; default: of all that feed it.
        """
        ...

    def forget_metrics(self, before: float, lease: Lease) -> None:
        """Forget entries that ended before a moment (seconds since 1970, UTC).

        Nothing is written if there are none.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...
