"""What remembers the metrics of past updates, and what was out of the ordinary in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qanat.model.anomaly import Anomaly, Verdict
from qanat.model.metrics import Metrics, Volume, Watched
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

    def volumes(self, dataset: str, flow: str, limit: int) -> Sequence[Volume]:
        """The rows of these entries alone, which is quicker; newest first."""
        ...

    def watched(self) -> Sequence[Watched]:
        """What is watched of each flow that has brought something, by dataset and flow."""
        ...

    def close_metrics(
        self, update: str, lasted: float, silent: Sequence[Watched], lease: Lease
    ) -> None:
        """Note how long a continuous update lasted, with what it has brought.

        Args:
            update: its identifier.
            lasted: seconds.
            silent: flows that have brought nothing in it: each gets an entry without rows.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def forget_metrics(self, before: float, lease: Lease) -> None:
        """Forget entries that ended before a moment (seconds since 1970, UTC), and anomalies.

        Nothing is written if there are none.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def keep_anomalies(self, found: Sequence[Anomaly], lease: Lease) -> None:
        """Record anomalies, in place of those of the same metric in the same update.

        A flow of which nothing has come for too long is due no more, so that it is told once.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...

    def anomalies(
        self, dataset: str | None = None, limit: int | None = None, flow: str | None = None
    ) -> Sequence[Anomaly]:
        """Those that were found, newest first.

        Args:
            dataset: only of this one, compared without case.
            limit: anomalies at most; default: all.
        """
        ...

    def mark(self, anomalies: Sequence[Anomaly], verdict: Verdict) -> None:
        """Remember what somebody says of anomalies; no lease is needed for it."""
        ...
