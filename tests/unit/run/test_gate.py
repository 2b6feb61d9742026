"""Gates: who takes over closes those of others, and what is left of them is removed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.errors import LeaseLostError
from qanat.ledgers import open_ledger
from qanat.ports.ledger import Ledger
from qanat.run import lease
from qanat.run.gate import Gate, close
from qanat.run.lease import HeldLease
from qanat.run.update import update
from qanat.run.workspace import Workspace


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
            # Whoever wakes now neither opens its gate again nor closes the other's.
            with pytest.raises(LeaseLostError):
                mine.open()
            assert other.folder.is_dir()
            assert not mine.folder.exists()
            other.close()
    assert list((tmp_path / "gates").iterdir()) == []


def test_a_gate_that_is_gone_is_closed(tmp_path: Path) -> None:
    close(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["commits/7", "replay/abc"])
def test_an_update_removes_what_is_older_than_itself(tmp_path: Path, name: str) -> None:
    """A disk that refused to let go of it for a moment."""
    (tmp_path / "qanat.yml").write_text("name: p\nstorage: storage\nlibraries: []\n")
    private = tmp_path / "storage/_qanat"
    old, new = private / name, private / f"{name}-new"
    for path, age in ((old, 60), (new, -60)):
        path.mkdir(parents=True)
        then = time.time() - age
        os.utime(path, (then, then))
    with Workspace.open(tmp_path) as ws:
        assert update(ws).status == "succeeded"
    assert not old.exists()
    assert new.exists()
