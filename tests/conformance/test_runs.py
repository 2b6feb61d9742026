"""What every ledger promises to schedulers, in SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from qanat.model.schedule import Board, Changes, DueRun, RunState
from qanat.plugins import open_ledger
from qanat.ports.ledger import Ledger
from qanat.testing.postgresql import postgresql
from tests.forked import FORKED
from tests.schedulers.campaign import campaign


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
def ledger(url: str | None, scope: str, tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_ledger(url, tmp_path, scope)) as opened:
        yield opened


def changing(**changes: object) -> Callable[[Board], Changes]:
    return lambda board: Changes(**changes)  # type: ignore[arg-type]


def claimed(ledger: Ledger, due: float = 60.0, seconds: float = 60.0) -> DueRun:
    run = DueRun("nightly", due)
    _, changes = ledger.advance(changing(known=["nightly"], due=[run], starts=[run]), seconds)
    (found,) = changes.starts
    return found


def test_a_claim_is_given_back_unless_its_run_has_begun(ledger: Ledger) -> None:
    run = claimed(ledger)
    assert ledger.release_run(run, "no memory", 5.0)
    assert not ledger.release_run(run, "no memory", 5.0)
    (waiting,) = ledger.board().open
    assert (waiting.state, waiting.attempt, waiting.error) == (RunState.WAITING, 0, "no memory")
    assert waiting.not_before > ledger.board().now
    assert ledger.begin_run(run, 60.0) is None
    (again,) = ledger.advance(changing(starts=[waiting]), 60.0)[1].starts
    assert ledger.begin_run(again, 60.0) is not None
    assert not ledger.release_run(again, "no memory", 5.0)


def test_what_has_been_due_already_is_not_claimed_again(ledger: Ledger) -> None:
    """A clock that goes back lets a moment come twice, and its run may be over."""
    begun = ledger.begin_run(claimed(ledger), 60.0)
    assert begun is not None
    for state in (RunState.RUNNING, RunState.SUCCEEDED):
        run = DueRun("nightly", 60.0)
        assert ledger.advance(changing(due=[run], starts=[run]), 60.0)[1].starts == []
        ledger.end_run(replace(begun, state=RunState.SUCCEEDED))
        found = ledger.run("nightly", 60.0)
        assert found is not None
        assert found.state is RunState.SUCCEEDED, state
    skipped = DueRun("nightly", 120.0, state=RunState.SKIPPED)
    ledger.advance(changing(due=[skipped], ended=[skipped]), 60.0)
    run = DueRun("nightly", 120.0)
    assert ledger.advance(changing(due=[run], starts=[run]), 60.0)[1].starts == []


def test_a_schedule_begins_to_count_when_it_is_first_seen(ledger: Ledger) -> None:
    board, _ = ledger.advance(changing(known=["Nightly"]), 60.0)
    ledger.advance(changing(known=["nightly"]), 60.0)
    assert ledger.schedule_records()["NIGHTLY"].cursor == board.now
    ledger.advance(changing(cursors={"nightly": board.now + 5}), 60.0)
    assert ledger.board().schedules["nightly"].cursor == board.now + 5


def test_what_changes_nothing_is_not_written(ledger: Ledger) -> None:
    calls: list[Board] = []
    ledger.advance(lambda board: calls.append(board) or Changes(), 60.0)
    assert len(calls) == 1


def test_a_run_is_claimed_begun_and_ended_once(ledger: Ledger) -> None:
    run = claimed(ledger)
    assert (run.state, run.token) == (RunState.STARTING, 1)
    begun = ledger.begin_run(run, 60.0)
    assert begun is not None
    assert (begun.state, begun.attempt) == (RunState.RUNNING, 1)
    assert ledger.begin_run(run, 60.0) is None
    assert ledger.renew_run(begun, 60.0)
    ended = replace(begun, state=RunState.SUCCEEDED, update="u-1")
    assert ledger.end_run(ended, followers=["then"])
    assert not ledger.end_run(ended)
    assert not ledger.renew_run(begun, 60.0)
    then, nightly = sorted(ledger.runs(), key=lambda r: r.state, reverse=True)
    assert (then.schedule, then.due, then.state) == ("then", 60.0, RunState.WAITING)
    assert (nightly.state, nightly.update, nightly.attempt) == (RunState.SUCCEEDED, "u-1", 1)
    assert ledger.last_runs()["nightly"] == nightly
    assert [r.schedule for r in ledger.board().open] == ["then"]


def test_a_due_time_is_recorded_once(ledger: Ledger) -> None:
    begun = ledger.begin_run(claimed(ledger), 60.0)
    assert begun is not None
    ledger.end_run(replace(begun, state=RunState.SUCCEEDED))
    ledger.advance(changing(due=[DueRun("NIGHTLY", 60.0)]), 60.0)
    assert [r.state for r in ledger.runs("Nightly")] == [RunState.SUCCEEDED]


def test_a_claim_that_was_taken_over_begins_nothing(ledger: Ledger) -> None:
    old = claimed(ledger, seconds=-1.0)
    (lost,) = ledger.board().open
    assert lost.lost
    waiting = replace(lost, state=RunState.WAITING)
    _, changes = ledger.advance(changing(waiting=[lost], starts=[waiting]), 60.0)
    assert ledger.begin_run(old, 60.0) is None
    assert ledger.begin_run(changes.starts[0], 60.0) is not None


def test_who_gave_no_sign_of_life_ends_nothing(ledger: Ledger) -> None:
    old = ledger.begin_run(claimed(ledger), -1.0)
    assert old is not None
    (lost,) = ledger.board().open
    assert lost.lost
    ledger.advance(changing(waiting=[lost], starts=[replace(lost, lost=False)]), 60.0)
    assert not ledger.renew_run(old, 60.0)
    assert not ledger.end_run(replace(old, state=RunState.SUCCEEDED), followers=["then"])
    assert [r.state for r in ledger.runs()] == [RunState.STARTING]


def _claim_and_stay(url: str | None, folder: str, scope: str) -> None:
    with closing(open_ledger(url, Path(folder), scope)) as ledger:
        claimed(ledger, seconds=3600.0)
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_claims_of_a_dead_process_are_free_at_once(
    url: str | None, scope: str, tmp_path: Path, ledger: Ledger
) -> None:
    process = FORKED.Process(target=_claim_and_stay, args=(url, str(tmp_path), scope))
    process.start()
    process.join()
    (run,) = ledger.board().open
    assert (run.state, run.lost) == (RunState.STARTING, True)


def test_a_retry_waits(ledger: Ledger) -> None:
    begun = ledger.begin_run(claimed(ledger), 60.0)
    assert begun is not None
    failed = replace(begun, state=RunState.WAITING, not_before=30.0, error="it rained")
    assert ledger.end_run(failed, followers=["then"])
    (run,) = ledger.runs()
    assert (run.state, run.attempt, run.error) == (RunState.WAITING, 1, "it rained")
    assert 25.0 < run.not_before - ledger.board().now <= 30.0


def test_schedules_are_paused_and_go_on(ledger: Ledger) -> None:
    ledger.pause_schedule("nightly", "a move")
    record = ledger.schedule_records()["Nightly"]
    assert (record.reason, record.paused) == ("a move", record.cursor)
    assert ledger.resume_schedules(["NIGHTLY", "other"]) == ["NIGHTLY"]
    assert ledger.resume_schedules(["nightly"]) == []
    assert ledger.schedule_records()["nightly"].paused is None


def test_a_schedule_is_due_when_somebody_says_so(ledger: Ledger) -> None:
    (run,) = ledger.trigger(["nightly"])
    assert (ledger.run("NIGHTLY", run.due), ledger.run("nightly", 0.0)) == (run, None)
    assert list(ledger.board().open) == [run]


def test_a_cancelled_run_has_failed_and_its_process_ends_nothing(ledger: Ledger) -> None:
    begun = ledger.begin_run(claimed(ledger), 60.0)
    assert begun is not None
    ledger.trigger(["other"])
    (run,) = ledger.cancel("NIGHTLY")
    assert ledger.run("nightly", begun.due) == replace(run, token=run.token + 1)
    assert (run.state, run.error) == (RunState.FAILED, "it was cancelled")
    assert not ledger.renew_run(begun, 60.0)
    assert not ledger.end_run(replace(begun, state=RunState.SUCCEEDED), ["then"])
    assert [r.schedule for r in ledger.board().open] == ["other"]
    assert ledger.cancel("nightly") == []


def test_old_runs_are_forgotten(ledger: Ledger) -> None:
    begun = ledger.begin_run(claimed(ledger), 60.0)
    assert begun is not None
    ledger.advance(changing(due=[DueRun("nightly", 120.0)]), 60.0)
    ledger.end_run(replace(begun, state=RunState.FAILED))
    ledger.forget_runs(time.time() + 60.0)
    assert [r.due for r in ledger.runs()] == [120.0]


def test_schedulers_miss_nothing_and_double_nothing(
    url: str | None, scope: str, tmp_path: Path
) -> None:
    """A sample of `make scheduler-test`."""
    found = campaign(url, tmp_path, scope, number=20, seconds=6.0, seed=int(time.time()))
    assert not found.faults
    assert found.due


def test_without_faults_each_run_begins_once(url: str | None, scope: str, tmp_path: Path) -> None:
    found = campaign(url, tmp_path, scope, number=20, seconds=3.0, faults=False)
    assert not found.faults
    assert found.begins
    assert not found.again
