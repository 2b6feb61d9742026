"""What every ledger promises, in SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any
from uuid import uuid4

import pytest

from qanat.errors import (
    EpochConflictError,
    LeaseLostError,
    LedgerError,
    TableTooNewError,
    UpdateRunningError,
)
from qanat.ledgers.sql.database import Transaction
from qanat.ledgers.sql.tables import MIGRATIONS
from qanat.model.anomaly import Anomaly, Verdict
from qanat.model.event import (
    DatasetEnded,
    DatasetStarted,
    EpochCommitted,
    Event,
    EventRecord,
    Failure,
    Recovered,
    Retried,
    UnknownEvent,
    UpdateEnded,
    UpdateStarted,
    Warned,
)
from qanat.model.metrics import Metrics, Volume, Watched
from qanat.model.move import Move, Moved
from qanat.model.outbox import Owed
from qanat.model.record import (
    Definition,
    Epoch,
    EpochStatus,
    FileRef,
    LastEpoch,
    Lease,
    QuarantineMark,
    Range,
    UpdateRecord,
    UpdateStatus,
)
from qanat.model.schema import Array, Field, Primitive, Schema
from qanat.model.staged import ColumnMetrics, Counts, RuleCount
from qanat.plugins import open_ledger
from qanat.ports.ledger import Ledger
from qanat.testing.postgresql import postgresql
from tests.forked import FORKED

Open = Callable[[], Ledger]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("server") if request.param == "postgresql" else None


@pytest.fixture
def scope() -> str:
    return f"flights/{uuid4().hex}"


@pytest.fixture
def another(url: str | None, scope: str, tmp_path: Path) -> Iterator[Open]:
    """Opens one more ledger of the same scope."""
    opened: list[Ledger] = []

    def open_() -> Ledger:
        opened.append(open_ledger(url, tmp_path / "_qanat", scope))
        return opened[-1]

    yield open_
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(another: Open) -> Ledger:
    return another()


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    return ledger.acquire("update-1", 60)


def files(found: tuple[FileRef, ...]) -> Range:
    return Range({"kind": "files"}, found)


FILES = files(
    (
        FileRef("/in/ü 1.csv", 10, 1_700_000_000_123_456_789),
        FileRef("s3://b/2", 20, 2, "etag"),
    )
)
TAGS = Array(Primitive("string"))
COLUMNS = Schema((Field("id", Primitive("long"), False, "the “key”"), Field("tags", TAGS)))
DEFINITION = Definition("Bronze", "streaming table", "f1", "i1", "SELECT 'ß' -- 100 % ?")
MOVED = {"after": -1, "upto": 4}
RANGES = {
    "files:/in": FILES,
    "dataset:other": Range(MOVED, positioned=True),
    "delta:/d": Range({"version": 7}),
}


RENAMED = Move(
    "update-1",
    Moved.DATASET,
    "Bronze",
    "größe",
    flows={"bronze": "größe"},
    sources={"dataset:bronze": "dataset:grösse", "quarantine:bronze": "quarantine:grösse"},
    definitions=(Definition("größe", "streaming table", "f2", "i1", "SELECT 1"),),
)


MEASURED = {"id": ColumnMetrics(7, 0, 1, 9), "größe": ColumnMetrics(7, 2, 0.5, 1.5)}


def epoch(number: int = 1, flow: str = "bronze", **changes: object) -> Epoch:
    plain = Epoch(
        flow=flow,
        dataset="Bronze",
        number=number,
        update="update-1",
        generation=0,
        replaces=False,
        ranges=RANGES,
        fingerprint="abc",
        started=1000.5,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def committed(ledger: Ledger, lease: Lease, wanted: Epoch) -> Epoch:
    done = replace(ledger.intend(wanted, lease), version=wanted.number - 1)
    ledger.settle(done, lease)
    return done


# -- the lease ----------------------------------------------------------------------------------


def test_one_holder_at_a_time(ledger: Ledger, another: Open, scope: str, lease: Lease) -> None:
    with pytest.raises(UpdateRunningError) as caught:
        another().acquire("update-2", 60)
    assert "update-1" in str(caught.value)
    assert str(os.getpid()) in str(caught.value)
    assert scope in str(caught.value)


def test_a_released_lease_is_free_and_tokens_grow(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    ledger.release(lease)
    ledger.release(lease)
    assert another().acquire("update-2", 60).token > lease.token


def test_an_expired_lease_is_free_and_the_old_holder_may_not_write(
    ledger: Ledger, another: Open
) -> None:
    old = ledger.acquire("update-1", -1)
    new = another().acquire("update-2", 60)
    assert new.token > old.token
    for write in (
        lambda: ledger.intend(epoch(), old),
        lambda: ledger.prepare(epoch(), old),
        lambda: ledger.settle(epoch(), old),
        lambda: ledger.give_up(epoch(), "no", old),
        lambda: ledger.begin_generation(["bronze"], old),
        lambda: ledger.take_back_generation(["bronze"], old),
        lambda: ledger.define(DEFINITION, old),
        lambda: ledger.begin_move(RENAMED, old),
        lambda: ledger.end_move(RENAMED, old),
        lambda: ledger.begin_update(UpdateRecord("update-1", "dev", "run", 1.0), old),
        lambda: ledger.end_update("update-2", UpdateStatus.FAILED, old),
        lambda: ledger.renew(old, 60),
    ):
        ledger.keep("update-1", [EventRecord(1, 1.0, Warned(None, "late"))])
        with pytest.raises(LeaseLostError, match="update-2"):
            write()
    assert ledger.open_epochs() == []
    assert ledger.definitions() == {}
    assert ledger.open_moves() == []
    assert ledger.updates() == []
    ledger.release(old)  # changes nothing
    ledger.renew(new, 60)
    assert ledger.events("update-1") == []
    with pytest.raises(UpdateRunningError):
        another().acquire("update-3", 60)


@contextmanager
def answers_lost(ledger: Any) -> Iterator[None]:
    """Lose the connection after each COMMIT, before its answer."""
    writing = ledger._database.writing

    @contextmanager
    def lost() -> Iterator[Transaction]:
        with writing() as transaction:
            yield transaction
        raise LedgerError("no answer")

    ledger._database.writing = lost
    try:
        yield
    finally:
        del ledger._database.writing


@pytest.mark.parametrize("holder", ["update-1", "update-2"])
def test_a_lease_whose_answer_was_lost_stands_in_nobodys_way(
    ledger: Ledger, another: Open, holder: str
) -> None:
    with answers_lost(ledger), pytest.raises(LedgerError, match="no answer"):
        ledger.acquire("update-1", 60)
    assert ledger.held() == []
    lease = another().acquire(holder, 60)
    assert [x.holder for x in ledger.held()] == [holder]
    assert [x.token for x in ledger.leases()] == [lease.token]


def test_a_lease_that_was_given_back_in_vain_stands_in_nobodys_way(
    ledger: Ledger, another: Open, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise LedgerError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr("qanat.ledgers.sql.lease._release", refused)
        with pytest.raises(LedgerError, match="no connection"):
            ledger.release(lease)
    assert [x.token for x in ledger.leases()] == [lease.token]
    another().acquire("update-2", 60)
    assert [x.holder for x in ledger.leases()] == ["update-2"]


def test_leases_of_other_datasets_are_held_side_by_side(ledger: Ledger, another: Open) -> None:
    first = ledger.acquire("update-1", 60, ["Bronze", "silver"])
    other = another()
    second = other.acquire("update-2", 60, ["gold"])
    assert [x.holder for x in ledger.held()] == ["update-1", "update-2"]
    assert ledger.leases() == ledger.held()
    assert first.covers("BRONZE")
    assert not first.covers("gold")
    for wanted in (["BRONZE"], ["x", "gold"], None):
        with pytest.raises(UpdateRunningError, match=r"works on|update-1"):
            another().acquire("update-3", 60, wanted)
    with pytest.raises(UpdateRunningError, match=r"another update works on bronze\n") as caught:
        another().acquire("update-3", 60, ["bronze", "x"])
    assert str(os.getpid()) in str(caught.value)
    # Each writes what is its own, and knows what the other one has written.
    committed(ledger, first, epoch(1))
    committed(other, second, epoch(1, flow="gold", dataset="gold"))
    other.begin_generation(["gold"], second)
    assert ledger.last_epoch("gold", "gold") == other.last_epoch("gold", "gold") != None  # noqa: E711
    assert ledger.generation("gold") == 1
    assert {s.flow for s in ledger.sources()} == {s.flow for s in other.sources()}
    assert other.last_epoch("bronze", "bronze") == ledger.last_epoch("bronze", "bronze")
    other.release(second)
    assert another().acquire("update-3", 60, ["gold"]).token > second.token


def test_a_lease_takes_more_datasets_and_gives_them_back(ledger: Ledger, another: Open) -> None:
    lease = ledger.acquire("update-1", 60, ["bronze"])
    other = another()
    other.acquire("update-2", 60, ["gold"])
    with pytest.raises(UpdateRunningError, match="works on GOLD"):
        ledger.extend(lease, ["silver", "GOLD"])
    assert [list(x.datasets or ()) for x in ledger.held()] == [["bronze"], ["gold"]]
    more = ledger.extend(lease, ["silver", "gold", "Bronze"], free_only=True)
    assert list(more.datasets or ()) == ["bronze", "silver"]
    with pytest.raises(UpdateRunningError, match="works on silver"):
        another().acquire("update-3", 60, ["silver"])
    narrowed = ledger.renew(ledger.narrow(more, ["bronze"]), 60)
    assert list(narrowed.datasets or ()) == ["bronze"]
    assert another().acquire("update-3", 60, ["silver"]).holder == "update-3"


def test_an_update_of_other_datasets_ends_a_lease_that_has_expired(
    ledger: Ledger, another: Open
) -> None:
    old = ledger.acquire("update-1", 60, ["bronze"])
    record = UpdateRecord(
        "update-1", "dev", "run", 1.0, leaves=("bronze", "view"), origin="schedule nightly"
    )
    ledger.begin_update(record, old)
    ledger.keep("update-1", [EventRecord(1, 1.0, Warned(None, "it runs"))])
    ledger.renew(old, -1)
    assert ledger.held() == []
    assert [x.holder for x in ledger.leases()] == ["update-1"]
    assert ledger.crashed_updates() == []
    other = another()
    lease = other.acquire("update-2", 60, ["gold"])
    assert other.crashed_updates() == [record]
    with pytest.raises(LeaseLostError, match="1 other update had a lease since"):
        ledger.intend(epoch(), old)
    other.leave("update-1", ["view"], lease)
    assert [u.leaves for u in other.crashed_updates()] == [("view",)]
    other.end_update("update-1", UpdateStatus.FAILED, lease)
    assert other.crashed_updates() == []
    # What has ended is not ended again.
    other.end_update("update-1", UpdateStatus.SUCCEEDED, lease)
    assert other.updates()[0].status is UpdateStatus.FAILED


def test_an_expired_lease_that_nobody_took_can_be_renewed(ledger: Ledger, another: Open) -> None:
    lease = ledger.renew(ledger.acquire("update-1", -1), 60)
    assert lease.expires > time.time()
    with pytest.raises(UpdateRunningError):
        another().acquire("update-2", 60)


def test_the_lease_of_a_dead_process_is_taken_over_at_once(
    ledger: Ledger, url: str | None, scope: str, tmp_path: Path
) -> None:
    """Also where its parent has not waited for it, as in a container without an init."""
    program = (
        "import sys; from pathlib import Path; from qanat.plugins import open_ledger\n"
        "url, private, scope = sys.argv[1:]\n"
        "open_ledger(url or None, Path(private), scope).acquire('crashed', 3600)"
    )
    arguments = [url or "", str(tmp_path / "_qanat"), scope]
    with subprocess.Popen([sys.executable, "-c", program, *arguments]) as holder:
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert ledger.acquire("update-2", 60).holder == "update-2"
    assert holder.returncode == 0


def _race(url: str | None, private: Path, scope: str, gate: object, results: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    try:
        ledger = open_ledger(url, private, scope)
        ledger.acquire(f"update-{os.getpid()}", 60)
    except UpdateRunningError:
        results.put("refused")  # type: ignore[attr-defined]
    else:
        results.put("held")  # type: ignore[attr-defined]
        gate.wait()  # type: ignore[attr-defined] # a dead holder's lease would be free


def test_of_processes_that_race_for_a_new_ledger_one_gets_the_lease(
    url: str | None, scope: str, tmp_path: Path
) -> None:
    gate, results = FORKED.Barrier(3), FORKED.Queue()
    arguments = (url, tmp_path / "_qanat", scope, gate, results)
    racers = [FORKED.Process(target=_race, args=arguments) for _ in range(3)]
    for racer in racers:
        racer.start()
    outcomes = sorted(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.kill()
        racer.join()
    assert outcomes == ["held", "refused", "refused"]


# -- epochs -------------------------------------------------------------------------------------


def test_an_intended_epoch_is_open_with_its_full_ranges(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    intended = ledger.intend(epoch(), lease)
    assert intended.id > 0
    assert another().open_epochs() == [intended]
    assert ledger.last_epoch("bronze", "bronze") is None
    assert ledger.position("bronze", "bronze", 0, "dataset:other") is None
    assert ledger.seen("bronze", "bronze", 0, ["/in/ü 1.csv"]) == {}


def test_a_settled_epoch_is_remembered_whole(ledger: Ledger, another: Open, lease: Lease) -> None:
    settled = replace(
        ledger.intend(epoch(), lease),
        ended=1001.25,
        version=3,
        counts=Counts(10, 7, 1, 2, 1),
        rules=(RuleCount("Bronze", "known “x”", "drop", 1),),
        source_schemas={"files:/in": COLUMNS},
        bytes_written=2**40,
        columns=MEASURED,
    )
    ledger.settle(settled, lease)
    ledger.settle(settled, lease)
    expected = replace(settled, status=EpochStatus.COMMITTED, columns={})
    reader = another()
    assert reader.open_epochs() == []
    for each in (ledger, reader):
        assert each.last_epoch("bronze", "bronze") == LastEpoch(
            settled.id, 1, 0, settled.fingerprint, "Bronze"
        )
    assert reader.position("bronze", "bronze", 0, "dataset:other") == MOVED
    assert reader.position("bronze", "bronze", 0, "delta:/d") is None
    assert reader.position("bronze", "bronze", 1, "dataset:other") is None
    assert reader.source_schema("bronze", "bronze", 0, "files:/in") == COLUMNS
    assert reader.source_schema("bronze", "bronze", 0, "files:/elsewhere") is None
    bare = replace(expected, ranges={**expected.ranges, "files:/in": files(())})
    assert reader.epochs() == [bare]
    (whole,) = reader.epochs(files=True)
    assert whole.ranges["files:/in"].files == FILES.files


def measured(number: int, **changes: object) -> Epoch:
    """An epoch that has brought ten rows, one of which broke a rule."""
    staged = {
        "ended": 1000.0 + number,
        "counts": Counts(out=10, written=7, dropped=3),
        "rules": (RuleCount("Bronze", "known", "drop", 1),),
        "bytes_written": 100,
        "columns": MEASURED,
    }
    return epoch(number, **{**staged, **changes})


def test_metrics_are_those_of_all_epochs_of_an_update(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    for number in (1, 2):
        done = committed(ledger, lease, measured(number))
        ledger.settle(done, lease)  # once more is as good as once
    committed(ledger, lease, measured(3, update="update-2", columns={}))
    committed(ledger, lease, measured(1, flow="more"))
    committed(ledger, lease, measured(1, flow="Bronze::replay"))
    ledger.give_up(ledger.intend(measured(4), lease), "no", lease)
    both = Metrics(
        "bronze",
        "Bronze",
        "update-1",
        1000.5,
        1002.0,
        2,
        Counts(out=20, written=14, dropped=6),
        (RuleCount("Bronze", "known", "drop", 2),),
        200,
        {"id": ColumnMetrics(14, 0, 1, 9), "größe": ColumnMetrics(14, 4, 0.5, 1.5)},
        gap=1.0,
    )
    rows = [Volume(m.update, m.ended, m.rows) for m in ledger.metrics("bronze", flow="bronze")]
    for by in (ledger, another()):
        newest, before, more = by.metrics("BRONZE")
        assert by.volumes("BRONZE", "bronze", 9) == rows
        assert by.volumes("bronze", "bronze", 1) == rows[:1]
        assert before == both
        assert (newest.update, newest.rows, newest.columns) == ("update-2", 10, {})
        assert (more.flow, more.rows) == ("more", 10)
        assert by.metrics("bronze", limit=1) == [newest]
        assert by.metrics("bronze", flow="more") == [more]
        assert by.metrics("silver") == []


def test_continuous_updates_tell_how_long_they_lasted_also_without_rows(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    ledger.begin_update(UpdateRecord("update-1", "dev", "run --continuous", 1000.0), lease)
    committed(ledger, lease, measured(1))
    committed(ledger, lease, measured(2))
    committed(ledger, lease, measured(3, update="update-0"))
    lasted = {v.update: v.lasted for v in another().volumes("bronze", "bronze", 9)}
    assert lasted == {"update-1": 0.0, "update-0": None}
    assert {m.update: m.gap for m in another().metrics("bronze")} == {
        "update-1": 1.0,
        "update-0": 0.0,
    }
    ledger.close_metrics("update-1", 3600.0, [Watched("more", "Silver", 3)], lease)
    (volume,) = (v for v in another().volumes("bronze", "bronze", 9) if v.update == "update-1")
    assert (volume.lasted, volume.rows) == (3600.0, 20)
    (volume,) = another().volumes("silver", "more", 9)
    assert (volume.update, volume.rows, volume.lasted) == ("update-1", 0, 3600.0)
    (entry,) = another().metrics("SILVER")
    assert (entry.epochs, entry.rows) == (0, 0)
    ledger.release(lease)
    with pytest.raises(LeaseLostError):
        ledger.close_metrics("update-1", 3600.0, [], lease)


def test_an_epoch_that_a_crash_left_open_brings_its_metrics(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    ledger.prepare(replace(ledger.intend(epoch(), lease), **staged_of(measured(1))), lease)
    assert ledger.metrics("bronze") == []
    later = another()
    (opened,) = later.open_epochs()
    later.settle(replace(opened, version=0, ended=1001.0), lease)
    (found,) = later.metrics("bronze")
    assert (found.rows, found.epochs, found.columns) == (10, 1, MEASURED)


def staged_of(of: Epoch) -> dict[str, Any]:
    return {n: getattr(of, n) for n in ("counts", "rules", "bytes_written", "columns")}


ODD = Anomaly("Bronze", "bronze", "rows", "update-1", 1001.0, 5.0, 90.0, 80.5, 100.0)


def test_what_is_watched_is_that_of_the_newest_epoch(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    committed(ledger, lease, measured(1, due=2000.0))
    committed(ledger, lease, measured(1, flow="more", columns={}))
    # rows, quarantined, dropped, violations(known), and NULLs of two columns
    watched = [Watched("bronze", "Bronze", 6, 2000.0), Watched("more", "Bronze", 4)]
    for by in (ledger, another()):
        assert by.watched() == watched
    ledger.keep_anomalies([replace(ODD, metric="freshness")], lease)
    assert another().watched()[0].due is None
    committed(ledger, lease, measured(2, due=3000.0))
    assert another().watched()[0].due == 3000.0


def test_anomalies_are_kept_with_what_was_said_of_them(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    later = replace(ODD, update="update-2", at=1002.0, metric="nulls(größe)", value=0.25)
    ledger.keep_anomalies([ODD, later], lease)
    ledger.keep_anomalies([replace(ODD, value=6.0)], lease)  # the epoch was tried again
    before = replace(ODD, value=6.0)
    for by in (ledger, another()):
        assert by.anomalies() == by.anomalies("BRONZE") == [later, before]
        assert by.anomalies("bronze", 1) == [later]
        assert by.anomalies(flow="more") == by.anomalies("silver") == []
    another().mark([before], Verdict.EXPECTED)
    expected = replace(before, verdict=Verdict.EXPECTED)
    assert ledger.anomalies() == [later, expected]
    ledger.mark([before, later], Verdict.ANOMALY)
    assert {a.verdict for a in another().anomalies()} == {Verdict.ANOMALY}
    ledger.release(lease)
    with pytest.raises(LeaseLostError):
        ledger.keep_anomalies([ODD], lease)


def test_metrics_are_forgotten_by_age(ledger: Ledger, another: Open, lease: Lease) -> None:
    for number in (1, 2, 3):
        committed(ledger, lease, measured(number, update=f"update-{number}"))
    ledger.keep_anomalies([ODD, replace(ODD, at=1002.5, update="update-2")], lease)
    ledger.forget_metrics(1002.0, lease)
    assert [a.at for a in another().anomalies()] == [1002.5]
    assert [m.update for m in another().metrics("bronze")] == ["update-3", "update-2"]
    ledger.release(lease)
    ledger.forget_metrics(1002.0, lease)  # nothing is left to forget
    with pytest.raises(LeaseLostError):
        ledger.forget_metrics(1003.0, lease)


def updated(ledger: Ledger, lease: Lease, number: int, status: str = "succeeded") -> str:
    """An update that began and ended long ago."""
    id = f"update-{number}"
    ledger.begin_update(UpdateRecord(id, "dev", "run", 1000.0 + number), lease)
    ledger.end_update(id, UpdateStatus(status), lease)
    return id


def numbers(ledger: Ledger) -> list[int]:
    return [e.number for e in reversed(ledger.epochs())]


STREAM = {"dataset:bronze": Range({"upto": 1}, positioned=True)}


def test_updates_are_forgotten_by_age_with_what_nothing_needs_of_them(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    assert ledger.forget_updates(2000.0, lease) == 0
    ledger.keep("update-1", [EventRecord(1, 1000.0, Warned(None, "old"))])
    for number in range(1, 7):
        id = updated(ledger, lease, number)
        ranges = STREAM if number != 2 else {**STREAM, "kafka:a": Range({"upto": 5})}
        fingerprint = "old" if number < 4 else "new"
        stream = {"ranges": ranges, "fingerprint": fingerprint, "update": id}
        if number == 5:
            ledger.give_up(ledger.intend(epoch(number, **stream), lease), "no", lease)
            continue
        committed(ledger, lease, epoch(min(number, 5), **stream))
    assert len(another().events("update-1")) == 1
    assert ledger.forget_updates(1006.0, lease, most=3) == 3
    # The second is the last to tell how far another source was read, the third the last of its
    # definition.
    assert numbers(another()) == [2, 3, 4, 5, 5]
    assert [u.id for u in another().updates()] == ["update-6", "update-5", "update-4"]
    assert another().events("update-1") == []
    assert ledger.forget_updates(1006.0, lease) == 2
    assert numbers(another()) == [2, 3, 5]
    assert ledger.forget_updates(1006.0, lease) == 0
    # The newest epoch stays, however old: it says how far the flow is.
    assert ledger.forget_updates(1e9, lease) == 1
    assert ledger.last_number("bronze") == 5
    committed(ledger, lease, epoch(6))
    updated(ledger, lease, 7)
    ledger.release(lease)
    with pytest.raises(LeaseLostError):
        ledger.forget_updates(1e9, lease)


def test_epochs_that_have_read_files_stay_until_a_full_refresh(
    ledger: Ledger, lease: Lease
) -> None:
    for number in (1, 2):
        committed(ledger, lease, epoch(number, update=updated(ledger, lease, number)))
    assert ledger.forget_updates(2000.0, lease) == 2
    assert numbers(ledger) == [1, 2]
    ledger.begin_generation(["Bronze"], lease)
    for number in (3, 4):
        id = updated(ledger, lease, number)
        again = {"update": id, "generation": 1, "replaces": True, "ranges": STREAM}
        committed(ledger, lease, epoch(number, **again))
    updated(ledger, lease, 5)
    committed(ledger, lease, epoch(5, update="update-5", generation=1, ranges=STREAM))
    ledger.forget_updates(2000.0, lease)
    # The third began the generation: who reads the table as a stream asks when it was replaced.
    assert numbers(ledger) == [1, 2, 3, 5]


def test_an_update_that_runs_is_not_forgotten(ledger: Ledger, lease: Lease) -> None:
    ledger.begin_update(UpdateRecord("update-1", "dev", "run", 1000.0), lease)
    ledger.intend(epoch(), lease)
    assert ledger.forget_updates(2000.0, lease) == 0
    assert len(ledger.open_epochs()) == 1


def test_which_epochs_a_quarantine_has_rows_of(ledger: Ledger, lease: Lease) -> None:
    broken, fine = (RuleCount("View", "r", "quarantine", n) for n in (1, 0))
    own, none = Counts(2, 1, 0, 1), Counts(2, 2)

    def kept(generation: int) -> tuple[object, object]:
        own, view = (
            ledger.quarantine_mark("bronze", "Bronze", generation, n) for n in ("bronze", "View")
        )
        return own, view

    committed(ledger, lease, epoch(1, counts=none, rules=(fine,)))
    assert kept(0) == (None, None)
    committed(ledger, lease, epoch(2, counts=own, rules=(broken,)))
    committed(ledger, lease, epoch(3, counts=none, rules=(fine,)))
    assert kept(0) == (QuarantineMark(2), QuarantineMark(2))
    # A full refresh empties them.
    first = epoch(4, generation=1, replaces=True, counts=none, rules=(fine,))
    committed(ledger, lease, first)
    assert kept(1) == (QuarantineMark(4, emptied=True), QuarantineMark(4, emptied=True))
    committed(ledger, lease, epoch(5, generation=1, counts=none, rules=(broken,)))
    assert kept(1) == (QuarantineMark(4, emptied=True), QuarantineMark(5))
    # The first flow does so for all others.
    other = epoch(1, flow="more", generation=1, counts=none, rules=(fine,))
    committed(ledger, lease, other)
    assert ledger.quarantine_marks("bronze", 1, "bronze") == {
        "bronze": QuarantineMark(4, emptied=True)
    }
    assert ledger.quarantine_marks("bronze", 1, "view") == {
        "bronze": QuarantineMark(5),
        "more": QuarantineMark(1, emptied=True),
    }
    # A materialized view's do so each time.
    committed(ledger, lease, replace(first, number=6, counts=own, rules=(broken,)))
    assert kept(1) == (QuarantineMark(6), QuarantineMark(6))
    committed(ledger, lease, replace(first, number=7))
    assert kept(1) == (QuarantineMark(7, emptied=True), QuarantineMark(7, emptied=True))


def test_settling_keeps_the_digests_that_reading_found(ledger: Ledger, lease: Lease) -> None:
    intended = ledger.intend(epoch(), lease)
    read = files(tuple(replace(f, digest=f"d{f.size}") for f in FILES.files))
    ledger.settle(
        replace(intended, version=0, ranges={**intended.ranges, "files:/in": read}), lease
    )
    assert ledger.seen("bronze", "bronze", 0, ["/in/ü 1.csv", "s3://b/2", "/new"]) == {
        f.path: f for f in read.files
    }


def test_what_was_seen_belongs_to_a_flow_and_generation(ledger: Ledger, lease: Lease) -> None:
    committed(ledger, lease, epoch())
    paths = [f.path for f in FILES.files]
    assert len(ledger.seen("bronze", "bronze", 0, paths)) == 2
    assert ledger.seen("bronze", "bronze", 1, paths) == {}
    assert ledger.seen("silver", "silver", 0, paths) == {}
    assert ledger.seen("bronze", "bronze", 0, []) == {}


def test_what_was_seen_counts_by_the_source_it_was_read_for(ledger: Ledger, lease: Lease) -> None:
    one, other = FileRef("/in/a", 1, 1, "x"), FileRef("/in/a", 2, 2, "y")
    committed(
        ledger,
        lease,
        epoch(ranges={"files:1": files((one,)), "files:2": files((other,))}),
    )
    for source, file in (("files:1", one), ("files:2", other)):
        assert ledger.seen("bronze", "bronze", 0, ["/in/a"], source.__eq__) == {"/in/a": file}
    assert ledger.seen("bronze", "bronze", 0, ["/in/a"], lambda _: False) == {}


def test_a_file_read_again_is_seen_as_it_was_last(ledger: Ledger, lease: Lease) -> None:
    first, second = (FileRef("/in/a", size, 1, "x") for size in (1, 2))
    for n, file in enumerate((first, second), 1):
        committed(ledger, lease, epoch(n, ranges={"files:/in": files((file,))}))
    assert ledger.seen("bronze", "bronze", 0, ["/in/a"]) == {"/in/a": second}


def test_ten_thousand_files_in_one_epoch(ledger: Ledger, lease: Lease) -> None:
    many = tuple(FileRef(f"/in/{n:05}.csv", n, n) for n in range(10_000))
    committed(ledger, lease, epoch(ranges={"files:/in": files(many)}))
    new = [f"/in/new-{n}.csv" for n in range(10)]
    assert len(ledger.seen("bronze", "bronze", 0, [f.path for f in many] + new)) == 10_000
    assert ledger.epochs(files=True)[0].ranges["files:/in"].files == many


def test_a_flow_has_one_open_epoch(ledger: Ledger, lease: Lease) -> None:
    ledger.intend(epoch(), lease)
    with pytest.raises(EpochConflictError, match="open epoch"):
        ledger.intend(epoch(2), lease)
    assert ledger.intend(epoch(flow="silver"), lease).number == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_numbers_only_grow(ledger: Ledger, lease: Lease, number: int) -> None:
    committed(ledger, lease, epoch())
    committed(ledger, lease, epoch(2))
    with pytest.raises(EpochConflictError, match="epoch 3"):
        ledger.intend(epoch(number), lease)
    assert committed(ledger, lease, epoch(5)).number == 5


def test_a_prepared_epoch_is_open_with_what_was_staged(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    read = files(tuple(replace(f, digest=f"d{f.size}") for f in FILES.files))
    prepared = replace(
        ledger.intend(epoch(), lease),
        ranges={**RANGES, "files:/in": read},
        counts=Counts(3, 3),
        rules=(RuleCount("Bronze", "r", "warn", 2),),
        source_schemas={"files:/in": COLUMNS},
        bytes_written=7,
    )
    ledger.prepare(prepared, lease)
    assert another().open_epochs() == [prepared]
    assert ledger.source_schema("bronze", "bronze", 0, "files:/in") is None
    ledger.settle(replace(prepared, version=0), lease)
    assert ledger.source_schema("bronze", "bronze", 0, "files:/in") == COLUMNS
    with pytest.raises(EpochConflictError, match="does not know"):
        ledger.prepare(epoch(id=99), lease)


def test_an_epoch_given_up_leaves_its_range_unread(ledger: Ledger, lease: Lease) -> None:
    intended = ledger.intend(epoch(), lease)
    ledger.give_up(intended, "no space", lease)
    assert ledger.open_epochs() == []
    assert ledger.seen("bronze", "bronze", 0, ["s3://b/2"]) == {}
    assert ledger.epochs()[0].status is EpochStatus.FAILED
    assert ledger.epochs()[0].error == "no space"
    with pytest.raises(EpochConflictError, match="failed"):
        ledger.settle(intended, lease)
    assert committed(ledger, lease, epoch()).id > intended.id


def test_an_epoch_that_nobody_intended_cannot_be_settled(ledger: Ledger, lease: Lease) -> None:
    with pytest.raises(EpochConflictError, match="does not know"):
        ledger.settle(epoch(id=99), lease)


def test_an_intention_is_whole_or_not_at_all(ledger: Ledger, lease: Lease) -> None:
    bad = files((FILES.files[0], FileRef("/in/\udcff.csv", 1, 1)))
    with pytest.raises(LedgerError):
        ledger.intend(epoch(ranges={"files:/in": bad}), lease)
    assert ledger.epochs() == []
    assert ledger.intend(epoch(), lease).number == 1


# -- definitions, generations, updates ----------------------------------------------------------


def test_definitions_are_kept_by_folded_name(ledger: Ledger, lease: Lease) -> None:
    second = replace(DEFINITION, dataset="BRONZE", fingerprint="f2")
    ledger.define(DEFINITION, lease)
    ledger.define(second, lease)
    assert ledger.definitions() == {"bronze": second}


def test_who_holds_the_lease_knows_what_everybody_can_read(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    def told(by: Ledger) -> list[object]:
        flows, targets = ("bronze", "more", "never"), ("bronze", "OTHER")
        return [
            *(by.last_epoch(f, d) for f in flows for d in targets),
            *(by.last_epochs(f) for f in flows),
            *(by.last_number(f) for f in flows),
            *(
                by.position(f, d, g, "dataset:other")
                for f in flows
                for d in targets
                for g in (0, 1)
            ),
            *(by.quarantine_marks("bronze", g, "bronze") for g in (0, 1)),
            *(by.quarantine_mark(f, "bronze", g, "bronze") for f in flows for g in (0, 1)),
            *(by.generation(d) for d in ("bronze", "Bronze", "never")),
        ]

    reader, broken = another(), (RuleCount("bronze", "r", "quarantine", 1),)
    committed(ledger, lease, epoch(1))
    assert told(ledger) == told(reader)
    committed(ledger, lease, epoch(2, counts=Counts(2, 1, 0, 1), rules=broken))
    committed(ledger, lease, epoch(7, flow="more"))
    assert told(ledger) == told(reader)
    ledger.begin_generation(["BRONZE"], lease)
    committed(ledger, lease, epoch(3, generation=1, replaces=True))
    with pytest.raises(EpochConflictError):
        ledger.intend(epoch(3, generation=1), lease)
    assert told(ledger) == told(reader)
    assert ledger.last_epoch("bronze", "bronze") == LastEpoch(
        4, 3, 1, epoch(3).fingerprint, "Bronze"
    )
    # Once another update has the lease, nothing is known any more.
    ledger.release(lease)
    other = another()
    successor = other.acquire("update-2", 60)
    committed(other, successor, epoch(4, generation=1))
    assert told(ledger) == told(other) == told(reader)
    with pytest.raises(LeaseLostError):
        ledger.renew(lease, 60)
    committed(other, successor, epoch(5, generation=1))
    assert told(ledger) == told(reader)


def test_an_epoch_brings_its_definition_with_it(ledger: Ledger, lease: Lease) -> None:
    intended = ledger.intend(epoch(), lease)
    ledger.settle(replace(intended, version=0), lease, DEFINITION)
    assert ledger.definitions() == {"bronze": DEFINITION}


def test_what_has_been_read_as_a_stream(
    ledger: Ledger, lease: Lease, another: Callable[[], Ledger]
) -> None:
    broken = (RuleCount("bronze", "r", "quarantine", 1),)
    schemas = {"files:/in": COLUMNS}
    read = epoch(1, counts=Counts(2, 1, 0, 1), rules=broken, source_schemas=schemas)
    committed(ledger, lease, read)
    committed(ledger, lease, epoch(2, flow="more"))
    given_up = ledger.intend(epoch(1, flow="never"), lease)
    ledger.give_up(given_up, "no space", lease)
    sources = ledger.sources()
    assert sources == another().sources()
    assert {(s.flow, s.dataset, s.generation) for s in sources} == {
        ("bronze", "Bronze", 0),
        ("more", "Bronze", 0),
    }
    # Files have no position; a table has one.
    mine = {(s.key, s.positioned) for s in sources if s.flow == "bronze"}
    assert mine == {("files:/in", False), ("dataset:other", True)}
    # The keys of a generation before are past.
    ledger.begin_generation(["bronze"], lease)
    committed(ledger, lease, epoch(3, generation=1))
    assert {(s.flow, s.generation) for s in ledger.sources()} == {("bronze", 1), ("more", 0)}


def test_epochs_come_with_their_files_when_asked(ledger: Ledger, lease: Lease) -> None:
    read = committed(ledger, lease, epoch())
    (bare,), (whole,) = ledger.epochs(), ledger.epochs(files=True)
    assert [f for r in bare.ranges.values() for f in r.files] == []
    assert whole.ranges == read.ranges
    assert [f for r in whole.ranges.values() for f in r.files]


def test_a_refresh_begins_the_next_generation(ledger: Ledger, lease: Lease) -> None:
    assert ledger.generation("bronze") == 0
    committed(ledger, lease, epoch())
    assert ledger.generation_started("BRONZE", 0)
    ledger.begin_generation(["bronze", "silver"], lease)
    assert ledger.generation("Bronze") == ledger.generation("silver") == 1
    assert not ledger.generation_started("bronze", 1)
    committed(ledger, lease, epoch(2, generation=1))
    assert ledger.generation_started("bronze", 1)


def test_a_refresh_that_came_to_nothing_is_taken_back(
    ledger: Ledger, lease: Lease, another: Open
) -> None:
    """What was read before it counts as read again."""
    committed(ledger, lease, epoch())
    ledger.begin_generation(["bronze", "silver"], lease)
    given_up = ledger.intend(epoch(2, generation=1, replaces=True), lease)
    ledger.give_up(given_up, "too many rows", lease)
    ledger.take_back_generation(["Bronze"], lease)
    for by in (ledger, another()):
        assert (by.generation("bronze"), by.generation("silver")) == (0, 1)
        assert by.generation_started("bronze", 0)
        assert by.position("bronze", "bronze", 0, "dataset:other") == MOVED
    committed(ledger, lease, epoch(2))


def test_a_flow_has_read_into_one_dataset_what_it_has_not_into_another(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    broken = (RuleCount("View", "r", "quarantine", 1),)
    facts = {"counts": Counts(2, 2), "rules": broken, "source_schemas": {"files:/in": COLUMNS}}
    there = {"dataset:other": Range({"after": 9}, positioned=True)}
    committed(ledger, lease, epoch(1, **facts))
    committed(ledger, lease, epoch(2, dataset="Other", ranges=there, **facts))
    with pytest.raises(EpochConflictError):
        ledger.intend(epoch(2, dataset="third"), lease)  # numbers are given once
    for by in (ledger, another()):
        first, second = (by.last_epoch("bronze", d) for d in ("bronze", "other"))
        assert first is not None
        assert second is not None
        assert (first.number, second.number, by.last_number("bronze")) == (1, 2, 2)
        assert by.last_epochs("bronze") == [second, first]
        assert by.last_epoch("bronze", "third") is None
        assert by.position("bronze", "bronze", 0, "dataset:other") == MOVED
        assert by.position("bronze", "OTHER", 0, "dataset:other") == {"after": 9}
        assert by.seen("bronze", "bronze", 0, ["/in/ü 1.csv"])
        assert not by.seen("bronze", "other", 0, ["/in/ü 1.csv"])
        assert by.source_schema("bronze", "third", 0, "files:/in") is None
        assert by.quarantine_marks("bronze", 0, "view") == {"bronze": QuarantineMark(1)}
        assert by.quarantine_mark("bronze", "other", 0, "view") == QuarantineMark(2)
        read = {(s.dataset, s.key) for s in by.sources()}
        assert read == {(d, "dataset:other") for d in ("Bronze", "Other")} | {
            (d, "files:/in") for d in ("Bronze", "Other")
        }
    # A full refresh of one of them leaves the other as it is.
    ledger.begin_generation(["other"], lease)
    committed(ledger, lease, epoch(3, dataset="other", generation=1, replaces=True, **facts))
    assert ledger.position("bronze", "bronze", 0, "dataset:other") == MOVED
    # So does a removal, after which the flow counts on.
    dropped = Move("update-1", Moved.DATASET, "other", None)
    ledger.begin_move(dropped, lease)
    ledger.end_move(dropped, lease)
    for by in (ledger, another()):
        assert [e.dataset for e in by.last_epochs("bronze")] == ["Bronze"]
        assert by.last_number("bronze") == 3
        assert by.last_epoch("bronze", "other") is None
        assert {s.dataset for s in by.sources()} == {"Bronze"}


def test_the_lowest_version_at_which_a_table_was_replaced(ledger: Ledger, lease: Lease) -> None:
    read = committed(ledger, lease, epoch(replaces=True))
    assert ledger.replaced("bronze", read.id) is None
    committed(ledger, lease, epoch(2, flow="silver", dataset="silver", replaces=True))
    given_up = ledger.intend(epoch(2, replaces=True), lease)
    ledger.give_up(given_up, "no space", lease)
    assert ledger.replaced("bronze", read.id) is None
    for number in range(3, 110):
        # However long ago it was.
        committed(ledger, lease, epoch(number, replaces=number in (5, 7)))
    assert ledger.replaced("BRONZE", read.id) == 4
    assert ledger.replaced("bronze", 0) == 0


def read_by(ledger: Ledger, lease: Lease) -> None:
    """Two flows into Bronze, a replay of it, and a flow that reads it, all with what they read."""
    broken = (RuleCount("bronze", "r", "quarantine", 1),)
    schemas = {"files:/in": COLUMNS}
    counts = Counts(2, 1, 0, 1)
    ledger.define(DEFINITION, lease)
    ledger.begin_generation(["bronze"], lease)
    facts = {"generation": 1, "counts": counts, "rules": broken, "source_schemas": schemas}
    committed(ledger, lease, epoch(1, replaces=True, **facts))
    committed(ledger, lease, epoch(1, "more", **facts))
    committed(ledger, lease, epoch(1, "Bronze::replay", generation=1))
    reads = {"dataset:bronze": Range(MOVED, positioned=True)}
    silver = {"dataset": "silver", "ranges": reads}
    committed(ledger, lease, epoch(1, "silver", **silver))
    committed(
        ledger, lease, epoch(1, "total", dataset="Total", ranges={"now|dataset:bronze": FILES})
    )
    ledger.define(replace(DEFINITION, dataset="Total"), lease)
    ledger.keep_anomalies([ODD], lease)


def test_an_intention_to_rename_outlives_its_process(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    read_by(ledger, lease)
    ledger.begin_move(RENAMED, lease)
    assert another().open_moves() == [RENAMED]
    assert ledger.position("silver", "silver", 0, "dataset:bronze") == MOVED
    ledger.end_move(RENAMED, lease)
    assert ledger.open_moves() == another().open_moves() == []


def test_all_that_a_name_has_is_the_new_ones(ledger: Ledger, another: Open, lease: Lease) -> None:
    read_by(ledger, lease)
    # What another dataset of the new name has left, which is no more.
    ledger.begin_generation(["größe"], lease)
    ledger.begin_move(RENAMED, lease)
    for _ in range(2):
        ledger.end_move(RENAMED, lease)
    for by in (ledger, another()):
        assert by.definitions()["GRÖSSE"] == RENAMED.definitions[0]
        assert "bronze" not in by.definitions()
        assert [by.generation(d) for d in ("größe", "bronze")] == [1, 0]
        assert by.last_epoch("bronze", "bronze") is None
        last = by.last_epoch("größe", "größe")
        assert last is not None
        assert [last.number, last.generation, last.dataset] == [1, 1, "größe"]
        assert by.seen("größe", "größe", 1, ["/in/ü 1.csv"]).keys() == {"/in/ü 1.csv"}
        assert by.source_schema("größe", "größe", 1, "files:/in") == COLUMNS
        assert by.position("größe", "größe", 1, "dataset:other") == MOVED
        assert by.position("silver", "silver", 0, "dataset:grösse") == MOVED
        assert by.position("silver", "silver", 0, "dataset:bronze") is None
        assert by.quarantine_marks("größe", 1, "größe").keys() == {"größe", "more"}
        assert by.quarantine_marks("bronze", 1, "bronze") == {}
        assert {e.flow for e in by.epochs(dataset="größe")} == {"größe", "more", "Bronze::replay"}
        assert by.epochs(dataset="bronze") == []
        assert by.generation_started("größe", 1)
        assert by.replaced("größe", 0) == 0
        assert {m.flow for m in by.metrics("größe")} == {"größe", "more"}
        assert {m.dataset for m in by.metrics("größe")} == {"größe"}
        assert by.metrics("bronze") == []
        assert {w.dataset for w in by.watched()} == {"größe"}
        assert [a.dataset for a in by.anomalies("größe")] == ["größe"]
        assert {s.dataset for s in by.sources() if s.flow == "more"} == {"größe"}
    with pytest.raises(EpochConflictError):
        ledger.intend(epoch(1, "größe", dataset="größe"), lease)
    committed(ledger, lease, epoch(1))


def test_nothing_that_was_dropped_counts_for_what_comes_later(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    read_by(ledger, lease)
    gone = ("bronze", "more", "Bronze::replay")
    keys = ("dataset:bronze", "now|dataset:bronze", "quarantine:bronze")
    dropped = Move(
        "update-1", Moved.DATASET, "Bronze", None, gone=gone, sources=dict.fromkeys(keys)
    )
    ledger.begin_move(dropped, lease)
    ledger.end_move(dropped, lease)
    for by in (ledger, another()):
        assert by.open_moves() == []
        assert list(by.definitions()) == ["total"]
        # A view that was computed from it is not taken for unchanged when it comes again.
        assert by.definitions()["total"].inputs == ""
        assert {by.last_epoch(f, "bronze") for f in gone} == {None}
        assert [by.last_epochs(f) for f in gone] == [[], [], []]
        assert by.seen("bronze", "bronze", 1, ["/in/ü 1.csv"]) == {}
        assert by.source_schema("bronze", "bronze", 1, "files:/in") is None
        assert by.quarantine_marks("bronze", 1, "bronze") == {}
        assert by.position("silver", "silver", 0, "dataset:bronze") is None
        assert {s.flow for s in by.sources()} == set()
        assert by.epochs(dataset="bronze") == []
        assert not by.generation_started("bronze", 1)
        assert by.replaced("bronze", 0) is None
        assert by.metrics("bronze") == []
        assert by.watched() == []
        assert by.anomalies() == []
        # Sinks hold epochs of it: what comes is of another generation.
        assert by.generation("bronze") == 2
        # The history has it still.
        assert [e.dataset for e in by.epochs("update-1")] == ["Total", "silver", *["Bronze"] * 3]
    assert committed(ledger, lease, epoch(1, generation=2)).number == 1
    assert {e.flow for e in ledger.epochs(dataset="bronze")} == {"bronze"}


def test_files_of_a_renamed_folder_are_known(ledger: Ledger, lease: Lease) -> None:
    found = files((FileRef("in/a.csv", 1, 1), FileRef("up/in/b.csv", 1, 1)))
    other = files((FileRef("in/c.csv", 1, 1),))
    read = epoch(
        ranges={"files:in": found, "files:x": other}, source_schemas={"files:in": COLUMNS}
    )
    committed(ledger, lease, read)
    moved = {"files:in": "files:ü/in"}
    move = Move("u", Moved.SOURCE, "in", "ü/in", sources=moved, paths=("in/", "ü/in/"))
    ledger.begin_move(move, lease)
    for _ in range(2):
        ledger.end_move(move, lease)
    paths = ["in/a.csv", "in/c.csv", "ü/in/a.csv", "up/in/b.csv", "up/ü/in/b.csv"]
    assert ledger.seen("bronze", "bronze", 0, paths).keys() == {
        "ü/in/a.csv",
        "up/in/b.csv",
        "in/c.csv",
    }
    (known,) = ledger.epochs(files=True)
    assert [f.path for f in known.ranges["files:ü/in"].files] == ["ü/in/a.csv", "up/in/b.csv"]
    assert [s.key for s in ledger.sources()] == ["files:ü/in"]


def test_a_dataset_is_paused_and_told_to_go_on(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    """Without a lease: another process holds it."""
    assert lease.covers("bronze")
    another().pause("Bronze", "too much in quarantine")
    another().pause("silver", "")
    assert list(ledger.pauses()) == ["bronze", "silver"]
    pause = ledger.pauses()["BRONZE"]
    assert (pause.dataset, pause.reason, pause.resumed) == (
        "Bronze",
        "too much in quarantine",
        None,
    )
    assert abs(pause.since - time.time()) < 60
    assert ledger.resume(["bronze", "gold"]) == ["bronze"]
    assert ledger.resume(["bronze"]) == []
    resumed = another().pauses()["bronze"].resumed
    assert resumed is not None
    assert resumed >= pause.since
    ledger.pause("bronze", "again")
    assert another().pauses()["bronze"].reason == "again"
    assert another().pauses()["bronze"].resumed is None


def test_updates_ask_for_a_lease_that_another_one_holds(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    assert lease.covers("bronze")
    other = another()
    other.request("u9", ["Bronze", "silver"], 60.0)
    other.request("u8", None, 60.0)
    asked = ledger.requests()
    assert asked[0] is None
    assert asked[1] is not None
    assert "BRONZE" in asked[1]
    other.withdraw("u8")
    other.request("u9", ["gold"], 60.0)
    assert [list(names or ()) for names in ledger.requests()] == [["gold"]]
    # A process that died while it waited asks no longer.
    other.request("u9", ["gold"], -1.0)
    assert ledger.requests() == []
    other.withdraw("u9")
    other.withdraw("nobody")


def test_updates_come_newest_first(ledger: Ledger, lease: Lease) -> None:
    for n in (1, 2, 3):
        ledger.begin_update(UpdateRecord(f"u{n}", "dev", "run", float(n)), lease)
    ledger.end_update("u2", UpdateStatus.FAILED, lease, "boom")
    assert [u.id for u in ledger.updates(2)] == ["u3", "u2"]
    assert ledger.updates()[1].status is UpdateStatus.FAILED
    assert ledger.updates()[1].error == "boom"
    assert ledger.updates()[1].ended is not None
    assert ledger.updates()[0] == UpdateRecord("u3", "dev", "run", 3.0)
    with pytest.raises(LedgerError, match="refused"):
        ledger.begin_update(UpdateRecord("u1", "dev", "run", 1.0), lease)


def test_updates_that_are_said_to_run_are_found_however_many_came_later(
    ledger: Ledger, lease: Lease
) -> None:
    for n in range(40):
        ledger.begin_update(UpdateRecord(f"u{n}", "dev", "run", float(n)), lease)
        if n not in (1, 3):
            ledger.end_update(f"u{n}", UpdateStatus.SUCCEEDED, lease)
    assert [u.id for u in ledger.crashed_updates()] == ["u1", "u3"]


def test_epochs_are_found_by_update_and_dataset(ledger: Ledger, lease: Lease) -> None:
    committed(ledger, lease, epoch(1))
    committed(ledger, lease, epoch(2, update="update-2"))
    committed(ledger, lease, epoch(1, flow="silver", dataset="silver", update="update-2"))
    assert [e.flow for e in ledger.epochs(update="update-2")] == ["silver", "bronze"]
    assert [e.number for e in ledger.epochs(dataset="BRONZE")] == [2, 1]
    assert [e.number for e in ledger.epochs(dataset="bronze", limit=1)] == [2]
    assert ledger.epochs(update="nobody") == []


# -- events -------------------------------------------------------------------------------------

EVENTS: tuple[Event, ...] = (
    UpdateStarted("update-1", "dev", ("bronze", "sílver\udcff\x00")),
    DatasetStarted("bronze", "streaming table"),
    Retried("bronze", 1, "busy", 0.25),
    Recovered("bronze", "bronze", 2, "redone"),
    EpochCommitted(
        dataset="bronze",
        flow="bronze",
        epoch=3,
        version=None,
        counts=Counts(10, 7, 1, 2, 1),
        rules=(RuleCount("bronze", "r", "drop", 1), RuleCount("view", "s", "warn", 2**40)),
        files_read=2,
        seconds=0.1,
    ),
    Warned(None, "100 % ? {} ünsure"),
    DatasetEnded("bronze", "updated", "", 0.5),
    DatasetEnded(
        "silver",
        "failed",
        "no",
        0.5,
        Failure("Q2001", "ExpectationFailedError", "no", "silver.sql", 3, 1, "a", hint="b"),
    ),
    UpdateEnded("update-1", "failed", 1.5, Failure("Q5002", "LeaseLostError", "lost")),
)


def records(*events: Event, first: int = 1) -> list[EventRecord]:
    return [EventRecord(n, 1000.25 + n, event) for n, event in enumerate(events, first)]


def test_events_are_read_back_as_they_were_told(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    ledger.begin_update(UpdateRecord("update-1", "dev", "run", 1.0), lease)
    told = records(*EVENTS)
    ledger.keep("update-1", told)
    ledger.end_update("update-1", UpdateStatus.FAILED, lease)
    reader = another()
    assert reader.events("update-1") == told
    assert reader.events("update-1", after=2, limit=3) == told[2:5]
    assert reader.events("update-1", after=len(told)) == []
    assert reader.events("update-2") == []


def test_events_wait_for_whatever_is_written_next(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    ledger.begin_update(UpdateRecord("update-1", "dev", "run", 1.0), lease)
    intended = epoch()
    writes: list[Callable[[], object]] = [
        lambda: ledger.intend(intended, lease),
        lambda: ledger.prepare(ledger.open_epochs()[0], lease),
        lambda: ledger.settle(replace(ledger.open_epochs()[0], version=0), lease),
        lambda: ledger.define(DEFINITION, lease),
        lambda: ledger.begin_generation(["bronze"], lease),
        lambda: ledger.renew(lease, 60),
        lambda: ledger.end_update("update-1", UpdateStatus.SUCCEEDED, lease),
    ]
    reader = another()
    for number, write in enumerate(writes, 1):
        ledger.keep("update-1", records(Warned(None, str(number)), first=number))
        assert len(reader.events("update-1")) == number - 1
        write()
        assert len(reader.events("update-1")) == number


def test_events_outlive_a_write_that_fails(ledger: Ledger, lease: Lease) -> None:
    told = records(*EVENTS[:2])
    ledger.keep("update-1", told)
    with pytest.raises(EpochConflictError):
        ledger.settle(epoch(id=99), lease)
    bad = Definition("b\udcff", "view", "f", "i", "t")
    with pytest.raises(LedgerError):
        ledger.define(bad, lease)
    assert ledger.events("update-1") == []
    ledger.define(DEFINITION, lease)
    assert ledger.events("update-1") == told


def test_an_event_that_is_written_twice_is_there_once(ledger: Ledger, lease: Lease) -> None:
    for _ in range(2):
        ledger.keep("update-1", records(*EVENTS))
        ledger.renew(lease, 60)
    assert ledger.events("update-1") == records(*EVENTS)


def test_events_are_written_by_their_own_update_alone(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    ledger.keep("update-2", records(*EVENTS))
    ledger.keep("update-1", records(*EVENTS[:1]))
    ledger.renew(lease, 60)
    assert ledger.events("update-1") == records(*EVENTS[:1])
    ledger.keep("update-1", records(*EVENTS, first=2))
    ledger.release(lease)
    ledger.renew(ledger.acquire("update-1", 60), 60)
    assert len(ledger.events("update-1")) == 1
    assert another().events("update-2") == []


def test_events_of_a_newer_qanat_are_read_as_far_as_they_are_known(
    ledger: Ledger, lease: Lease
) -> None:
    ledger.keep("update-1", records(*[Warned("bronze", "x")] * 5))
    ledger.renew(lease, 60)
    newer = {
        1: ("table_compacted", '{"files": 3}'),
        2: ("warned", '{"dataset": "bronze", "message": "x", "since": 5}'),
        3: ("warned", '{"dataset": "bronze"}'),
        4: ("epoch_committed", "[1]"),
        5: ("warned", "{"),
    }
    with ledger._database.writing() as transaction:  # type: ignore[attr-defined]
        for number, (kind, facts) in newer.items():
            transaction.write(
                "UPDATE qanat_events SET kind = ?, facts = ? WHERE scope = ? AND number = ?",
                (kind, facts, lease.scope, number),
            )
    assert [r.event for r in ledger.events("update-1")] == [
        UnknownEvent("table_compacted", {"files": 3}),
        Warned("bronze", "x"),
        UnknownEvent("warned", {"dataset": "bronze"}),
        UnknownEvent("epoch_committed", {"facts": [1]}),
        UnknownEvent("warned", {"text": "{"}),
    ]


def test_an_update_is_found_by_its_identifier(ledger: Ledger, lease: Lease) -> None:
    begun = UpdateRecord("u1", "dev", "run", 1.0)
    ledger.begin_update(begun, lease)
    assert ledger.update("u1") == begun
    assert ledger.update("u2") is None


# -- sharing ------------------------------------------------------------------------------------


def test_scopes_share_a_ledger_and_nothing_else(
    ledger: Ledger, lease: Lease, url: str | None, scope: str, tmp_path: Path
) -> None:
    committed(ledger, lease, epoch())
    ledger.define(Definition("bronze", "view", "f", "i", "t"), lease)
    ledger.begin_update(UpdateRecord("u", "dev", "run", 1.0), lease)
    neighbour = open_ledger(url, tmp_path / "_qanat", f"flights/{uuid4().hex}")
    assert not neighbour.epochs()
    assert not neighbour.updates()
    ledger.keep("update-1", records(*EVENTS))
    ledger.renew(lease, 60)
    assert not neighbour.events("update-1")
    assert not neighbour.definitions()
    assert neighbour.generation("bronze") == 0
    # But for one question: whose a table may be that says nothing of it.
    assert scope in neighbour.others("BRONZE")
    assert scope not in ledger.others("bronze")
    own = neighbour.acquire("update-9", 60)
    neighbour.begin_update(UpdateRecord("u", "dev", "run", 1.0), own)
    assert neighbour.intend(epoch(), own).number == 1
    with pytest.raises(LedgerError, match="does not hold"):
        neighbour.intend(epoch(flow="x"), lease)
    neighbour.close()


def test_threads_write_and_readers_read_meanwhile(
    ledger: Ledger, another: Open, lease: Lease
) -> None:
    flows = [f"flow{n}" for n in range(4)]
    reader, problems, seen = another(), Queue[BaseException](), []
    done = threading.Event()

    def write(flow: str) -> None:
        try:
            for number in range(1, 11):
                committed(ledger, lease, epoch(number, flow=flow))
        except BaseException as error:
            problems.put(error)
            raise

    def read() -> None:
        while not done.is_set():
            seen.append(len(reader.epochs(limit=1000)))

    watcher = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(flow,)) for flow in flows]
    watcher.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    watcher.join()
    assert problems.empty()
    assert seen == sorted(seen)
    found = reader.epochs(limit=1000)
    assert len({e.id for e in found}) == 40
    assert {e.status for e in found} == {EpochStatus.COMMITTED}


def test_a_ledger_of_a_newer_qanat_is_refused(
    url: str | None, tmp_path: Path, ledger: Ledger, scope: str
) -> None:
    def set_version(version: int) -> None:
        with ledger._database.writing() as transaction:  # type: ignore[attr-defined]
            transaction.write("UPDATE qanat_ledger SET version = ?", (version,))

    ((now,),) = _read(ledger, "SELECT version FROM qanat_ledger")
    set_version(now + 1)
    try:
        with pytest.raises(TableTooNewError, match=f"version {now + 1}"):
            open_ledger(url, tmp_path / "_qanat", scope)
    finally:
        set_version(now)


def test_a_ledger_of_an_older_qanat_becomes_todays(
    ledger: Ledger, another: Open, scope: str
) -> None:
    ((now,),) = _read(ledger, "SELECT version FROM qanat_ledger")
    with ledger._database.writing() as transaction:  # type: ignore[attr-defined]
        transaction.write("DROP INDEX qanat_updates_open")
        transaction.write("DROP TABLE qanat_events")
        transaction.write("DROP TABLE qanat_held")
        transaction.write("ALTER TABLE qanat_updates DROP COLUMN leaves")
        # An update of the older Qanat runs.
        transaction.write(
            "INSERT INTO qanat_leases VALUES (?, 1, 'old', 0, ?, 'h', 1, 'm', 0)",
            (scope, time.time() + 100),
        )
        transaction.write("DROP TABLE qanat_moves")
        _by_flow_alone(transaction)
        transaction.write("UPDATE qanat_ledger SET version = 1")
    assert another().crashed_updates() == []
    assert another().events("update-1") == []
    with pytest.raises(UpdateRunningError, match="update old"):
        another().acquire("update-2", 60, ["bronze"])
    assert _read(ledger, "SELECT version FROM qanat_ledger") == [(now,)]
    with ledger._database.writing() as transaction:  # type: ignore[attr-defined]
        transaction.write("DROP INDEX qanat_updates_open")  # so it was made again
        transaction.write(MIGRATIONS[1][0])


def _by_flow_alone(transaction: Transaction) -> None:
    """Keep positions as Qanat did before version 6: the newest dataset of a flow had them all."""
    (table,) = (s for s in MIGRATIONS[0] if "CREATE TABLE qanat_sources" in s)
    transaction.write(table)
    transaction.write(
        "INSERT INTO qanat_sources SELECT p.scope, p.flow, p.generation, p.source, p.position,"
        " p.columns FROM qanat_positions p WHERE p.dataset_key = (SELECT dataset_key"
        " FROM qanat_epochs e WHERE e.scope = p.scope AND e.flow = p.flow"
        " AND e.generation = p.generation AND e.status = 'committed' ORDER BY number DESC LIMIT 1)"
    )
    transaction.write("DROP TABLE qanat_positions")
    transaction.write("DELETE FROM qanat_epoch_files WHERE ordinal < 0")
    transaction.write("DROP INDEX qanat_epochs_by_flow_and_dataset")
    transaction.write("DROP TABLE qanat_pauses")
    transaction.write("ALTER TABLE qanat_epochs DROP COLUMN columns")
    newer = ("metrics", "watched", "anomalies", "requests", "outbox")
    for table in (*newer, "serving", "schedules", "runs"):
        transaction.write(f"DROP TABLE qanat_{table}")
    transaction.write("ALTER TABLE qanat_updates DROP COLUMN origin")


@pytest.mark.parametrize("kind", ["sink", "streaming table"])
def test_positions_of_an_older_ledger_are_those_of_the_newest_dataset(
    ledger: Ledger, another: Open, lease: Lease, kind: str
) -> None:
    """A flow that was sent into another sink went on there; into a table it started over."""
    old, new = FILES.files[0], FileRef("/in/new.csv", 1, 1)
    committed(ledger, lease, epoch(1, flow="more"))
    committed(ledger, lease, epoch(1, source_schemas={"files:/in": COLUMNS}))
    there = {
        "files:/in": files((new,)),
        "dataset:other": Range({"after": 9}, positioned=True),
    }
    columns = {"source_schemas": {"files:/in": COLUMNS}}
    committed(ledger, lease, epoch(2, dataset="Other", ranges=there, **columns))
    ledger.define(replace(DEFINITION, dataset="other", kind=kind), lease)
    with ledger._database.writing() as transaction:  # type: ignore[attr-defined]
        _by_flow_alone(transaction)
        transaction.write("UPDATE qanat_ledger SET version = 5")
    by = another()
    assert by.position("bronze", "other", 0, "dataset:other") == {"after": 9}
    assert by.position("bronze", "bronze", 0, "dataset:other") is None
    assert by.position("more", "bronze", 0, "dataset:other") == MOVED
    assert by.source_schema("bronze", "other", 0, "files:/in") == COLUMNS
    seen = by.seen("bronze", "other", 0, [old.path, new.path])
    assert seen == ({old.path: old, new.path: new} if kind == "sink" else {new.path: new})
    assert by.seen("bronze", "bronze", 0, [old.path, new.path]) == {old.path: old}


def _read(ledger: Ledger, sql: str) -> list[tuple[int, ...]]:
    with ledger._database.reading() as transaction:  # type: ignore[attr-defined]
        return transaction.read(sql)  # type: ignore[no-any-return]


def test_a_closed_ledger_can_be_opened_again(ledger: Ledger, another: Open, lease: Lease) -> None:
    committed(ledger, lease, epoch())
    ledger.close()
    assert len(another().epochs()) == 1


# -- what observers are owed ---------------------------------------------------------------------

OBSERVERS = ("alerts", "catalog")


def begun(ledger: Ledger, lease: Lease, observers: Collection[str] = OBSERVERS) -> None:
    ledger.begin_update(UpdateRecord("update-1", "dev", "run", 7.0), lease, observers)


def test_an_update_owes_its_events_to_observers(ledger: Ledger, lease: Lease) -> None:
    begun(ledger, lease)
    # It delivers them itself.
    assert ledger.claim(OBSERVERS, 60) == ()
    mine = [Owed(name, "update-1", 0, 7.0) for name in OBSERVERS]
    ledger.give_back(mine)
    assert ledger.claim(["alerts"], 60) == mine[:1]
    assert ledger.claim(OBSERVERS, 60) == mine[1:]
    assert ledger.claim(["other"], 60) == ()
    ledger.delivered(mine[0])
    ledger.give_back(mine)
    assert ledger.claim(OBSERVERS, 60) == mine[1:]


def test_how_far_an_observer_has_got_is_remembered_and_never_taken_back(
    ledger: Ledger, lease: Lease
) -> None:
    begun(ledger, lease, ["alerts"])
    owed = Owed("alerts", "update-1", 5, 7.0)
    ledger.renew_claims([owed], 60)
    ledger.give_back([replace(owed, number=3)])
    assert ledger.claim(["alerts"], 60) == [owed]


def test_a_claim_that_expires_is_free(ledger: Ledger, lease: Lease) -> None:
    begun(ledger, lease, ["alerts"])
    owed = Owed("alerts", "update-1", 0, 7.0)
    ledger.renew_claims([owed], -1)
    assert ledger.claim(["alerts"], 60) == [owed]


def test_the_claims_of_a_process_that_has_died_are_free(
    ledger: Ledger, lease: Lease, url: str | None, tmp_path: Path
) -> None:
    begun(ledger, lease, ["alerts"])
    owed = Owed("alerts", "update-1", 0, 7.0)
    ledger.give_back([owed])
    ended = FORKED.Process(target=_claim, args=(url, tmp_path / "_qanat", lease.scope))
    ended.start()
    ended.join(60)
    assert ended.exitcode == 0
    assert ledger.claim(["alerts"], 60) == [owed]


def _claim(url: str | None, private: Path, scope: str) -> None:
    assert len(open_ledger(url, private, scope).claim(["alerts"], 600)) == 1
    os._exit(0)


def test_what_nobody_claims_for_a_year_is_forgotten(ledger: Ledger, lease: Lease) -> None:
    begun(ledger, lease, ["gone"])
    later = UpdateRecord("update-2", "dev", "run", 7.0 + 400 * 86400)
    ledger.begin_update(later, lease, ["alerts"])
    rows = _read(ledger, f"SELECT observer FROM qanat_outbox WHERE scope = '{lease.scope}'")
    assert rows == [("alerts",)]


def test_what_is_owed_is_the_scopes_own(
    ledger: Ledger, lease: Lease, url: str | None, tmp_path: Path
) -> None:
    begun(ledger, lease, ["alerts"])
    ledger.give_back([Owed("alerts", "update-1", 0, 7.0)])
    other = open_ledger(url, tmp_path / "_qanat", f"flights/{uuid4().hex}")
    try:
        assert other.claim(["alerts"], 60) == ()
    finally:
        other.close()


def test_an_update_that_cannot_begin_owes_nothing(ledger: Ledger, lease: Lease) -> None:
    lost = replace(lease, token=lease.token + 1)
    with pytest.raises(LeaseLostError):
        begun(ledger, lost)
    ((rows,),) = _read(ledger, f"SELECT count(*) FROM qanat_outbox WHERE scope = '{lease.scope}'")
    assert rows == 0
