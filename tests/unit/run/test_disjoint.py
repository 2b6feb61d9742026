"""Updates of other datasets beside each other: what each may do, and what it leaves alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qanat.errors import UpdateRunningError
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.event import EpochCommitted, Event, LeaseAwaited
from qanat.model.record import Lease, UpdateStatus
from qanat.run.drop import drop
from qanat.run.look import history
from qanat.run.quarantine import replay
from qanat.run.results import MoveResult, Selection, UpdateResult
from qanat.run.session import Session
from qanat.run.update import update

SQL = """
CREATE STREAMING TABLE a (CONSTRAINT low EXPECT (id < 3) ON VIOLATION QUARANTINE ROW)
AS SELECT id FROM STREAM read_files('in/*.csv', format => 'csv', header => true);
CREATE STREAMING TABLE b
AS SELECT id FROM STREAM read_files('in/*.csv', format => 'csv', header => true);
CREATE TEMPORARY VIEW v (CONSTRAINT known EXPECT (id <> 2) ON VIOLATION QUARANTINE ROW)
AS SELECT id FROM STREAM read_files('in/*.csv', format => 'csv', header => true);
CREATE STREAMING TABLE c AS SELECT * FROM STREAM v;
"""


class _Killed(BaseException):
    pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.csv").write_text("id\n1\n2\n3\n")
    (tmp_path / "qanat.yml").write_text("name: p\nstorage: storage\nlibraries: ['*.sql']\n")
    (tmp_path / "t.sql").write_text(SQL)
    return tmp_path


def _run(root: Path, *names: str, wait: float | bool = False) -> UpdateResult:
    with Session.open(root) as session:
        result = update(session, Selection(names), wait=wait)
    assert not result.failed
    return result


@contextmanager
def _held(root: Path, *names: str) -> Iterator[Lease]:
    """Somebody else's lease."""
    with Session.open(root) as session:
        lease = session.ledger.acquire("somebody", 60, names)
        yield lease
        session.ledger.release(lease)


def _crash(root: Path, *names: str) -> None:
    """An update that stops at the end of its first epoch, and whose process ends."""

    def die(*_: object) -> None:
        raise _Killed

    with pytest.MonkeyPatch.context() as patched, Session.open(root) as session:
        patched.setattr(SqlLedger, "settle", die)
        patched.setattr(SqlLedger, "end_update", lambda *_: None)
        patched.setattr("qanat.run.pulse.Pulse.start", lambda _: None)
        with pytest.raises(_Killed):
            update(session, Selection(names))


def _leaves(root: Path) -> list[tuple[str, ...] | None]:
    with Session.open(root) as session:
        return [u.leaves for u in session.ledger.crashed_updates()]


def _orphan(root: Path, table: str) -> Path:
    left = root / "storage/tables" / table / "epoch-1-left.parquet"
    left.touch()
    return left


def test_only_who_wants_the_same_dataset_is_refused(root: Path) -> None:
    with _held(root, "A"):
        assert _run(root, "b", "c").status == "succeeded"
        with pytest.raises(UpdateRunningError, match=r"another update works on a\n") as refused:
            _run(root, "a", "b")
        assert "update somebody on " in str(refused.value)
        with pytest.raises(UpdateRunningError, match=r"another update works on A\n"):
            _run(root)
    assert _run(root).status == "succeeded"


def test_a_replay_beside_an_update_of_others(root: Path) -> None:
    _run(root)
    (root / "t.sql").write_text(SQL.replace("id < 3", "id < 9"))
    with _held(root, "b"), Session.open(root) as session:
        (moved,) = replay(session, "a")
        assert moved.replayed == 1
    with (
        _held(root, "a"),
        Session.open(root) as session,
        pytest.raises(UpdateRunningError, match="works on a"),
    ):
        replay(session, "a")


def test_one_waits_for_another(root: Path) -> None:
    told: list[Event] = []
    waits = threading.Event()

    class Observer:
        def on(self, event: Event) -> None:
            told.append(event)
            if isinstance(event, LeaseAwaited):
                waits.set()

    def wait() -> None:
        with Session.open(root) as session:
            results.append(update(session, Selection(("a",)), [Observer()], wait=True))

    results: list[UpdateResult] = []
    waiter = threading.Thread(target=wait)
    with _held(root, "b"), _held(root, "a") as lease:
        waiter.start()
        assert waits.wait(60)
        assert not results
        # The files of the one that is waited for.
        (root / "in/2.csv").write_text("id\n1\n")
    waiter.join(60)
    assert results[0].datasets[0].counts.out == 4
    (awaited,) = [e for e in told if isinstance(e, LeaseAwaited)]
    assert (awaited.holder, awaited.pid, awaited.datasets) == ("somebody", lease.pid, ("a",))
    with Session.open(root) as session:
        kept = session.ledger.events(results[0].id)
    assert kept[0].event == awaited


def test_a_removal_waits_for_updates_of_any_dataset(root: Path) -> None:
    _run(root)
    (root / "t.sql").write_text(SQL.replace("TABLE b", "TABLE d"))
    waits = threading.Event()

    class Observer:
        def on(self, event: Event) -> None:
            if isinstance(event, LeaseAwaited):
                waits.set()

    def remove() -> None:
        with Session.open(root) as session:
            results.append(drop(session, "b", [Observer()], wait=True))

    results: list[MoveResult] = []
    waiter = threading.Thread(target=remove)
    with _held(root, "a"):
        with Session.open(root) as session, pytest.raises(UpdateRunningError):
            drop(session, "b")
        waiter.start()
        assert waits.wait(60)
        assert not results
    waiter.join(60)
    assert results[0].old == "b"


def test_the_history_says_what_stopped_a_replay(root: Path) -> None:
    _run(root)
    (root / "t.sql").write_text(SQL.replace("id < 3", "id < 9"))

    class Observer:
        def on(self, event: Event) -> None:
            if isinstance(event, EpochCommitted):
                raise KeyboardInterrupt

    with Session.open(root) as session:
        with pytest.raises(KeyboardInterrupt):
            replay(session, "a", [Observer()])
        newest = history(session)[0].update
    assert (newest.command, newest.status) == ("quarantine replay", UpdateStatus.FAILED)
    assert newest.error == "interrupted (Ctrl-C)"


def test_patience_ends(root: Path) -> None:
    with _held(root, "a"), pytest.raises(UpdateRunningError, match="works on a"):
        _run(root, "a", wait=0.01)


def test_a_crash_is_recovered_as_far_as_nobody_else_works_there(root: Path) -> None:
    _run(root)
    (root / "in/2.csv").write_text("id\n2\n")
    _crash(root, "a", "c")
    left = [_orphan(root, name) for name in ("a", "v__quarantine")]
    with _held(root, "c"):
        _run(root, "b")
        # `a` was free, though it was not selected; of the view another may be writing to its
        # quarantine.
        assert [p.exists() for p in left] == [False, True]
        assert sorted(_leaves(root)[0] or ()) == ["c", "v"]
        # The ledger keeps it as running, so that the next update looks for the rest.
        with Session.open(root) as session:
            crashed = history(session)[1].update
        assert (crashed.status, crashed.error) == ("failed", "its process ended before it did")
    _run(root, "b")
    assert not left[1].exists()
    assert _leaves(root) == []
    with Session.open(root) as session:
        assert session.ledger.updates()[-2].status is UpdateStatus.FAILED
        assert not session.ledger.held()


def test_the_gate_of_another_update_stays_open(root: Path) -> None:
    _run(root)
    with Session.open(root) as session:
        gates = session.gates
    with _held(root, "b") as lease:
        theirs, lost = gates / str(lease.token), gates / "0"
        for gate in (theirs, lost):
            gate.mkdir(parents=True)
        (root / "in/2.csv").write_text("id\n1\n")
        _run(root, "a")
        assert theirs.is_dir()
        assert not lost.exists()
        theirs.rmdir()


def test_what_is_waited_for_may_change_what_starts_over(root: Path) -> None:
    """`d` has read `b` by the time that the full refresh of `b` gets its turn."""
    (root / "t.sql").write_text(SQL + "CREATE STREAMING TABLE d AS SELECT * FROM STREAM b;\n")
    _run(root, "a", "b", "c")
    with Session.open(root) as session, Session.open(root) as other:
        waits = threading.Event()

        class Observer:
            def on(self, event: Event) -> None:
                if isinstance(event, LeaseAwaited):
                    waits.set()

        def refresh() -> None:
            chosen = Selection(full_refresh=("b",))
            results.append(update(other, chosen, [Observer()], wait=True))

        results: list[UpdateResult] = []
        waiter = threading.Thread(target=refresh)
        lease = session.ledger.acquire("somebody", 60, ["b"])
        waiter.start()
        assert waits.wait(60)
        _run(root, "d")
        session.ledger.release(lease)
        waiter.join(60)
    assert {d.dataset: d.status for d in results[0].datasets} == {"b": "updated", "d": "updated"}
