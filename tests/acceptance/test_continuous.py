"""`qanat run --continuous`, as its users run it: processes, files, signals."""

from __future__ import annotations

import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

import qanat
from qanat.errors import SelectionError, TableNotFoundError, UpdateRunningError
from qanat.model.event import (
    DatasetEnded,
    DatasetPaused,
    DatasetProgress,
    EpochCommitted,
    Event,
    LeaseAwaited,
    ProjectRead,
    Retried,
    UpdateStarted,
    Warned,
)
from qanat.run.session import Session
from qanat.testing.postgresql import postgresql
from qanat.testing.relay import relay
from tests.acceptance.projects import Shop

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT known EXPECT (id IS NOT NULL) ON VIOLATION QUARANTINE ROW
) AS SELECT id, v FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, v BIGINT');
CREATE OR REFRESH STREAMING TABLE silver AS SELECT id, v * 2 AS w FROM STREAM bronze;
CREATE OR REFRESH MATERIALIZED VIEW gold AS SELECT count(*) AS n, sum(w) AS total FROM silver;
"""

BEGIN = """
import fcntl, os, signal, sys, termios
# What `nohup` has started, as a build may be, ignores it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "qanat", *sys.argv[1:]])
"""
LAUNCH = (sys.executable, "-c", BEGIN)
"""Starts a process of the command line, with the terminal, if it has one, as its own."""
LONG = 120.0
"""Seconds that a machine under load may need for what takes a moment."""


class Live(Shop):
    """A project that runs continuously while a test changes its files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file("qanat.yml", "name: live\nthreads: 2\n")
        self.sql(SQL)
        self.put("0", range(10))
        self.works: Callable[[], bool] = lambda: True

    def put(self, name: str, ids: range) -> None:
        """A file that appears whole."""
        text = "".join(json.dumps({"id": n, "v": n}) + "\n" for n in ids)
        hidden = self.file(f"in/.{name}", text)
        hidden.rename(hidden.with_name(f"{name}.json"))

    def ids(self, dataset: str = "silver") -> list[int]:
        """The first column of a table, sorted; empty while there is none."""
        try:
            return sorted(row[0] for row in self.rows(dataset))
        except TableNotFoundError:
            return []

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something; the test fails if it does not come, or if what runs has ended."""
        end = time.monotonic() + LONG
        while not holds():
            assert self.works(), "it has ended"
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.05)

    def has(self, ids: range, dataset: str = "silver") -> None:
        """Wait until a table has these rows, each once."""
        self.until(lambda: self.ids(dataset) == list(ids))

    def start(self, *options: str) -> subprocess.Popen[str]:
        """A process of the command line."""
        return subprocess.Popen(
            [*LAUNCH, "run", "--continuous", *options],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        )

    @contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """The same, which the block may stop; if it does not, it is killed."""
        process = self.start(*options)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path)


class Heard:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any], dataset: str | None = None) -> list[Any]:
        found = [e for e in self.events if isinstance(e, kind)]
        return [e for e in found if dataset is None or e.dataset == dataset]


@contextmanager
def kept_up_to_date(live: Live, **arguments: Any) -> Iterator[tuple[Heard, list[Any]]]:
    """A project kept up to date by another thread while the block lasts."""
    heard, stop, ended = Heard(), threading.Event(), list[Any]()

    def keep() -> None:
        with qanat.open(live.folder) as project:
            ended.append(project.run_continuously(stop=stop, observers=[heard], **arguments))

    thread = threading.Thread(target=keep)
    thread.start()
    live.works = thread.is_alive
    try:
        yield heard, ended
    finally:
        live.works = lambda: True
        stop.set()
        thread.join(LONG)
        assert not thread.is_alive()


def test_files_become_rows_as_they_come_and_sigterm_ends_it_in_order(live: Live) -> None:
    with live.running() as process:
        live.has(range(10))
        live.put("1", range(10, 30))
        live.has(range(30))
        live.put("2", range(30, 35))
        live.has(range(35))
        live.until(lambda: live.rows("gold") == [(35, sum(2 * n for n in range(35)))])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    assert "Update succeeded" in out
    assert "send the signal again" in err
    assert "silver: 1 epoch, 10 rows written" in err
    with qanat.open(live.folder) as project:
        (entry,) = project.history()
        assert (entry.update.command, str(entry.update.status)) == (
            "run --continuous",
            "succeeded",
        )
        assert len([e for e in entry.epochs if e.dataset == "silver"]) == 3
        assert project.run()["silver"].status == "unchanged"


def test_ctrl_c_stops_in_order_too(live: Live) -> None:
    with live.running() as process:
        live.has(range(10))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    assert "press Ctrl-C again" in err
    assert "Update succeeded" in out


def test_events_as_lines_of_json(live: Live) -> None:
    with live.running("--output", "json") as process:
        live.has(range(10))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=LONG)
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["event"] == "update_started"
    assert events[-1]["event"] == "update_ended"
    committed = [e for e in events if e["event"] == "epoch_committed"]
    assert {e["dataset"] for e in committed} == {"bronze", "silver", "gold"}
    assert next(e for e in committed if e["dataset"] == "silver")["counts"]["written"] == 10


def test_what_fails_is_tried_again_while_the_others_go_on(live: Live) -> None:
    live.sql(SQL + "CREATE OR REFRESH STREAMING TABLE strict (\n"
             "  CONSTRAINT low EXPECT (id < 10) ON VIOLATION FAIL UPDATE\n"
             ") AS SELECT * FROM STREAM silver;\n")  # fmt: skip
    with kept_up_to_date(live) as (heard, ended):
        live.has(range(10), "strict")
        live.put("1", range(10, 20))
        live.until(lambda: len(heard.of(Retried, "strict")) >= 2)
        assert len(heard.of(DatasetEnded, "strict")) == 1
        live.put("2", range(20, 30))
        live.has(range(30))
        live.sql(SQL + "CREATE OR REFRESH STREAMING TABLE strict (\n"
                 "  CONSTRAINT low EXPECT (id < 100) ON VIOLATION FAIL UPDATE\n"
                 ") AS SELECT * FROM STREAM silver;\n")  # fmt: skip
        live.has(range(30), "strict")
    assert ended[0].status == "succeeded"
    assert ended[0]["strict"].counts.written == 30


def test_what_fails_to_the_end_fails_the_update(live: Live) -> None:
    live.sql(SQL.replace("QUARANTINE ROW", "FAIL UPDATE").replace("id IS NOT NULL", "id < 5"))
    with kept_up_to_date(live) as (heard, ended):
        live.until(lambda: bool(heard.of(Retried, "bronze")))
        # What reads it waits for its first rows.
        assert not heard.of(Retried, "silver")
    assert ended[0].status == "failed"
    assert [d.dataset for d in ended[0].failed] == ["bronze"]


def test_changed_declarations_count_from_the_next_epoch_on(live: Live) -> None:
    with kept_up_to_date(live) as (heard, ended):
        live.has(range(10))
        live.sql(SQL + "CREATE OR REFRESH STREAMING TABLE more AS SELECT * FROM STREAM silver;")
        live.has(range(10), "more")
        live.sql(SQL + "CREATE OR REFRESH STREAMING TABLE more AS SELECT * FROM STREAM slver;")
        live.until(lambda: any("is wrong" in e.message for e in heard.of(Warned)))
        (wrong,) = (e.message for e in heard.of(Warned) if "is wrong" in e.message)
        assert "slver" in wrong
        assert "transformations/" in wrong
        assert "qanat validate" in wrong
        live.put("1", range(10, 12))
        live.has(range(12), "more")
    assert ended[0].status == "succeeded"
    assert ended[0]["silver"].counts.written == 12


def test_sighup_has_the_project_read_again(live: Live) -> None:
    with live.running() as process:
        live.has(range(10))
        process.send_signal(signal.SIGHUP)
        live.put("1", range(10, 12))
        live.has(range(12))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    assert "the project has changed and was read again" in err


def test_a_second_process_stands_by_for_the_first(live: Live) -> None:
    with live.running() as first:
        live.has(range(10))
        with live.running() as second:
            assert second.stderr is not None
            assert "waiting for" in second.stderr.readline()
            live.put("1", range(10, 20))
            live.has(range(20))
            first.kill()
            live.put("2", range(20, 30))
            live.has(range(30))
            second.send_signal(signal.SIGTERM)
            second.communicate(timeout=LONG)
            assert second.returncode == 0
    assert live.ids("bronze") == list(range(30))


def test_who_stands_by_can_be_stopped(live: Live) -> None:
    with live.running():
        live.has(range(10))
        with live.running() as second:
            assert second.stderr is not None
            waiting = second.stderr.readline()
            assert waiting.startswith("waiting for update")
            assert waiting.endswith("it runs continuously, until it is stopped\n")
            second.send_signal(signal.SIGTERM)
            second.communicate(timeout=LONG)
        assert second.returncode == 0
        live.put("1", range(10, 20))
        live.has(range(20))


def test_it_stops_in_order_though_nobody_reads_its_messages(live: Live) -> None:
    with live.running() as process:
        assert process.stderr is not None
        process.stderr.close()
        live.has(range(10))
        live.put("1", range(10, 20))
        live.has(range(20))
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0


def test_a_full_disk_below_its_messages_stops_nothing(live: Live) -> None:
    command = [sys.executable, "-m", "qanat", "run", "--continuous"]
    full = Path("/dev/full")
    for rows, options in ((20, []), (30, ["--output", "json"])):
        with (
            full.open("w") as nowhere,
            subprocess.Popen(
                [*command, *options], cwd=live.folder, stdout=nowhere, stderr=nowhere
            ) as process,
        ):
            try:
                live.put(f"{rows}", range(rows - 10, rows))
                live.has(range(rows))
                process.send_signal(signal.SIGTERM)
                process.wait(LONG)
            finally:
                process.kill()
    with qanat.open(live.folder) as project:
        assert [str(e.update.status) for e in project.history()] == ["succeeded"] * 2


def test_a_terminal_that_is_closed_stops_it(live: Live) -> None:
    terminal, inner = pty.openpty()
    command = [*LAUNCH, "run", "--continuous"]
    ends = {"stdin": inner, "stdout": inner, "stderr": inner}
    process = subprocess.Popen(command, cwd=live.folder, start_new_session=True, **ends)
    os.close(inner)
    try:
        live.has(range(10))
        os.close(terminal)
        process.wait(LONG)
    finally:
        process.kill()
        process.wait()


HELD = """
import pathlib, time
import pyarrow as pa

@dp.table
def held(bronze: pa.Table) -> pa.Table:
    folder = pathlib.Path("FOLDER")
    (folder / "computes").touch()
    while (folder / "hold").exists():
        time.sleep(0.05)
    return bronze
"""


def held(live: Live) -> None:
    """A dataset with an epoch that a crash has left open."""
    live.python(HELD.replace("FOLDER", str(live.folder)))
    live.file("hold", "")
    with live.running():
        live.until((live.folder / "computes").exists)
        live.has(range(10))
    (live.folder / "computes").unlink()


def test_what_recovery_cannot_end_does_not_hold_up_the_others(live: Live) -> None:
    held(live)
    for version in range(10):
        # Recovery removes the newest one of them, each time.
        live.file(f"storage/tables/held/_delta_log/{version:020}.json", "damaged")
    with kept_up_to_date(live) as (heard, _):
        for n in range(1, 4):
            live.until(lambda n=n: len(heard.of(Retried, "held")) >= n)  # type: ignore[misc]
            live.put(f"{n}", range(10 * n, 10 * n + 10))
            live.has(range(10 * n + 10))
    assert len(heard.of(UpdateStarted)) == 1


def test_recovery_too_is_given_up_once_patience_ends(live: Live) -> None:
    held(live)
    with kept_up_to_date(live, patience=0.5):
        live.until((live.folder / "computes").exists)
    assert live.ids("held") == []
    (live.folder / "hold").unlink()
    with kept_up_to_date(live):
        live.has(range(10), "held")


def test_part_of_the_project(live: Live) -> None:
    with kept_up_to_date(live, select="bronze") as (heard, _):
        live.has(range(10), "bronze")
        live.put("1", range(10, 20))
        live.has(range(20), "bronze")
        # The rest is nobody's: an update beside it may take that.
        with qanat.open(live.folder) as project:
            assert project.run(["silver", "gold"])["silver"].counts.written == 20
    assert {e.dataset for e in heard.of(EpochCommitted)} == {"bronze"}
    with qanat.open(live.folder) as project, pytest.raises(SelectionError):
        project.run_continuously("brnze", stop=threading.Event())


def test_tables_of_the_rest_of_the_project_are_asked_for_news(live: Live) -> None:
    live.run()
    with kept_up_to_date(live, select="silver"):
        live.put("1", range(10, 20))
        with qanat.open(live.folder) as project:
            project.run("bronze")
        live.has(range(20))


def test_an_interval_between_epochs(live: Live) -> None:
    hourly = "TBLPROPERTIES ('pipelines.trigger.interval' = '1 hour')"
    slow = SQL.replace("AS SELECT id, v * 2", f"{hourly} AS SELECT id, v * 2")
    live.sql(slow)
    with kept_up_to_date(live) as (heard, _):
        live.has(range(10))
        live.put("1", range(10, 20))
        live.has(range(20), "bronze")
        live.until(lambda: len(heard.of(EpochCommitted, "bronze")) == 2)
        time.sleep(0.5)
        assert len(heard.of(EpochCommitted, "silver")) == 1
    assert live.ids() == list(range(10))
    live.sql(slow.replace("1 hour", "an hour"))
    assert "pipelines.trigger.interval" in live.problems()[0]


def test_killed_again_and_again_it_takes_each_row_once(live: Live) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)  # noqa: S311
    rows = 10
    for n in range(1, 6):
        with live.running() as process:
            for part in range(3):
                live.put(f"{n}-{part}", range(rows, rows + 100))
                rows += 100
                time.sleep(chance.uniform(0.05, 0.4))
            time.sleep(chance.uniform(0.0, 1.0))
            process.kill()
            process.communicate()
    with kept_up_to_date(live) as (_, ended):
        live.has(range(rows))
        live.until(lambda: live.rows("gold")[0][0] == rows)
    assert ended[0].status == "succeeded", f"seed {seed}"
    assert live.ids("bronze") == list(range(rows)), f"seed {seed}"


def test_a_dataset_with_too_many_bad_rows_stands_still_until_it_is_told_to_go_on(
    live: Live,
) -> None:
    limits = "'qanat.quarantine_limit' = '50 %', 'qanat.quarantine_window' = '1 hour'"
    limited = f") TBLPROPERTIES ({limits}) AS SELECT id, v FROM"
    watched = SQL.replace(") AS SELECT id, v FROM", limited)
    live.sql(watched.replace("id IS NOT NULL", "id < 100"))
    with kept_up_to_date(live) as (heard, ended), qanat.open(live.folder) as other:
        live.has(range(10))
        live.put("1", range(100, 111))
        live.until(lambda: bool(heard.of(DatasetPaused, "bronze")))
        live.put("2", range(10, 20))
        time.sleep(0.5)
        assert live.ids("bronze") == list(range(10))
        assert other.resume() == ("bronze",)
        live.has(range(20))
    assert len(heard.of(DatasetPaused)) == 1
    assert ended[0]["bronze"].counts.quarantined == 11


def test_metrics_for_a_scraper(live: Live) -> None:
    with live.running("--metrics", "0") as process:
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("metrics: ").strip()
        live.has(range(10))

        def scraped() -> str:
            with urlopen(url) as answer:  # noqa: S310
                text: str = answer.read().decode()
            return text

        live.until(lambda: 'qanat_epochs_total{dataset="gold"} 1.0' in scraped())
        assert 'qanat_rows_total{dataset="silver",outcome="written"} 10.0' in scraped()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LONG)
    assert process.returncode == 0


def test_a_long_epoch_holds_up_nobody_when_the_project_is_read_again(live: Live) -> None:
    live.python(HELD.replace("FOLDER", str(live.folder)))
    live.file("hold", "")
    with kept_up_to_date(live) as (heard, _):
        live.has(range(10))
        live.until((live.folder / "computes").exists)
        live.sql(SQL + "CREATE OR REFRESH STREAMING TABLE more AS SELECT * FROM STREAM silver;")
        # Once it has been read again, what is new waits for the long epoch, and the rest does not.
        time.sleep(2.0)
        live.put("1", range(10, 20))
        live.has(range(20))
        assert not heard.of(ProjectRead)
        (live.folder / "hold").unlink()
        live.has(range(20), "more")
        assert len(heard.of(ProjectRead)) == 1


def test_it_ends_where_its_storage_is_removed(live: Live) -> None:
    with live.running() as process:
        live.has(range(10))
        shutil.rmtree(live.folder / "storage", ignore_errors=True)
        _, err = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert "was removed or replaced while it was in use" in err
    assert "trying again" not in err
    # Nothing was begun in its place, maybe below a disk that is not mounted.
    assert not (live.folder / "storage").exists()
    live.run()
    assert live.ids() == list(range(10))


def test_others_are_told_that_it_does_not_end_by_itself(live: Live) -> None:
    with kept_up_to_date(live):
        live.has(range(10))
        with qanat.open(live.folder) as other:
            with pytest.raises(UpdateRunningError, match="a continuous update") as refused:
                other.run()
            assert "(the same command with --wait)" in (refused.value.hint or "")
            # All that it has would have to be declared otherwise before.
            with pytest.raises(UpdateRunningError, match="a continuous update") as refused:
                other.drop("gold")
            assert "goes on until it is stopped" in (refused.value.hint or "")


def test_others_get_their_turn_between_two_epochs(live: Live) -> None:
    live.file("in/bad.json", '{"id": null, "v": 1}\n')
    with kept_up_to_date(live) as (heard, _), qanat.open(live.folder) as other:
        live.has(range(10))
        replayed = other.quarantine("bronze").replay(wait=True)
        assert [(r.examined, r.replayed) for r in replayed] == [(1, 0)]
        live.put("1", range(10, 20))
        live.has(range(20))
        live.put("2", range(20, 30))
        # What it did not know when it began: others have read the file, and it goes on after it.
        asking = Heard()
        assert other.run(wait=True, observers=[asking]).status == "succeeded"
        assert [e.endless for e in asking.of(LeaseAwaited)] == [False]
        assert other.run(full_refresh=["silver"], wait=True).status == "succeeded"
        live.put("3", range(30, 40))
        live.has(range(40))
        told = [e.message for e in heard.of(DatasetProgress, "silver")]
        assert "another update works on it" in told
    assert live.ids("bronze") == list(range(40))


def test_many_that_come_in_between_leave_each_row_once(live: Live) -> None:
    stop = threading.Event()

    def keep_running(*select: str) -> None:
        with qanat.open(live.folder) as other:
            while not stop.is_set():
                assert other.run(select, wait=True).status == "succeeded"

    others = [threading.Thread(target=keep_running, args=s) for s in (("bronze",), ("silver",))]
    with kept_up_to_date(live) as (_, ended):
        live.has(range(10))
        for other in others:
            other.start()
        for n in range(1, 12):
            live.put(str(n), range(10 * n, 10 * n + 10))
            time.sleep(0.2)
        live.has(range(120))
        stop.set()
        for other in others:
            other.join(LONG)
        live.put("last", range(120, 130))
        live.has(range(130))
    assert [result.status for result in ended] == ["succeeded"]
    assert live.ids("bronze") == list(range(130))


def test_who_dies_while_it_waits_holds_up_nobody(live: Live) -> None:
    with kept_up_to_date(live) as (heard, _), Session.open(live.folder) as other:
        live.has(range(10))
        other.ledger.request("dead", None, 2.0)
        live.until(
            lambda: any(
                e.message == "another update works on it" for e in heard.of(DatasetProgress)
            )
        )
        live.put("1", range(10, 20))
        live.has(range(20))


def test_a_pause_is_seen_though_nothing_waits(live: Live) -> None:
    with kept_up_to_date(live) as (heard, _), qanat.open(live.folder) as other:
        live.has(range(10))

        def paused() -> bool:
            return [e.paused for e in heard.of(DatasetProgress, "silver")][-1]

        other.pause("silver", reason="the sensor is being moved")
        live.until(paused)
        assert "is being moved" in heard.of(DatasetProgress, "silver")[-1].message
        other.resume("silver")
        live.until(lambda: not paused())


def test_a_file_that_is_being_written_is_left_until_it_is_old_enough(live: Live) -> None:
    live.sql(SQL.replace("format => 'ndjson',", "format => 'ndjson', minFileAge => '1 hour',"))
    path = live.folder / "in/0.json"
    with kept_up_to_date(live) as (heard, _):
        live.until(lambda: bool(heard.of(DatasetProgress, "bronze")))
        time.sleep(0.5)
        assert live.ids("bronze") == []
        an_hour_ago = time.time() - 3700
        os.utime(path, (an_hour_ago, an_hour_ago))
        live.has(range(10))


@pytest.mark.services
def test_a_ledger_that_is_gone_for_a_while(live: Live) -> None:
    with postgresql() as url:
        port = urlsplit(url).port
        assert port is not None
        with relay("127.0.0.1", port) as network:
            behind = url.replace(f":{port}/", f":{network.port}/")
            live.file("qanat.yml", f"name: live\nthreads: 2\nretries: 0\nledger: {behind}\n")
            with kept_up_to_date(live) as (heard, ended):
                live.has(range(10))
                network.cut()
                live.put("1", range(10, 20))
                live.until(lambda: any("trying again" in e.message for e in heard.of(Warned)))
                network.mend()
                live.has(range(20))
                network.cut()
                network.mend()
                live.put("2", range(20, 30))
                live.has(range(30))
                # Until then it may be waiting for its next try.
                live.until(lambda: live.ids("gold") == [30])
            assert ended[0].status == "succeeded"
    assert len(heard.of(EpochCommitted, "bronze")) == 3
