"""Which metrics are out of the ordinary: on made-up histories whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from qanat.model.anomaly import BUDGET, FRESHNESS, REPEAT, ROWS, Anomaly, Verdict
from qanat.model.metrics import Metrics, Volume
from qanat.model.staged import ColumnMetrics, Counts
from qanat.quality.anomalies import Baseline, baseline
from qanat.quality.forecast import forecast, season
from qanat.quality.limits import Count, Share, margin, norm

DAY = 86_400.0
METRICS = 20


def entry(day: int, rows: int, nulls: int = 0, quarantined: int = 0) -> Metrics:
    counts = Counts(out=rows, written=rows - quarantined, quarantined=quarantined)
    columns = {"amount": ColumnMetrics(rows, nulls)} if rows else {}
    ended = day * DAY
    return Metrics("f", "silver", f"u{day}", ended - 1, ended, 1, counts, (), 0, columns)


def known(entries: Sequence[Metrics], anomalies: Sequence[Anomaly] = ()) -> Baseline:
    volumes = [
        Volume("u-1", -3 * DAY, 10**9),
        *(Volume(e.update, e.ended, e.rows) for e in entries),
    ]
    return baseline(volumes, entries, anomalies, METRICS)


def alarms(before: Baseline, found: Metrics, complete: bool = True) -> list[str]:
    return [a.metric for a in before.judge(found, complete)]


def noisy(days: int, seed: int = 1) -> list[Metrics]:
    chance = random.Random(seed)  # noqa: S311
    return [
        entry(d, round(chance.gauss(10_000, 300)), chance.randint(80, 120)) for d in range(days)
    ]


def test_nothing_is_said_while_the_history_is_short() -> None:
    assert known(noisy(9)).norms == {}
    assert alarms(known(noisy(9)), entry(9, 0)) == []
    assert alarms(known(noisy(20)), entry(20, 0)) == [ROWS]


def test_an_ordinary_update_raises_no_alarm() -> None:
    before = known(noisy(60))
    for day in noisy(160)[60:]:
        assert alarms(before, day) == []


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5, 0.7, 1.5, 2.0, 10.0])
def test_other_amounts_of_rows_are_found(factor: float) -> None:
    rows = round(10_000 * factor)
    assert alarms(known(noisy(60)), entry(60, rows, rows // 100)) == [ROWS]


def test_a_jump_of_nulls_or_of_quarantined_rows_is_found() -> None:
    before = known(noisy(60))
    assert alarms(before, entry(60, 10_000, 250)) == ["nulls(amount)"]
    assert alarms(before, entry(60, 10_000, 100, quarantined=50)) == ["quarantined"]
    assert alarms(before, entry(60, 10_000, 100, quarantined=3)) == []  # worth nobody's time


def test_few_rows_may_vary_by_chance() -> None:
    chance = random.Random(3)  # noqa: S311
    few = [entry(d, chance.randint(6, 14), chance.randint(0, 1)) for d in range(60)]
    before = known(few)
    assert alarms(before, entry(60, 17, 2)) == []
    assert alarms(before, entry(60, 10, 10)) == ["nulls(amount)"]


def test_too_little_is_too_early_to_tell_before_the_last_epoch() -> None:
    before = known(noisy(60))
    assert alarms(before, entry(60, 500, 5), complete=False) == []
    assert alarms(before, entry(60, 50_000, 500), complete=False) == [ROWS]


def test_the_weekend_is_a_season() -> None:
    weeks = [entry(d, 1000 + d % 3 if d % 7 < 5 else 100 + d % 2) for d in range(70)]
    before = known(weeks)
    assert before.norms[ROWS].forecast.period == 7
    assert alarms(before, entry(70, 1001)) == []
    assert alarms(before, entry(70, 100)) == [ROWS]
    assert alarms(known(weeks[:68]), entry(68, 101)) == []


def test_the_first_update_of_a_generation_counts_for_nothing() -> None:
    entries = noisy(60)
    volumes = [Volume(e.update, e.ended, e.rows, e.ended > 40 * DAY) for e in entries]
    volumes[41] = replace(volumes[41], rows=10**7)
    before = baseline(volumes, entries, (), METRICS)
    assert before.norms[ROWS].limits(0).high < 20_000


def hourly(hours: int, each: int = 1000, gap: float = 30.0) -> tuple[list[Volume], list[Metrics]]:
    """Hours of a stream; nothing comes in every sixth one."""
    entries = [
        replace(entry(n, 0 if n % 6 == 5 else each + 10 * (n % 3)), started=n * DAY - 40, gap=gap)
        for n in range(hours)
    ]
    entries = [replace(e, epochs=9 if e.rows else 0) for e in entries]
    volumes = [Volume(e.update, e.ended, e.rows, 0, 3600.0) for e in entries]
    return [Volume("u-1", -DAY, 10**6, 0, 3600.0), *volumes], entries


def test_hours_of_a_stream_are_compared_with_hours_of_a_stream() -> None:
    volumes, entries = hourly(60)
    stream = baseline(volumes, entries, (), METRICS, goes_on=True)
    found = entry(60, 0)
    assert [a.metric for a in stream.judge_rows(found, 400.0)] == [ROWS]
    assert list(stream.judge_rows(found, 1010.0)) == []
    assert list(baseline(volumes, entries, (), METRICS).judge_rows(found, 400.0)) == []
    # Of a shorter one, the rows of an hour count; of a very short one, nobody knows.
    short = [replace(v, rows=v.rows // 2, lasted=1800.0) for v in volumes]
    halved = baseline(short, entries, (), METRICS, goes_on=True)
    assert list(halved.judge_rows(found, 1010.0)) == []
    assert [a.metric for a in halved.judge_rows(found, 400.0)] == [ROWS]
    few = [replace(v, lasted=0.0) for v in volumes]
    assert list(baseline(few, entries, (), METRICS, goes_on=True).judge_rows(found, 4.0)) == []


def test_a_stream_is_late_once_nothing_came_for_longer_than_in_the_hours_before() -> None:
    chance = random.Random(5)  # noqa: S311
    entries = [
        replace(entry(n, 1000), started=(n - 1) * DAY + 20, epochs=9, gap=chance.uniform(20, 40))
        for n in range(60)
    ]
    volumes = [Volume(e.update, e.ended, e.rows, 0, 3600.0) for e in entries]
    due = baseline(volumes, entries, (), METRICS, goes_on=True).due(0.0)
    assert due is not None
    assert 40 < due < 120


def alarm(
    of: Metrics, value: float, verdict: Verdict | None = None, metric: str = ROWS
) -> Anomaly:
    low, high = 9_000.0, 11_000.0
    at = (of.update, of.ended, value, 10_000.0, low, high, verdict)
    return Anomaly(of.dataset, of.flow, metric, *at)


def test_a_confirmed_anomaly_stays_out_of_the_history_and_an_expected_one_does_not() -> None:
    days = noisy(60)
    days[50] = entry(50, 50_000, 500)
    limits = {
        verdict: known(days, [alarm(days[50], 50_000, verdict)]).norms[ROWS].limits(0)
        for verdict in (None, Verdict.ANOMALY, Verdict.EXPECTED)
    }
    assert not limits[None].allow(50_000)
    assert not limits[Verdict.ANOMALY].allow(50_000)
    expected = limits[Verdict.EXPECTED]
    # Values like that may come again; all between is as far out of the ordinary as before.
    assert expected.allow(50_000)
    assert expected.allow(49_000)
    assert not expected.allow(25_000)
    assert limits[None].high == expected.high < 15_000


def test_a_new_level_has_limits_as_narrow_as_the_old_one() -> None:
    days = [*noisy(60), *(entry(d, 30_000 + 300 * (d % 3), 300) for d in range(60, 80))]
    new = known(days, [alarm(d, d.rows) for d in days[60:63]])
    for factor in (0.7, 1.4):
        assert alarms(new, entry(80, round(30_000 * factor), round(300 * factor))) == [ROWS]
    assert alarms(new, entry(80, 30_500, 300)) == []
    assert alarms(new, entry(80, 10_000, 100)) == [ROWS]


def test_a_burst_that_was_taken_for_a_new_level_may_end() -> None:
    days = [*noisy(60), *(entry(d, 30_000, 300) for d in range(60, 64))]
    after = known(days, [alarm(d, d.rows) for d in days[60:63]])
    assert alarms(after, entry(64, 10_000, 100)) == []
    assert alarms(after, entry(64, 20_000, 200)) == [ROWS]


def test_what_goes_on_is_how_it_is_from_now_on() -> None:
    days = [*noisy(60), *(entry(d, 30_000 + d, 300) for d in range(60, 63))]
    two = known(days[:62], [alarm(d, d.rows) for d in days[60:62]])
    assert alarms(two, entry(62, 30_000, 300)) == [ROWS]
    three = known(days, [alarm(d, d.rows) for d in days[60:]])
    assert alarms(three, entry(63, 30_000, 300)) == []
    confirmed = known(days, [alarm(d, d.rows, Verdict.ANOMALY) for d in days[60:]])
    assert alarms(confirmed, entry(63, 30_000, 300)) == [ROWS]


def test_a_value_that_failed_and_was_expected_passes_once() -> None:
    failed = alarm(entry(60, 50_000), 50_000, Verdict.EXPECTED)
    again = entry(61, 50_500, 505)
    assert alarms(known(noisy(60), [failed]), again) == []
    later = known(noisy(62), [failed])
    assert alarms(later, entry(62, 50_500, 505)) == [ROWS]


def test_the_next_rows_are_due_when_the_gaps_say() -> None:
    days = noisy(60)
    due = known(days).due(days[-1].ended)
    assert due is not None
    assert 1.0 < (due - days[-1].ended) / DAY < 1.2
    assert known(noisy(8)).due(8 * DAY) is None


def test_workdays_leave_a_gap_at_the_weekend() -> None:
    days = [entry(d, 1000) for d in range(84) if d % 7 < 5]
    before = known(days)
    friday = days[-1].ended
    due = before.due(friday)
    assert due is not None
    assert 3.0 < (due - friday) / DAY < 3.3
    late = alarm(days[-1], 5 * DAY, None, FRESHNESS)
    assert known(days, [late]).due(friday) is not None


def test_the_budget_holds_over_all_metrics() -> None:
    """Of updates with nothing wrong, about one in fifty has a false alarm."""
    chance = random.Random(7)  # noqa: S311
    tried = alarmed = 0
    for _ in range(40):
        points = [(round(chance.gauss(10_000, 500)), 0) for _ in range(160)]
        for place in range(120, 160):
            found = norm(points[:place], Count(), BUDGET)
            assert found is not None
            tried += 1
            alarmed += not found.limits(0).allow(points[place][0])
    assert alarmed / tried < 2 * BUDGET


def test_a_wider_tail_makes_wider_margins() -> None:
    even, burst = [1.0] * 50, [*[1.0] * 49, 20.0]
    assert margin(even, 0.001) == 1.0
    assert margin(burst, 0.001) > 10.0


def test_points_that_are_missing_keep_seasons_in_step() -> None:
    week = [10.0, 11.0, 10.0, 11.0, 10.0, 2.0, 1.0]
    points = [None if n == 30 else p for n, p in enumerate(week * 8)]
    assert season(points) == 7
    found = forecast(points)
    assert found is not None
    assert 30 not in found.earlier
    assert forecast([None] * 30) is None


def test_a_share_of_few_rows_is_drawn_to_the_usual_one() -> None:
    scale = Share.among([(10, 1000)] * 5)
    usual = scale.of(10, 1000)
    assert abs(scale.of(0, 3) - usual) < abs(scale.of(0, 3000) - usual)
    for part, whole in ((0, 3), (1, 1), (10, 1000), (999, 1000)):
        assert scale.back(scale.of(part, whole), whole) == pytest.approx(part / whole, abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_shares_that_never_vary_have_limits(share: float) -> None:
    part = round(1000 * share)
    found = norm([(part, 1000)] * 40, Share.among([(part, 1000)] * 40), 0.001)
    assert found is not None
    limits = found.limits(1000)
    assert limits.allow(share)
    assert not limits.allow(abs(share - 0.1))


def changing(days: int) -> list[Metrics]:
    """Days whose columns have other bounds each time."""
    chance, made = random.Random(3), list[Metrics]()  # noqa: S311
    for day in noisy(days):
        columns = {
            "id": ColumnMetrics(9, 0, len(made) * 1000, len(made) * 1000 + 999),
            "amount": ColumnMetrics(9, 0, chance.random(), 100 + chance.random()),
        }
        made.append(replace(day, columns=columns))
    return made


def test_the_rows_of_the_update_before_once_more_are_an_anomaly() -> None:
    days = changing(40)
    again = replace(days[-1], update="again", ended=40 * DAY)
    assert alarms(known(days), again) == [REPEAT]
    assert alarms(known(days), again, complete=False) == []
    for day in changing(60)[40:]:
        assert REPEAT not in alarms(known(days), day)
    # Where rows do not always change, nothing is known of it.
    twice = replace(again, update="b", ended=41 * DAY)
    assert alarms(known([*days, again]), twice) == []
    told = Anomaly("silver", "f", REPEAT, "again", 40 * DAY, 1.0, 0.0, 0.0, 0.0)
    assert alarms(known([*days, again], [told]), twice) == [REPEAT]
    expected = replace(told, verdict=Verdict.EXPECTED)
    assert alarms(known([*days, again], [expected]), twice) == []
