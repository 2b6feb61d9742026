"""Metrics of an update: counters and gauges by dataset, as Prometheus scrapes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

from qanat.errors import AdapterError, needing
from qanat.model.event import (
    DatasetEnded,
    DatasetPaused,
    DatasetStarted,
    EpochCommitted,
    Event,
    Retried,
    TableChecked,
)
from qanat.model.staged import RuleCount

with needing("--metrics", "metrics"):
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram of how long epochs take."""


class MetricsObserver:
    """Serves metrics at `http://HOST:PORT/metrics`; use it as a context manager.

    Args:
        port: to listen on; 0 for any that is free.
        host: address to listen on; default: this machine alone.

    Example:

        with MetricsObserver(9464) as metrics:
            project.run_continuously(observers=[metrics])
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self.port = port
        registry = self._registry = CollectorRegistry()
        self._rows = Counter(
            "qanat_rows",
            "Rows of committed epochs, by what became of them.",
            ("dataset", "outcome"),
            registry=registry,
        )
        self._violations = Counter(
            "qanat_rule_violations",
            "Rows that violated an expectation.",
            ("dataset", "rule", "action"),
            registry=registry,
        )
        self._shares = Gauge(
            "qanat_rule_window_share",
            "Share of the rows of the last minutes that violate an expectation.",
            ("dataset", "rule"),
            registry=registry,
        )
        self._violated = Gauge(
            "qanat_table_rule_violated",
            "1 while an expectation about a table is violated, else 0.",
            ("dataset", "rule"),
            registry=registry,
        )
        self._epochs = Counter(
            "qanat_epochs", "Committed epochs.", ("dataset",), registry=registry
        )
        self._seconds = Histogram(
            "qanat_epoch_seconds",
            "How long committed epochs took.",
            ("dataset",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._files = Counter(
            "qanat_files_read", "Files that epochs have read.", ("dataset",), registry=registry
        )
        self._retries = Counter(
            "qanat_retries", "What failed and was tried again.", ("dataset",), registry=registry
        )
        self._failing = Gauge(
            "qanat_dataset_failing",
            "1 while a dataset fails, else 0.",
            ("dataset",),
            registry=registry,
        )
        self._paused = Gauge(
            "qanat_dataset_paused",
            "1 while a dataset is paused, else 0.",
            ("dataset",),
            registry=registry,
        )
        self._last = Gauge(
            "qanat_last_epoch_timestamp_seconds",
            "When the newest epoch was committed, in seconds since 1970 (UTC).",
            ("dataset",),
            registry=registry,
        )

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            AdapterError: the port is taken, or may not be used.
        """
        try:
            server, thread = start_http_server(self.port, self._host, self._registry)
        except OSError as error:
            place = f"{self._host}:{self.port}"
            raise AdapterError(
                f"metrics cannot be served at {place}",
                got=error.strerror or str(error),
                hint="give another port: --metrics 9465",
            ) from error
        self._server, self._thread = server, thread
        self.port = server.server_port
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on(self, event: Event) -> None:
        """Take an event."""
        match event:
            case DatasetStarted():
                self._failing.labels(event.dataset).set(0)
            case EpochCommitted():
                self._committed(event)
            case TableChecked():
                self._checked(event.rules)
            case DatasetEnded():
                self._failing.labels(event.dataset).set(event.status == "failed")
            case DatasetPaused():
                self._paused.labels(event.dataset).set(1)
            case Retried():
                self._retries.labels(event.dataset).inc()
            case _:
                pass

    def _checked(self, rules: Sequence[RuleCount]) -> None:
        for rule in rules:
            if not rule.of_rows:
                self._violated.labels(rule.dataset, rule.rule).set(rule.broken)

    def _committed(self, event: EpochCommitted) -> None:
        name, counts = event.dataset, event.counts
        for outcome, rows in (
            ("written", counts.written),
            ("quarantined", counts.set_aside),
            ("dropped", counts.dropped),
        ):
            self._rows.labels(name, outcome).inc(rows)
        for rule in event.rules:
            if rule.violations:
                self._violations.labels(rule.dataset, rule.rule, rule.action).inc(rule.violations)
        self._checked(event.rules)
        for window in event.windows:
            share = window.violations / window.rows if window.rows else 0.0
            self._shares.labels(window.dataset, window.rule).set(share)
        self._epochs.labels(name).inc()
        self._files.labels(name).inc(event.files_read)
        self._seconds.labels(name).observe(event.seconds)
        self._last.labels(name).set(time.time())
        self._paused.labels(name).set(0)
        self._failing.labels(name).set(0)
