"""Due times, by the clocks of time zones, and which of them count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile

import pytest

from qanat.model.schedule import Catchup, Schedule, Window
from qanat.model.trigger import After, Cron, Every, Trigger, check_cron
from qanat.run.timetable import GRACE, caught_up, due_times, next_due


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def up_to(last: float, times: Iterator[float]) -> list[float]:
    return list(takewhile(lambda due: due <= last, times))


def shown(trigger: Trigger, after: str, number: int = 3) -> list[str]:
    found = islice(trigger.times(at(after)), number)
    return [f"{datetime.fromtimestamp(t, UTC):%m-%dT%H:%M}" for t in found]


@pytest.mark.parametrize(
    ("expression", "after", "wanted"),
    [
        # The clock goes from 02:00 to 03:00 at 01:00 UTC: what is skipped is due at 03:00, once.
        ("30 2 * * *", "2026-03-28T12:00+00:00", ["03-29T01:00", "03-30T00:30"]),
        ("0 2,3 * * *", "2026-03-28T12:00+00:00", ["03-29T01:00", "03-30T00:00", "03-30T01:00"]),
        ("*/30 * * * *", "2026-03-29T00:15+00:00", ["03-29T00:30", "03-29T01:00", "03-29T01:30"]),
        # It goes from 03:00 to 02:00 at 01:00 UTC: a time that comes twice is due once.
        ("30 2 * * *", "2026-10-24T12:00+00:00", ["10-25T00:30", "10-26T01:30"]),
        ("30 2 * * *", "2026-10-25T01:10+00:00", ["10-26T01:30"]),
        ("45 2 * * *", "2026-10-25T00:40+00:00", ["10-25T00:45", "10-26T01:45"]),
        ("*/30 * * * *", "2026-10-25T00:15+00:00", ["10-25T00:30", "10-25T01:00", "10-25T01:30"]),
    ],
)
def test_daylight_saving(expression: str, after: str, wanted: list[str]) -> None:
    assert shown(Cron(expression, "Europe/Berlin"), after, len(wanted)) == wanted


def test_due_times_only_grow_wherever_one_begins() -> None:
    """Asked again after each due time, a trigger tells the same ones."""
    trigger = Cron("7,37 0-4 * * *", "Europe/Berlin")
    for day in ("2026-03-28T20:00+00:00", "2026-10-24T20:00+00:00"):
        at_once = list(islice(trigger.times(at(day)), 30))
        moment, one_by_one = at(day), []
        for _ in range(30):
            moment = next(trigger.times(moment))
            one_by_one.append(moment)
        assert at_once == one_by_one == sorted(set(at_once))


def test_intervals_are_multiples_since_1970() -> None:
    assert list(islice(Every(420.0).times(840.0), 2)) == [1260.0, 1680.0]
    assert list(islice(Every(420.0).times(839.9), 1)) == [840.0]


def test_what_follows_another_is_never_due_by_the_clock() -> None:
    assert next_due(Schedule("a", After("b")), 0.0) is None


@pytest.mark.parametrize("expression", ["", "* * * *", "60 * * * *", "0 0 31 2 *", "a b c d e"])
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_cron(expression)


MINUTES = Schedule("a", Every(60.0))


@pytest.mark.parametrize(
    ("catchup", "cursor", "now", "wanted"),
    [
        (Catchup.LAST, 0.0, 59.0, ()),
        (Catchup.LAST, 0.0, 310.0, (300.0,)),
        (Catchup.LAST, 0.0, 1e8, (99_999_960.0,)),
        (Catchup.ALL, 0.0, 310.0, (60.0, 120.0, 180.0, 240.0, 300.0)),
        (Catchup.SKIP, 0.0, 310.0, (300.0,)),
    ],
)
def test_catching_up(catchup: Catchup, cursor: float, now: float, wanted: tuple[float]) -> None:
    times, after = caught_up(Schedule("a", Every(60.0), catchup=catchup), cursor, now)
    assert tuple(times) == wanted
    assert after >= max(wanted, default=cursor)


def test_what_is_skipped_was_late() -> None:
    daily = Schedule("a", Cron("0 1 * * *"), catchup=Catchup.SKIP)
    due = at("2026-11-30T01:00+00:00")
    assert caught_up(daily, due - 3600, due + GRACE)[0] == (due,)
    assert caught_up(daily, due - 3600, due + GRACE + 1) == ((), due + GRACE + 1)


def test_catching_up_all_takes_a_thousand_at_once_and_loses_none() -> None:
    cursor, found = 0.0, list[float]()
    every = Schedule("a", Every(1.0), catchup=Catchup.ALL)
    for _ in range(4):
        times, cursor = caught_up(every, cursor, 2500.0)
        found += times
    assert found == [float(n) for n in range(1, 2501)]


def test_windows_and_days_are_those_of_the_time_zone() -> None:
    schedule = Schedule(
        "a",
        Every(3600.0),
        timezone="Europe/Berlin",
        between=Window(time(1), time(3)),
        skip_dates=(date(2026, 12, 25),),
    )
    start = at("2026-12-24T00:30+00:00")
    found, moment = [], start
    for _ in range(3):
        moment = next_due(schedule, moment) or 0.0
        found.append(f"{datetime.fromtimestamp(moment, UTC):%dT%H}")
    assert found == ["24T01", "26T00", "26T01"]


@pytest.mark.parametrize("trigger", [Every(1.0), Every(60.0), Cron("* * * * *")], ids=str)
@pytest.mark.parametrize("catchup", Catchup)
def test_what_a_window_leaves_out_of_a_day_ends_nothing(
    trigger: Trigger, catchup: Catchup
) -> None:
    """More than a thousand minutes lie between two windows, as do all seconds of skipped days."""
    skipped = (date(2026, 12, 1), date(2026, 12, 2))
    night = Window(time(1), time(5))
    schedule = Schedule("a", trigger, between=night, skip_dates=skipped, catchup=catchup)
    opens = at("2026-12-03T01:00+00:00")
    assert next_due(schedule, at("2026-11-30T04:59:59+00:00")) == opens
    assert tuple(caught_up(schedule, at("2026-11-30T05:00+00:00"), opens)[0]) == (opens,)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"])
@pytest.mark.parametrize(
    "window", ["01:00-05:00", "22:00-02:15", "02:10-02:40", "23:30-00:00", ""]
)
def test_a_calendar_leaves_out_nothing_but_what_it_says(zone: str, window: str) -> None:
    begin, _, end = window.partition("-")
    between = Window(time.fromisoformat(begin), time.fromisoformat(end)) if window else None
    for changed in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-25", "2026-11-01"):
        skipped = (date.fromisoformat(changed) + timedelta(1),)
        for trigger in (Every(300.0), Cron("*/7 * * * *", zone), Cron("20 1,2 * * *", zone)):
            schedule = Schedule("a", trigger, timezone=zone, between=between, skip_dates=skipped)
            after = at(f"{changed}T00:00+00:00") - 86_400.0
            days = after + 3 * 86_400.0
            wanted = [due for due in up_to(days, trigger.times(after)) if schedule.allows(due)]
            assert up_to(days, due_times(schedule, after)) == wanted


def test_what_its_calendar_always_leaves_out_is_never_due() -> None:
    night = Window(time(1), time(5))
    for trigger in (Cron("0 12 * * *"), Cron("0 12 29 2 *"), Every(86_400.0), Every(1e9)):
        assert next_due(Schedule("a", trigger, between=night), 0.0) in (None, 1e9)


def test_a_deadline_is_the_next_one_after_the_due_time() -> None:
    schedule = Schedule("a", Every(60.0), timezone="Europe/Berlin", done_by=time(6))
    assert schedule.deadline(at("2026-11-30T01:00+01:00")) == at("2026-11-30T06:00+01:00")
    assert schedule.deadline(at("2026-11-30T06:00+01:00")) == at("2026-12-01T06:00+01:00")
    assert schedule.deadline(at("2026-03-28T23:00+01:00")) == at("2026-03-29T06:00+02:00")
