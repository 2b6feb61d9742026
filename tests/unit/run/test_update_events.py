"""An update's diary: what is kept, when, how much of it, and what a crash leaves of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qanat.errors import DatasetNotFoundError, LedgerError, UpdateNotFoundError
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    Event,
    Failure,
    UpdateEnded,
    UpdateStarted,
    Warned,
)
from qanat.model.record import Lease, UpdateRecord, UpdateStatus
from qanat.plugins import open_ledger
from qanat.ports.ledger import Ledger
from qanat.run.diary import Diary
from qanat.run.look import history, update_events
from qanat.run.quarantine import replay
from qanat.run.session import Session
from qanat.run.update import update
from tests.forked import FORKED

ENDED = UpdateEnded("u", "failed", 1.0)
FAILURE = Failure("Q1", "SomeError", "no")


RECORD = UpdateRecord("u", "dev", "run", 1.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(None, tmp_path, "unit/dev")
    yield opened
    opened.close()


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    held = ledger.acquire("u", 60)
    ledger.begin_update(RECORD, held)
    return held


def told(ledger: Ledger) -> list[object]:
    return [r.event for r in ledger.events("u")]


def test_nothing_is_handed_over_before_the_update_is_recorded(
    ledger: Ledger, lease: Lease
) -> None:
    diary = Diary(ledger, "u")
    first, second = Warned(None, "first"), Warned(None, "second")
    diary.on(first)
    ledger.renew(lease, 60)
    assert told(ledger) == []
    diary.begin(RECORD)
    diary.on(second)
    ledger.renew(lease, 60)
    assert told(ledger) == [first, second]


def test_progress_is_not_kept_nor_what_comes_after_the_end(ledger: Ledger, lease: Lease) -> None:
    diary = Diary(ledger, "u")
    diary.begin(RECORD)
    diary.on(DatasetProgress("a", "computing", 0.5))
    diary.end(ENDED)
    diary.on(ENDED)
    ledger.end_update("u", UpdateStatus.FAILED, lease)
    assert told(ledger) == [ENDED]
    assert [r.number for r in ledger.events("u")] == [1]


def test_beyond_the_limit_failures_and_the_end_are_kept(ledger: Ledger, lease: Lease) -> None:
    diary = Diary(ledger, "u", most=3)
    diary.begin(RECORD)
    kept = [Warned(None, str(n)) for n in range(3)]
    failed = DatasetEnded("a", "failed", "no", 0.1, FAILURE)
    lost = [DatasetStarted("a", "sink")] * 1200
    for event in (*kept, *lost, failed):
        diary.on(event)
    diary.end(ENDED)
    ledger.end_update("u", UpdateStatus.FAILED, lease)
    note = Warned(None, "1,200 more events were told; 3 are kept")
    assert told(ledger) == [*kept, failed, note, ENDED]


# -- of real updates ----------------------------------------------------------------------------

SPEC = 'name: unit\nstorage: storage\nthreads: 1\nlibraries:\n  - glob:\n      include: "*.sql"\n'
STREAM = (
    "CREATE STREAMING TABLE t (CONSTRAINT positive EXPECT (id > {0}) ON VIOLATION {1} ROW)"
    " AS SELECT id FROM STREAM read_files('in/*.csv', maxFilesPerTrigger => 1);\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "qanat.yml").write_text(SPEC)
    (tmp_path / "t.sql").write_text(STREAM.format(0, "QUARANTINE"))
    for name in "ab":
        (tmp_path / "in" / f"{name}.csv").write_text("id\n1\n-1\n")
    return tmp_path


def run(root: Path) -> str:
    with Session.open(root) as session:
        return update(session).id


def last(root: Path, dataset: str | None = None) -> Sequence[Event]:
    """What the newest update has told."""
    with Session.open(root) as session:
        newest = history(session)[0].update.id
        return [r.event for r in update_events(session, newest, dataset).events]  # type: ignore[misc]


def test_an_update_that_finds_nothing_to_do_writes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(root)
    before = last(root)
    kept = []
    monkeypatch.setattr(SqlLedger, "keep", lambda *_: kept.append(1))
    assert run(root) == ""
    assert kept == []
    assert last(root) == before


def test_no_transaction_more_than_without_events(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events go with what is written anyway."""
    run(root)
    held, transactions = SqlLedger._held, []

    def counted(self: SqlLedger, lease: Lease) -> object:
        transactions.append(lease)
        return held(self, lease)

    monkeypatch.setattr(SqlLedger, "_held", counted)
    (root / "in" / "c.csv").write_text("id\n7\n")
    run(root)
    with_events = len(transactions)
    assert len(last(root)) == 5
    monkeypatch.setattr(SqlLedger, "keep", lambda *_: None)
    (root / "in" / "d.csv").write_text("id\n7\n")
    run(root)
    assert len(last(root)) == 0
    assert len(transactions) == 2 * with_events


def test_a_replay_has_a_diary_too(root: Path) -> None:
    run(root)
    (root / "t.sql").write_text(STREAM.format(-2, "QUARANTINE"))
    with Session.open(root) as session:
        replay(session)
    started, begun, epoch, ended, end = last(root)
    assert isinstance(started, UpdateStarted)
    assert isinstance(begun, DatasetStarted)
    assert isinstance(epoch, EpochCommitted)
    assert (epoch.flow, epoch.counts.written) == ("t::replay", 2)
    assert isinstance(ended, DatasetEnded)
    assert (ended.status, ended.reason) == ("updated", "2 of 2 rows pass now")
    assert isinstance(end, UpdateEnded)
    assert (end.status, end.failure) == ("succeeded", None)


def test_a_failed_dataset_says_code_place_and_way_out(root: Path) -> None:
    (root / "t.sql").write_text(STREAM.format(0, "FAIL").replace("FAIL ROW", "FAIL UPDATE"))
    run(root)
    *_, ended, end = last(root)
    assert isinstance(ended, DatasetEnded)
    assert ended.failure is not None
    assert ended.failure.code == "Q2001"
    assert (ended.failure.file, ended.failure.line) == ("t.sql", 1)
    assert ended.failure.hint is not None
    assert "ON VIOLATION" in ended.failure.hint
    assert isinstance(end, UpdateEnded)
    assert end.status == "failed"


def test_what_stops_a_whole_update_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(root)

    def refuse(*_: object) -> None:
        raise LedgerError("the ledger is upside down", hint="turn it")

    monkeypatch.setattr("qanat.run.update._walk", refuse)
    with Session.open(root) as session:
        # Something to recover, so that the update is recorded.
        lease = session.ledger.acquire("crashed", -1)
        session.ledger.begin_update(UpdateRecord("crashed", "dev", "run", 1.0), lease)
        with pytest.raises(LedgerError):
            update(session)
    end = last(root)[-1]
    assert isinstance(end, UpdateEnded)
    assert end.failure is not None
    assert (end.failure.message, end.failure.hint) == ("the ledger is upside down", "turn it")


def _crash(root: Path) -> None:
    """Run, and die while the second epoch is being settled."""
    settle = SqlLedger.settle

    def dying(self: SqlLedger, epoch: object, *more: object) -> None:
        if getattr(epoch, "number", 0) == 2:
            os._exit(9)
        settle(self, epoch, *more)  # type: ignore[arg-type]

    SqlLedger.settle = dying  # type: ignore[assignment,method-assign]
    run(root)


def test_a_crash_leaves_what_was_written_until_then(root: Path) -> None:
    child = FORKED.Process(target=_crash, args=(root,))
    child.start()
    child.join(60)
    assert child.exitcode == 9
    started, begun, epoch = last(root)
    assert isinstance(started, UpdateStarted)
    assert isinstance(begun, DatasetStarted)
    assert isinstance(epoch, EpochCommitted)
    assert epoch.epoch == 1
    run(root)
    with Session.open(root) as session:
        crashed = history(session)[1].update
        assert crashed.status is UpdateStatus.FAILED
        assert len(session.ledger.events(crashed.id)) == 3


def test_events_of_one_dataset(root: Path) -> None:
    run(root)
    assert len(last(root, "T")) == len(last(root)) - 2
    with pytest.raises(DatasetNotFoundError):
        last(root, "nobody")


def test_an_update_that_nobody_knows(root: Path) -> None:
    id = run(root)
    with Session.open(root) as session, pytest.raises(UpdateNotFoundError) as caught:
        update_events(session, id + "0")
    assert caught.value.nearest == id


def test_the_last_update(root: Path) -> None:
    with Session.open(root) as session:
        with pytest.raises(UpdateNotFoundError):
            update_events(session, "last")
        id = update(session).id
        assert update_events(session, "last") == update_events(session, id)
