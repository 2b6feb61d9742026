"""What a scheduler makes of a board."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from typing import Any

from qanat.model.name import Named
from qanat.model.schedule import (
    Board,
    Catchup,
    Changes,
    DueRun,
    RunState,
    Schedule,
    ScheduleRecord,
    Window,
)
from qanat.model.trigger import After, Every
from qanat.run.scheduling import CRASHES, Scheduling, after_failure

NOW = 100_000.0 * 60
A = Schedule("a", Every(60.0))


def board(*open_: DueRun, now: float = NOW, **records: ScheduleRecord) -> Board:
    known = {n: ScheduleRecord(n, now) for n in "abc"} | records
    return Board(now, Named(known.items()), open_)


def decide(found: Board, *schedules: Schedule, slots: int = 9, **pools: int) -> Changes:
    return Scheduling(schedules, pools).decide(found, slots)


def run(schedule: str = "a", due: float = NOW - 60, **values: Any) -> DueRun:
    return DueRun(schedule, due, **values)


def names(runs: Any) -> list[tuple[str, float]]:
    return [(r.schedule, r.due) for r in runs]


def test_a_schedule_that_is_new_is_noted_and_not_yet_due() -> None:
    changes = decide(Board(NOW, Named(), ()), A)
    assert (changes.known, changes.due, changes.starts) == (["a"], [], [])


def test_what_is_due_starts_in_the_same_step() -> None:
    changes = decide(board(a=ScheduleRecord("a", NOW - 90)), A)
    assert names(changes.due) == names(changes.starts) == [("a", NOW)]
    assert changes.cursors == {"a": NOW}


def test_nothing_is_due_is_no_change() -> None:
    assert not decide(board(), A)


def test_a_clock_that_went_back_makes_nothing_due() -> None:
    assert not decide(board(a=ScheduleRecord("a", NOW + 30)), A)


def test_a_clock_that_was_far_ahead_stops_no_schedule() -> None:
    """Its runs would wait until the clock is there again, which may take years."""
    changes = decide(board(a=ScheduleRecord("a", NOW + 1e8)), A)
    assert (changes.cursors, changes.due) == ({"a": NOW}, [])


def test_a_paused_schedule_stands_still_and_catches_up() -> None:
    paused = ScheduleRecord("a", NOW - 300, paused=NOW - 200)
    assert not decide(board(run(), a=paused), A)
    all_ = replace(A, catchup=Catchup.ALL)
    assert len(decide(board(a=replace(paused, paused=None)), all_).due) == 5


def test_runs_of_one_schedule_do_not_overlap_unless_they_may() -> None:
    working = run(due=NOW - 120, state=RunState.RUNNING, started=NOW - 100)
    assert decide(board(working, run()), A).starts == []
    assert len(decide(board(working, run()), replace(A, max_concurrent_runs=2)).starts) == 1


def test_a_newer_run_takes_the_place_of_one_that_has_not_begun() -> None:
    working = run(due=NOW - 180, state=RunState.RUNNING, started=NOW - 100)
    found = board(working, run(due=NOW - 120), run(due=NOW - 60))
    assert names(decide(found, A).ended) == [("a", NOW - 120)]
    assert decide(found, replace(A, catchup=Catchup.ALL)).ended == ()
    # One that is to be tried again has begun.
    retried = replace(found.open[1], attempt=1, not_before=NOW + 5)
    assert decide(replace(found, open=[working, retried, found.open[2]]), A).ended == ()


def test_pools_are_shared_and_priorities_go_first() -> None:
    schedules = [
        Schedule(n, Every(60.0), pool="heavy", priority=p)
        for n, p in zip("abc", (0, 5, 1), strict=True)
    ]
    waiting = [run("a", NOW - 300), run("b"), run("c")]
    changes = decide(board(*waiting), *schedules, heavy=2)
    assert [r.schedule for r in changes.starts] == ["b", "c"]
    working = replace(waiting[1], state=RunState.STARTING)
    assert names(decide(board(waiting[0], working), *schedules, heavy=1).starts) == []
    assert len(decide(board(*waiting), *schedules, heavy=3, slots=1).starts) == 1


def test_the_oldest_starts_first() -> None:
    changes = decide(board(run("b"), run("a", NOW - 300)), A, replace(A, name="b"), slots=1)
    assert names(changes.starts) == [("a", NOW - 300)]


def test_runs_start_in_their_window() -> None:
    closed = replace(A, between=Window(time(1), time(2)), trigger=After("b"))
    opened = replace(closed, between=Window(time(10), time(11)))
    assert NOW % 86_400 == 10 * 3600 + 40 * 60
    assert decide(board(run()), closed).starts == []
    assert len(decide(board(run()), opened).starts) == 1


def test_a_retry_waits_for_its_time() -> None:
    waiting = run(attempt=1, not_before=NOW + 1)
    assert decide(board(waiting), A).starts == []
    assert Scheduling([A], {}).wakes(board(waiting)) == NOW + 1
    assert Scheduling([A], {}).wakes(board()) == NOW + 60


def test_a_lost_claim_is_taken_over_and_a_lost_run_begins_again() -> None:
    for state, attempt in ((RunState.STARTING, 0), (RunState.RUNNING, CRASHES)):
        lost = run(state=state, attempt=attempt, lost=True)
        changes = decide(board(lost), A)
        assert names(changes.waiting) == names(changes.starts) == [("a", NOW - 60)]
    changes = decide(board(replace(lost, attempt=CRASHES + 1)), A)
    assert changes.waiting == changes.starts == []
    assert [(r.state, r.error) for r in changes.ended] == [
        (RunState.FAILED, "its process was lost 4 times")
    ]


def test_what_is_no_longer_declared_is_skipped() -> None:
    (gone,) = decide(board(run("c")), A).ended
    assert (gone.state, gone.error) == (RunState.SKIPPED, "it is no longer declared")


def test_alerts_come_before_a_deadline_is_missed_and_once() -> None:
    midday = replace(A, done_by=time(11))  # in twenty minutes
    quick, slow = ScheduleRecord("a", NOW, typical=60.0), ScheduleRecord("a", NOW, typical=1300.0)
    assert decide(board(run(), a=quick), midday).alerts == []
    assert names(decide(board(run(), a=slow), midday).alerts) == [("a", NOW - 60)]
    assert decide(board(run(alerted=NOW), a=slow), midday).alerts == []
    late = run(due=NOW - 86_400, state=RunState.RUNNING, started=NOW - 86_000)
    assert len(decide(board(late, a=quick), midday).alerts) == 1


def test_retries_back_off_with_jitter_up_to_an_hour() -> None:
    schedule = replace(A, retries=20, retry_delay=60.0)
    for attempt, longest in ((1, 60.0), (2, 120.0), (20, 3600.0)):
        again = after_failure(schedule, run(attempt=attempt), "it rained", may_succeed=True)
        assert again.state is RunState.WAITING
        assert longest / 2 <= again.not_before <= longest
    for attempt, may_succeed in ((21, True), (1, False)):
        ended = after_failure(schedule, run(attempt=attempt), "it rained", may_succeed)
        assert (ended.state, ended.error) == (RunState.FAILED, "it rained")
