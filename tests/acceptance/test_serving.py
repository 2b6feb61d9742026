"""Schedules: due runs in processes of their own, whatever happens to these."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.errors import ScheduleNotFoundError, SelectionError
from qanat.model.schedule import Changes, DueRun, RunState
from qanat.run.session import Session
from tests.acceptance.projects import Shop

SPEC = """\
name: shop
threads: 1
schedules:
  nightly: {cron: 0 0 1 1 *, select: a}
  then: {after: nightly, select: b}
"""
SQL = """\
CREATE MATERIALIZED VIEW a AS SELECT id FROM read_files('in/*.csv', format => 'csv',
  header => true, schema => 'id BIGINT');
CREATE MATERIALIZED VIEW b AS SELECT count(*) AS n FROM a;
"""
ENDLESS = "CREATE MATERIALIZED VIEW a AS SELECT sum(range) AS n FROM range(1000000000000);"
DUE = 1_764_000_000.0


class Served(Shop):
    """A project with schedules that are never due by the clock while a test runs."""

    def due(self, name: str = "nightly", due: float = DUE) -> None:
        """Let a run of a schedule be due."""
        with Session.open(self.folder) as session:
            session.begin_writing()
            session.ledger.advance(lambda _: Changes(known=[name], due=[DueRun(name, due)]), 60.0)

    def once(self) -> list[tuple[str, str]]:
        """Serve what is due; the runs as they ended."""
        with qanat.open(self.folder) as project:
            return [(r.schedule, r.state.value) for r in project.serve(once=True)]

    def run_of(self, name: str = "nightly", due: float = DUE) -> DueRun:
        with Session.open(self.folder) as session:
            found = session.ledger.run(name, due)
        assert found is not None
        return found

    def wait_for(self, wanted: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60.0
        while not wanted():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.05)

    def is_running(self) -> bool:
        return self.run_of().state is RunState.RUNNING

    def log(self) -> str:
        files = sorted((self.folder / "storage/_qanat/logs").glob("*/*.log"))
        return "".join(file.read_text() for file in files)


@pytest.fixture
def shop(tmp_path: Path) -> Served:
    shop = Served(tmp_path)
    shop.file("qanat.yml", SPEC)
    shop.file("in/1.csv", "id\n1\n2\n")
    shop.sql(SQL)
    return shop


@contextmanager
def serving(shop: Served) -> Any:
    """`qanat serve`, until the block ends."""
    command = [sys.executable, "-m", "qanat", "serve", "--output", "json", "-C", str(shop.folder)]
    with (
        (shop.folder / "stderr.txt").open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_what_is_due_is_run_and_what_follows_it(shop: Served) -> None:
    assert shop.once() == []  # the schedules begin to count
    shop.due()
    assert shop.once() == [("nightly", "succeeded"), ("then", "succeeded")]
    assert shop.rows("b") == [(2,)]
    assert shop.once() == []
    with qanat.open(shop.folder) as project:
        origins = [entry.update.origin for entry in project.history()]
        (nightly, then) = project.schedules()
    due = "due 2025-11-24T16:00:00Z"
    assert origins == [f"schedule then, {due}", f"schedule nightly, {due}"]
    assert nightly.last is not None
    assert nightly.next is not None
    assert then.next is None
    events = [json.loads(line)["event"] for line in shop.log().splitlines()]
    assert events.count("update_ended") == 2


def test_a_run_that_finds_nothing_new_succeeds_without_an_update(shop: Served) -> None:
    shop.run()
    shop.due()
    assert shop.once() == [("nightly", "succeeded"), ("then", "succeeded")]
    assert shop.run_of().update is None


def test_a_failure_is_tried_again_and_then_over(shop: Served) -> None:
    spec = SPEC.replace("select: a}", "select: a, retries: 1, retry_delay: 1 second}")
    shop.file("qanat.yml", spec)
    rule = "VIEW a (CONSTRAINT big EXPECT (id > 1) ON VIOLATION FAIL UPDATE) AS"
    shop.sql(SQL.replace("VIEW a AS", rule))
    shop.due()
    assert shop.once() == [("nightly", "waiting")]
    waiting = shop.run_of()
    assert waiting.attempt == 1
    assert "big" in (waiting.error or "")
    time.sleep(1.1)
    shop.once()
    assert shop.run_of().attempt == 2


def test_what_an_author_must_mend_is_not_tried_again(shop: Served) -> None:
    shop.file("qanat.yml", SPEC.replace("select: a}", "select: a, retries: 3}"))
    shop.due()
    shop.sql(SQL.replace("SELECT id FROM", "SELECT idd FROM"))
    assert shop.once() == [("nightly", "failed")]
    assert shop.run_of().attempt == 1


def test_a_run_whose_log_cannot_be_written_does_its_work(shop: Served) -> None:
    shop.due()
    (shop.folder / "storage/_qanat/logs").write_text("where a folder would be")
    told = list[tuple[str, str]]()
    with qanat.open(shop.folder) as project:
        runs = project.serve(once=True, tell=lambda each: told.append((each.kind, each.text)))
    assert [r.state.value for r in runs] == ["succeeded", "succeeded"]
    assert told[0] == ("warning", "no log of it can be written: Not a directory")


def test_a_run_ends_at_its_timeout(shop: Served) -> None:
    shop.file("qanat.yml", SPEC.replace("select: a}", "select: a, timeout: 1 second}"))
    shop.sql(ENDLESS + SQL.partition("\n")[2].partition("\n")[2])
    shop.due()
    assert shop.once() == [("nightly", "failed")]
    assert shop.run_of().error == "it took longer than 1.00 s"
    assert shop.run_of().ended is not None


def test_a_scheduler_that_stops_lets_another_one_go_on(shop: Served) -> None:
    shop.sql(ENDLESS + SQL.partition("\n")[2].partition("\n")[2])
    shop.due()
    with serving(shop) as process:
        shop.wait_for(shop.is_running)
        # To all of them, as systemd does.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        assert "stopped" in [json.loads(line)["event"] for line in process.stdout]
    run = shop.run_of()
    assert (run.state, run.attempt, run.error) == (RunState.WAITING, 0, "it was stopped")
    shop.sql(SQL)
    assert shop.once() == [("nightly", "succeeded"), ("then", "succeeded")]


def test_ctrl_c_leaves_a_run_its_time_and_pressed_again_ends_it(shop: Served) -> None:
    """A terminal sends it to the scheduler and to the runs."""
    shop.sql(ENDLESS + SQL.partition("\n")[2].partition("\n")[2])
    shop.due()
    with serving(shop) as process:
        shop.wait_for(shop.is_running)
        (lease,) = leases(shop)
        os.killpg(process.pid, signal.SIGINT)
        shop.wait_for(lambda: "Stopping" in (shop.folder / "stderr.txt").read_text())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert shop.is_running()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(10)
        shop.wait_for(lambda: not shop.is_running())
        assert shop.run_of().error == "it was stopped"
        shop.wait_for(lambda: not Path(f"/proc/{lease.pid}").exists())


def test_a_run_goes_on_if_its_scheduler_dies(shop: Served) -> None:
    shop.sql(ENDLESS + SQL.partition("\n")[2].partition("\n")[2])
    shop.due()
    with serving(shop) as process:
        shop.wait_for(shop.is_running)
        process.kill()
        process.wait()
        time.sleep(0.5)
        (lease,) = leases(shop)
        try:
            # Another scheduler finds that it is at work.
            assert shop.once() == []
            assert shop.run_of().attempt == 1
        finally:
            os.kill(lease.pid, signal.SIGKILL)
    # Its process is dead: it begins anew.
    shop.sql(SQL)
    shop.wait_for(lambda: shop.run_of().lost)
    assert ("nightly", "succeeded") in shop.once()
    assert shop.run_of().attempt == 2


def leases(shop: Served) -> Any:
    with Session.open(shop.folder) as session:
        shop.wait_for(session.ledger.held)
        return session.ledger.held()


def test_a_scheduler_takes_up_what_the_spec_says_now(shop: Served) -> None:
    shop.due("then")
    with serving(shop) as process:
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["event"] for _ in range(2)] == [
            "started",
            "succeeded",
        ]
        shop.file("qanat.yml", SPEC.replace("after: nightly", "every: 1 second"))
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [e["event"] for e in events] == ["read", "started"]
        assert events[1]["run"]["schedule"] == "then"


def test_a_run_waits_while_the_spec_is_broken(shop: Served) -> None:
    shop.due("then")
    with Session.open(shop.folder) as session, serving(shop) as process:
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["event"] for _ in range(2)] == [
            "started",
            "succeeded",
        ]
        shop.file("qanat.yml", SPEC + "schedules: [")
        # It takes the spec as it is when the run begins; only the scheduler knows the former one.
        assert json.loads(process.stdout.readline())["event"] == "warning"
        session.ledger.trigger(["nightly"])
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [e["event"] for e in events] == ["started", "retried"]
        assert "it could not begin: not YAML" in events[1]["text"]
        assert (events[1]["run"]["state"], events[1]["run"]["attempt"]) == ("waiting", 0)
        shop.file("qanat.yml", SPEC)
        seen = list[str]()
        while "succeeded" not in seen:
            seen.append(json.loads(process.stdout.readline())["event"])
        assert [run.attempt for run in session.ledger.runs("nightly")] == [1]
    assert "lost" not in seen


def test_a_schedule_is_triggered_by_hand(shop: Served) -> None:
    with qanat.open(shop.folder) as project:
        (run,) = project.trigger_schedules("NIGHTLY")
    assert run.schedule == "nightly"
    assert shop.once() == [("nightly", "succeeded"), ("then", "succeeded")]


def test_a_run_is_cancelled(shop: Served) -> None:
    shop.sql(ENDLESS + SQL.partition("\n")[2].partition("\n")[2])
    shop.due()
    with serving(shop) as process, qanat.open(shop.folder) as project:
        shop.wait_for(shop.is_running)
        (run,) = project.cancel_schedules("nightly")
        assert run.state is RunState.FAILED
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [e["event"] for e in events] == ["started", "failed"]
        assert project.history()[0].update.status == "failed"


def test_paused_schedules_wait(shop: Served) -> None:
    with qanat.open(shop.folder) as project:
        (nightly, _) = project.pause_schedules("Nightly", reason="a move")
        assert (nightly.next, nightly.reason) == (None, "a move")
    shop.due()
    assert shop.once() == []
    with qanat.open(shop.folder) as project:
        assert project.resume_schedules() == ("nightly",)
    assert ("nightly", "succeeded") in shop.once()


ALERTS = """\
observers:
  log: {kind: file, path: alerts.ndjson, events: [run_late, run_failed]}
  deaf: {kind: webhook, url: 'http://127.0.0.1:9/', events: [run_failed], wait: 1 second}
"""


def test_observers_are_told_of_runs_that_are_late_or_fail(shop: Served) -> None:
    retried = "select: a, retries: 1, retry_delay: 1 second, done_by: 00:00}"
    shop.file("qanat.yml", SPEC.replace("select: a}", retried) + ALERTS)
    shop.sql(SQL.replace("SELECT id", "SELECT no_such"))
    shop.due()
    told: list[tuple[str, str]] = []
    with qanat.open(shop.folder) as project:
        project.serve(once=True, tell=lambda each: told.append((each.kind, each.text)))
    lines = (shop.folder / "alerts.ndjson").read_text().splitlines()
    failed, late = sorted((json.loads(line) for line in lines), key=lambda each: each["type"])
    due = "2025-11-24T16:00:00Z"
    assert (late["type"], late["id"]) == ("dev.qanat.run.late", f"nightly@{due}/late/1")
    by, state = "2025-11-25T00:00:00Z", "waiting"
    assert late["data"]["facts"] == {
        "schedule": "nightly",
        "due": due,
        "done_by": by,
        "state": state,
    }
    assert late["data"]["origin"] == f"schedule nightly, due {due}"
    assert failed["type"] == "dev.qanat.run.failed"
    facts = failed["data"]["facts"]
    assert (facts["attempts"], facts["update"]) == (1, shop.run_of().update)
    assert "no_such" in facts["error"]
    warnings = [text for kind, text in told if kind == "warning"]
    assert "observer deaf: 1 event could not be delivered" in warnings


def test_the_overview_says_when_datasets_are_due(shop: Served) -> None:
    with qanat.open(shop.folder) as project:
        (nightly, _) = project.schedules()
        # `b` is updated after `a`.
        assert [each.next_due for each in project.overview()] == [nightly.next, nightly.next]
        assert "Next due" in str(project.overview())
        project.pause_schedules("nightly")
        assert [each.next_due for each in project.overview()] == [None, None]
        assert "Next due" not in str(project.overview())
    either = "  at_noon: {cron: 0 12 * * *, select: b}\n  all: {cron: 0 11 * 12 *}\n"
    shop.file("qanat.yml", SPEC + either)
    with qanat.open(shop.folder) as project:
        due = {each.schedule.name: each.next for each in project.schedules()}
        found = {each.dataset: each.next_due for each in project.overview()}
    assert found == {"a": due["all"], "b": min(due["at_noon"], due["all"])}


def test_what_is_not_there_is_told_with_the_nearest_name(shop: Served) -> None:
    with qanat.open(shop.folder) as project:
        with pytest.raises(ScheduleNotFoundError) as caught:
            project.pause_schedules("nightli")
        assert caught.value.nearest == "nightly"
        with pytest.raises(ScheduleNotFoundError) as caught:
            project.due_runs("nightli")
        assert caught.value.nearest == "nightly"
        assert project.due_runs("NIGHTLY") == ()
    shop.file("qanat.yml", SPEC.replace("select: a}", "select: aa}"))
    assert any("no dataset matches 'aa'" in problem for problem in shop.problems())
    with pytest.raises(SelectionError, match=r"no dataset matches 'aa'"):
        shop.once()
