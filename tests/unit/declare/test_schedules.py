"""The sections `schedules` and `pools` of a spec."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from qanat import plugins
from qanat.declare.spec import load_project
from qanat.errors import ProblemsError
from qanat.model.pipeline import ProjectSpec
from qanat.model.schedule import Catchup, Schedule, Window
from qanat.model.trigger import After, Cron, Every


def load(folder: Path, text: str, **environ: str) -> ProjectSpec:
    spec = folder / "qanat.yml"
    spec.write_text("name: shop\n" + text)
    return load_project(
        spec, plugins.engine, plugins.table_format, plugins.observer_kind, None, environ
    )


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load(folder, text, **environ)
    return [str(problem) for problem in caught.value.problems]


def test_schedules_are_read(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
pools: {heavy: 2}
calendars:
  holidays: [2026-12-25, 2027-01-01]
schedules:
  nightly:
    cron: 0 1 * * 1-5
    timezone: Europe/Berlin
    select: [gold, +silver]
    catchup: all
    between: 22:00-05:00
    skip_dates: [holidays, 2026-12-24]
    done_by: 16:00
    max_concurrent_runs: 2
    pool: heavy
    priority: -1
    retries: 3
    retry_delay: 10 seconds
    timeout: 2 hours
  often: {every: 15 minutes}
  then: {after: nightly, select: report}
""",
    )
    assert found.pools == {"heavy": 2}
    assert found.schedules == (
        Schedule(
            "nightly",
            Cron("0 1 * * 1-5", "Europe/Berlin"),
            ("gold", "+silver"),
            "Europe/Berlin",
            Catchup.ALL,
            Window(time(22), time(5)),
            (date(2026, 12, 25), date(2027, 1, 1), date(2026, 12, 24)),
            time(16),
            2,
            "heavy",
            -1,
            3,
            10.0,
            7200.0,
        ),
        Schedule("often", Every(900.0)),
        Schedule("then", After("nightly"), ("report",)),
    )
    assert str(found.schedules[1].location) == "qanat.yml:21:3"


def test_an_environment_has_schedules_of_its_own(tmp_path: Path) -> None:
    text = "schedules: {a: {every: 1 hour}}\nenvironments: {prod: {schedules: {}}}\n"
    load(tmp_path, text)
    spec = tmp_path / "qanat.yml"
    assert not load_project(
        spec, plugins.engine, plugins.table_format, plugins.observer_kind, "prod", {}
    ).schedules


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: {cron: 61 * * * *}", "cron of schedule 'a' does not fit"),
        ("a: {cron: 0 0 30 2 *}", "cron of schedule 'a' does not fit"),
        ("a: {cron: 0 1 * * *, timezone: Europe/Berlim}", "Europe/Berlin"),
        ("a: {cron: 0 1 * * *, timezone: ../etc}", "timezone of schedule 'a' does not fit"),
        ("a: {every: 0 seconds}", "every of schedule 'a' does not fit"),
        ("a: {every: soon}", "every of schedule 'a' does not fit"),
        ("a: {every: 1 hour, cron: 0 1 * * *}", "one thing that sets it off"),
        ("a: {select: gold}", "one thing that sets it off"),
        ("a: {every: 1 hour, catchup: lasst}", "last"),
        ("a: {every: 1 hour, retrys: 3}", "retries"),
        ("a: {every: 1 hour, retries: -1}", "retries of schedule 'a' does not fit"),
        ("a: {every: 1 hour, between: 01:00}", "between of schedule 'a' does not fit"),
        ("a: {every: 1 hour, between: 01:00-25:00}", "between of schedule 'a' does not fit"),
        ("a: {every: 1 hour, done_by: 6}", "done_by of schedule 'a' does not fit"),
        ("a: {every: 1 hour, skip_dates: [2026-02-30]}", "skip_dates of schedule 'a'"),
        ("a: {every: 1 hour, skip_dates: 25 December}", "skip_dates of schedule 'a'"),
        ("a: {every: 1 hour, skip_dates: holidays}", "no calendar 'holidays'"),
        ("a: {every: 1 hour, pool: heavy}", "no pool 'heavy'"),
        ("a: {every: 1 hour, select: []}", "select of schedule 'a' does not fit"),
        ("a: {after: b}", "which is no schedule"),
        ("a: {after: c}\n  b: {after: a}\n  c: {after: b}", "a after c after b after a"),
        ("a: {after: a}", "a after a"),
        ("a: {every: 1 hour}\n  A: {every: 1 hour}", "'a' and 'A' are one name of a schedule"),
        ("a b: {every: 1 hour}", "schedule name 'a b' cannot be used"),
        ("a: often", "schedule 'a' is not a mapping"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(tmp_path: Path, text: str, wanted: str) -> None:
    (problem,) = problems(tmp_path, f"schedules:\n  {text}\n")
    assert "qanat.yml:3:" in problem or "qanat.yml:4:" in problem
    assert wanted in problem


def test_sections_are_mappings(tmp_path: Path) -> None:
    assert "schedules is not a mapping" in problems(tmp_path, "schedules: often\n")[0]
    assert "calendars is not a mapping" in problems(tmp_path, "calendars: [2026-12-25]\n")[0]
    found = problems(tmp_path, "calendars: {holidays: [25 December]}\n")
    assert "calendars.holidays does not fit" in found[0]
    days = "calendars: {holidays: [2026-12-25]}\n"
    found = problems(tmp_path, days + "schedules: {a: {every: 1 day, skip_dates: holiday}}\n")
    assert "did you mean 'holidays'?" in found[0]
    assert "pools.a does not fit" in problems(tmp_path, "pools: {a: 0}\n")[0]


def test_no_variable_overrides_a_section(tmp_path: Path) -> None:
    found = problems(tmp_path, "", QANAT__SCHEDULES="{}")
    assert "QANAT__SCHEDULES overrides no setting" in found[0]
