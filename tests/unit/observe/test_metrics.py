"""Metrics, as a scraper reads them."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from qanat.errors import AdapterError
from qanat.model.event import DatasetEnded, DatasetStarted, EpochCommitted, Failure, Retried
from qanat.model.staged import Counts, RuleCount
from qanat.observe.metrics import MetricsObserver


def _scraped(metrics: MetricsObserver) -> dict[str, float]:
    with urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_what_a_scraper_finds() -> None:
    with MetricsObserver(0) as metrics:
        metrics.on(DatasetStarted("bronze", "streaming table"))
        counts = Counts(out=10, written=7, quarantined=1, dropped=2)
        rules = (
            RuleCount("bronze", "known", "quarantine", 1),
            RuleCount("bronze", "b", "warn", 0),
        )
        for number in (1, 2):
            metrics.on(EpochCommitted("bronze", "bronze", number, 0, counts, rules, 3, 0.2))
        metrics.on(Retried("silver", 1, "no", 1.0))
        failure = Failure("Q1", "E", "no")
        metrics.on(DatasetEnded("silver", "failed", "no", 0.0, failure))
        found = _scraped(metrics)
        assert found['qanat_rows_total{dataset="bronze",outcome="written"}'] == 14
        assert found['qanat_rows_total{dataset="bronze",outcome="quarantined"}'] == 2
        assert found['qanat_rows_total{dataset="bronze",outcome="dropped"}'] == 4
        known = 'qanat_rule_violations_total{action="quarantine",dataset="bronze",rule="known"}'
        assert found[known] == 2
        assert not [name for name in found if 'rule="b"' in name]
        assert found['qanat_epochs_total{dataset="bronze"}'] == 2
        assert found['qanat_files_read_total{dataset="bronze"}'] == 6
        assert found['qanat_epoch_seconds_sum{dataset="bronze"}'] == pytest.approx(0.4)
        assert found['qanat_epoch_seconds_bucket{dataset="bronze",le="0.1"}'] == 0
        assert found['qanat_epoch_seconds_bucket{dataset="bronze",le="0.25"}'] == 2
        assert found['qanat_last_epoch_timestamp_seconds{dataset="bronze"}'] > 1e9
        assert found['qanat_retries_total{dataset="silver"}'] == 1
        assert found['qanat_dataset_failing{dataset="silver"}'] == 1
        assert found['qanat_dataset_failing{dataset="bronze"}'] == 0
        metrics.on(EpochCommitted("silver", "silver", 1, 0, counts, (), 0, 0.2))
        assert _scraped(metrics)['qanat_dataset_failing{dataset="silver"}'] == 0


def test_a_port_that_is_taken() -> None:
    taken = "cannot be served at 127.0.0.1"
    with MetricsObserver(0) as metrics, pytest.raises(AdapterError, match=taken):
        MetricsObserver(metrics.port).__enter__()
