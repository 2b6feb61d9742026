"""Leases: what an update says that has lost one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qanat.errors import HistoryMismatchError, LeaseLostError, UpdateRunningError
from qanat.model.name import Names
from qanat.model.record import Lease
from qanat.plugins import open_ledger
from qanat.run import lease
from qanat.run.lease import HeldLease, Patience


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


def test_who_has_more_to_do_than_it_waited_for_holds_nothing_while_it_waits(
    tmp_path: Path,
) -> None:
    ledger = open_ledger(None, tmp_path, "p/dev")
    held = {n: ledger.acquire(f"holder of {n}", 60, Names([n])) for n in ("a", "b")}
    waited: list[str] = []

    def tell(other: Lease) -> None:
        waited.append(other.holder)
        # Nobody but that holder is in the way of all that there is.
        assert [one.holder for one in ledger.held()] == [*map("holder of {}".format, held)]
        ledger.release(held.pop(other.holder[-1]))

    def choose() -> Names:
        return Names(["a", "b"])

    patience = Patience(60, tell)
    with HeldLease(ledger, "waiter", Names(["a"]), patience, choose) as lease:
        assert waited == ["holder of a", "holder of b"]
        assert lease.covers("a")
        assert lease.covers("b")
        assert not lease.covers("c")
    assert ledger.held() == []
    ledger.close()


def test_who_has_come_and_gone_is_noticed(tmp_path: Path) -> None:
    """What lay there when it came may be of a commit that it has made meanwhile."""
    ledger = open_ledger(None, tmp_path, "p/dev")
    with HeldLease(ledger, "sweeper", Names(["a"])) as lease:
        newest = lease.confirm_alone()
        assert lease.confirm_alone(newest) == newest
        other = ledger.acquire("other", 60, Names(["b"]))
        with pytest.raises(UpdateRunningError):
            lease.confirm_alone()
        ledger.release(other)
        with pytest.raises(UpdateRunningError):
            lease.confirm_alone(newest)
        assert lease.confirm_alone() > newest
    ledger.close()
