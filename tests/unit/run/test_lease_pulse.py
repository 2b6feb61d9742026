"""An update has a pulse while its process lives; later updates remove what it leaves."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qanat.errors import AdapterError, StorageFullError
from qanat.model.event import UpdateEnded
from qanat.model.record import UpdateStatus
from qanat.run import lease
from qanat.run.diary import Diary
from qanat.run.entry import LedgerEntry
from qanat.run.lease import Gate, HeldLease
from qanat.run.pulse import Pulse, has_pulse
from qanat.run.scratch import sweep_scratch
from qanat.run.session import Session
from qanat.run.update import update
from tests.forked import FORKED

SPEC = 'name: unit\nstorage: storage\nlibraries:\n  - glob:\n      include: "*.sql"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "qanat.yml").write_text(SPEC)
    (tmp_path / "t.sql").write_text("CREATE MATERIALIZED VIEW t AS SELECT 1 AS x;\n")
    return tmp_path


def _entry(session: Session, held: HeldLease) -> LedgerEntry:
    diary = Diary(session.ledger, "sleeper")
    return LedgerEntry(session, "sleeper", Gate(session.gates, held), diary, ("t",))


def _sleep(root: Path, left: Path, awake: Any, asleep: Any) -> None:
    """An update that loses its lease, stages a file all the same, and is killed."""
    lease.SECONDS = -1  # already over
    with Session.open(root) as session, HeldLease(session.ledger, "sleeper") as held:
        _entry(session, held).begin()
        asleep.set()
        awake.wait(60)
        left.touch()
        os._exit(9)


@pytest.fixture
def sleeper(root: Path) -> Iterator[tuple[Any, Any]]:
    awake, asleep = FORKED.Event(), FORKED.Event()
    left = root / "storage/tables/t/epoch-1-left.parquet"
    child = FORKED.Process(target=_sleep, args=(root, left, awake, asleep))
    child.start()
    assert asleep.wait(60)
    yield child, awake
    child.kill()
    child.join(60)


def _statuses(root: Path) -> list[tuple[str, UpdateStatus]]:
    with Session.open(root) as session:
        update(session)
        found = [(u.id == "sleeper", u.status) for u in session.ledger.updates()]
    return [status for mine, status in found if mine]


def test_who_is_killed_while_staging_after_another_took_over(
    root: Path, sleeper: tuple[Any, Any]
) -> None:
    child, awake = sleeper
    # Who lives may leave more.
    for _ in range(2):
        assert _statuses(root) == [UpdateStatus.RUNNING]
    awake.set()
    child.join(60)
    assert child.exitcode == 9
    left = root / "storage/tables/t/epoch-1-left.parquet"
    assert left.exists()
    assert _statuses(root) == [UpdateStatus.FAILED]
    assert not left.exists()
    assert list((root / "storage/_qanat/scratch").iterdir()) == []


def test_who_lost_the_lease_leaves_its_end_to_who_took_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SECONDS", -1)
    with Session.open(root) as session:
        with HeldLease(session.ledger, "sleeper") as held:
            entry = _entry(session, held)
            entry.begin()
            with HeldLease(session.ledger, "other"):
                entry.end(UpdateEnded("sleeper", "succeeded", 0.1))
        assert not has_pulse(session.scratches, "sleeper")
        assert [u.id for u in session.ledger.crashed_updates()] == ["sleeper"]
    assert _statuses(root) == [UpdateStatus.FAILED]


def test_it_stops_with_the_update(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path / "scratch", "u")
    pulse.stop()
    assert not has_pulse(tmp_path / "scratch", "u")
    pulse.start()
    assert sweep_scratch(tmp_path / "scratch") == 0
    assert has_pulse(tmp_path / "scratch", "u")
    assert not has_pulse(tmp_path / "scratch", "another")
    pulse.stop()
    assert not has_pulse(tmp_path / "scratch", "u")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_the_disk_refuses_to_remove_is_no_pulse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse = Pulse(tmp_path, "u")
    pulse.start()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        pulse.stop()
    assert not has_pulse(tmp_path, "u")
    assert sweep_scratch(tmp_path) == 1


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AdapterError, match="cannot make"):
        Pulse(tmp_path / "file", "u").start()


def test_a_beginning_that_fails_can_be_made_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another dataset of the update begins when the disk has refused the first one."""
    (root / "u.sql").write_text("CREATE MATERIALIZED VIEW u AS SELECT 2 AS x;\n")
    opened, refused = Gate.open, []

    def once(self: Gate) -> None:
        if not refused:
            refused.append(self)
            raise StorageFullError("no space left")
        opened(self)

    monkeypatch.setattr(Gate, "open", once)
    with Session.open(root) as session:
        statuses = sorted(d.status for d in update(session).datasets)
        assert statuses == ["failed", "updated"]
        (ended,) = session.ledger.updates()
    assert ended.status is UpdateStatus.FAILED
