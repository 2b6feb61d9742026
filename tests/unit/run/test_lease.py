"""Leases: what an update says that has lost one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qanat.errors import HistoryMismatchError, LeaseLostError
from qanat.plugins import open_ledger
from qanat.run import lease
from qanat.run.lease import HeldLease


def test_who_has_lost_the_lease_blames_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sleeper that has read the ledger finds tables that are newer: they were not restored."""
    monkeypatch.setattr(lease, "SECONDS", 0.05)
    monkeypatch.setattr(HeldLease, "_keep", lambda self: None)
    ledger = open_ledger(None, tmp_path, "p/dev")
    met = HistoryMismatchError("the ledger is older than its table")
    with HeldLease(ledger, "sleeper") as first:
        time.sleep(0.1)
        assert first.explain(met) is met
        time.sleep(0.1)
        with HeldLease(ledger, "next") as second:
            told = first.explain(met)
            assert isinstance(told, LeaseLostError)
            assert told.__cause__ is met
            assert "now held by update next" in str(told)
            assert second.explain(met) is met
        assert "1 other update had a lease since" in str(first.explain(met))
    ledger.close()
