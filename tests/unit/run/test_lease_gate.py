"""Gates: an update that takes over closes those of others, and removes what is left of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.errors import LeaseLostError
from qanat.model.owner import tag
from qanat.plugins import open_ledger
from qanat.ports.ledger import Ledger
from qanat.run import lease
from qanat.run.lease import Gate, HeldLease, close
from qanat.run.session import Session
from qanat.run.update import update

GATES = Path("storage/_qanat/commits", tag("p/dev"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = open_ledger(None, tmp_path, "p/dev")
    yield found
    found.close()


def test_who_takes_over_closes_the_gates_of_others(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SECONDS", 0.05)
    monkeypatch.setattr(HeldLease, "_keep", lambda self: None)
    with HeldLease(ledger, "sleeper") as first:
        mine = Gate(tmp_path / "gates", first)
        mine.open()
        (mine.folder / "entry").touch()
        time.sleep(0.1)
        with HeldLease(ledger, "next") as second:
            other = Gate(tmp_path / "gates", second)
            other.open()
            assert [p.name for p in (tmp_path / "gates").iterdir()] == [other.folder.name]
            # A sleeper that wakes now neither opens its gate again nor closes the other's.
            with pytest.raises(LeaseLostError):
                mine.open()
            assert other.folder.is_dir()
            assert not mine.folder.exists()
            other.close()
    assert list((tmp_path / "gates").iterdir()) == []


def test_who_sleeps_while_it_closes_gates_leaves_that_of_who_took_over(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates, confirm = tmp_path / "gates", HeldLease.confirm
    (gates / "old").mkdir(parents=True)

    def slept(self: HeldLease) -> None:
        monkeypatch.undo()
        confirm(self)
        (gates / "new").mkdir()

    with HeldLease(ledger, "sleeper") as held:
        monkeypatch.setattr(HeldLease, "confirm", slept)
        Gate(gates, held).open()
    assert sorted(p.name for p in gates.iterdir()) == [str(held.latest.token), "new"]


def test_a_gate_that_is_gone_is_closed(tmp_path: Path) -> None:
    close(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "qanat.yml").write_text("name: p\nstorage: storage\nlibraries: []\n")
    return tmp_path


@pytest.mark.parametrize("name", ["7", "closed-abc"])
@pytest.mark.parametrize("age", [60, -60])
def test_an_update_removes_what_others_left(project: Path, name: str, age: float) -> None:
    """A disk that refused to remove it for a moment; the clock may have been set back."""
    left = project / GATES / name
    left.mkdir(parents=True)
    then = time.time() - age
    os.utime(left, (then, then))
    with Session.open(project) as session:
        assert update(session).status == "succeeded"
    assert not left.exists()


def test_an_update_that_sleeps_meanwhile_takes_nothing_from_who_took_over(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = project / GATES
    (gates / "7").mkdir(parents=True)
    confirm = HeldLease.confirm

    def lost(self: HeldLease) -> None:
        confirm(self)
        if not (gates / "8").exists():
            (gates / "8").mkdir()
            raise LeaseLostError("another update took over")

    with monkeypatch.context() as patched:
        patched.setattr(HeldLease, "confirm", lost)
        with Session.open(project) as session:
            with pytest.raises(LeaseLostError):
                update(session)
            assert sorted(p.name for p in gates.iterdir()) == ["7", "8"]

    def slept(self: HeldLease) -> None:
        confirm(self)
        (gates / "9").mkdir()

    monkeypatch.setattr(HeldLease, "confirm", slept)
    with Session.open(project) as session:
        update(session)
    assert [p.name for p in gates.iterdir()] == ["9"]
