"""Anomalies of metrics, found while updates run, and what people say of them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.cli.program import main
from qanat.errors import AnomalyError, SelectionError
from qanat.model.event import DatasetProgress, Retried, Warned
from qanat.run import silence
from tests.acceptance.projects import Shop

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT good EXPECT (v >= 0) ON VIOLATION QUARANTINE ROW
) {properties} AS SELECT id, v FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, v BIGINT');
"""
DAYS = 16


class Daily(Shop):
    """A project that gets a file a day."""

    def declare(self, **properties: str) -> None:
        given = ", ".join(f"'qanat.{name}' = '{value}'" for name, value in properties.items())
        self.sql(SQL.format(properties=f"TBLPROPERTIES ({given})" if given else ""))

    def put(self, name: str, rows: int, nulls: int = 0, bad: int = 0) -> None:
        values = [None] * nulls + [-1] * bad + [1] * (rows - nulls - bad)
        lines = (json.dumps({"id": n, "v": v}) for n, v in enumerate(values))
        self.file(f"in/{name}.json", "".join(f"{line}\n" for line in lines))

    def days(self, shift: float = 0.0) -> None:
        """Let each update have run a day after the one before, the newest one `shift` days ago."""
        day = 86_400
        with closing(sqlite3.connect(self.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
            found = ledger.execute("SELECT update_id FROM qanat_metrics ORDER BY ended").fetchall()
            for back, (update,) in enumerate(reversed(found)):
                ended = time.time() - (back + shift) * day
                ledger.execute(
                    "UPDATE qanat_metrics SET ended = ? WHERE update_id = ?", (ended, update)
                )


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after sixteen ordinary days."""
    made = Daily(tmp_path_factory.mktemp("ordinary") / "shop")
    made.declare()
    with qanat.open(made.folder) as project:
        for day in range(DAYS):
            made.put(str(day), 1000 + 7 * (day % 3), bad=day % 4)
            project.run()
    made.days()
    return made.folder


@pytest.fixture
def daily(ordinary: Path, tmp_path: Path) -> Daily:
    shutil.copytree(ordinary, tmp_path / "shop")
    made = Daily(tmp_path / "shop")
    made.declare()
    return made


def notes(update: Any) -> Sequence[str]:
    (dataset,) = update.datasets
    return dataset.notes


def test_nothing_is_out_of_the_ordinary_on_an_ordinary_day(daily: Daily) -> None:
    with qanat.open(daily.folder) as project:
        daily.put("next", 1008, bad=2)
        assert notes(project.run()) == ()
        found = project.anomalies()
        # rows, quarantined, dropped, violations(good), nulls(id), nulls(v)
        assert (found.anomalies, found.metrics) == ((), 6)


def test_a_day_with_half_the_rows_is_told_published_and_remembered(daily: Daily) -> None:
    heard: list[str] = []

    class Ear:
        def on(self, event: Any) -> None:
            heard.extend([event.message] if isinstance(event, Warned) else [])

    with qanat.open(daily.folder) as project:
        daily.put("next", 500, bad=1)
        update = project.run(observers=[Ear()])
        (note,) = notes(update)
        assert note.startswith("anomaly: rows of bronze: 500, where ")
        assert update["bronze"].status == "updated"
        assert heard == [note]
        assert note in str(update)
        (anomaly,) = project.anomalies("BRONZE").anomalies
        assert (anomaly.metric, anomaly.value, anomaly.update) == ("rows", 500, update.id)
        assert anomaly.low > 900
        assert 1000 <= anomaly.expected <= 1015
        # It does not become the measure of the next day.
        daily.put("later", 1000, bad=1)
        assert notes(project.run()) == ()


def test_a_day_with_too_many_nulls_or_bad_rows_is_told(daily: Daily) -> None:
    daily.put("next", 1000, nulls=0, bad=200)
    with qanat.open(daily.folder) as project:
        told = notes(project.run())
        assert [n.split(" of ")[0] for n in told] == [
            "anomaly: quarantined",
            "anomaly: violations(good)",
        ]


def test_columns_are_watched_after_an_update_that_brought_no_rows(daily: Daily) -> None:
    with qanat.open(daily.folder) as project:
        daily.put("empty", 0)
        assert [n.split(" of ")[0] for n in notes(project.run())] == ["anomaly: rows"]
        assert project.anomalies().metrics == 6
        rows = '{"v": 1}\n' * 500 + '{"id": 1, "v": 1}\n' * 500
        daily.file("in/next.json", rows)
        assert [n.split(" of ")[0] for n in notes(project.run())] == ["anomaly: nulls(id)"]


def test_the_command_that_lists_them_is_named(
    daily: Daily, capsys: pytest.CaptureFixture[str]
) -> None:
    daily.put("next", 500)
    with pytest.raises(SystemExit):
        main(["run", "-C", str(daily.folder)])
    assert f"qanat anomalies list -C {daily.folder}" in capsys.readouterr().out


def test_the_command_that_marks_it_names_the_environment(
    daily: Daily, capsys: pytest.CaptureFixture[str]
) -> None:
    daily.declare(anomalies="fail")
    daily.put("next", 500)
    with pytest.raises(SystemExit) as ended:
        main(["run", "-C", str(daily.folder), "-e", "dev"])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "error[Q2008]: rows of bronze: 500, where " in told
    assert f"qanat anomalies mark -C {daily.folder} -e dev bronze expected" in told


def test_with_fail_nothing_is_published_until_somebody_says_it_was_expected(daily: Daily) -> None:
    daily.declare(anomalies="fail")
    daily.put("next", 3000)
    with qanat.open(daily.folder) as project:
        before = project.table("bronze").version
        for _ in range(2):
            (failed,) = project.run().failed
            assert isinstance(failed.error, AnomalyError)
            assert failed.error.got == "rows: 3,000"
            assert project.table("bronze").version == before
        marked = project.mark("bronze", "expected")
        assert [(a.metric, str(a.verdict)) for a in marked] == [("rows", "expected")]
        assert project.run()["bronze"].counts.written == 3000


def test_what_was_expected_belongs_to_the_history(daily: Daily) -> None:
    with qanat.open(daily.folder) as project:
        daily.put("sale", 3000)
        assert len(notes(project.run())) == 1
        project.mark("bronze", "expected", metric="rows")
        daily.put("next", 1000)
        assert notes(project.run()) == ()
        daily.put("sale again", 3000)
        assert notes(project.run()) == ()


def test_nothing_is_looked_for_where_it_is_off(daily: Daily) -> None:
    daily.declare(anomalies="off")
    daily.put("next", 1)
    with qanat.open(daily.folder) as project:
        assert notes(project.run()) == ()
        assert project.anomalies().anomalies == ()


def test_a_full_refresh_takes_all_rows_and_is_no_anomaly(daily: Daily) -> None:
    with qanat.open(daily.folder) as project:
        assert notes(project.run(full_refresh=True)) == ()
        daily.put("next", 1000)
        assert notes(project.run()) == ()
        daily.put("less", 400)
        assert len(notes(project.run())) == 1


def test_epochs_of_an_update_are_judged_together(daily: Daily) -> None:
    daily.file("transformations/all.sql", SQL.format(properties="").replace(
        "format =>", "maxFilesPerTrigger => 1, format =>"
    ))  # fmt: skip
    with qanat.open(daily.folder) as project:
        daily.put("next 1", 600)
        daily.put("next 2", 400)
        assert notes(project.run()) == ()
        daily.put("then 1", 300)
        daily.put("then 2", 300)
        (note,) = notes(project.run())
        assert note.startswith("anomaly: rows of bronze: 600, ")


def test_silence_is_told_once_and_ends_with_the_next_rows(daily: Daily) -> None:
    with qanat.open(daily.folder) as project:
        daily.put("next", 1000)
        project.run()
        daily.days()
        assert notes(project.run()) == ()
        with closing(sqlite3.connect(daily.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
            ledger.execute("UPDATE qanat_watched SET due = ?", (time.time() - 3600,))
        daily.days(shift=2)
        update = project.run()
        (note,) = notes(update)
        assert note.startswith(
            "anomaly: freshness of bronze: 48 h 0 min, where at most 47 h 0 min"
        )
        assert note in str(update)
        assert notes(project.run()) == ()
        (anomaly,) = project.anomalies().anomalies
        assert anomaly.metric == "freshness"


def test_silence_is_told_while_a_continuous_update_waits(daily: Daily) -> None:
    with closing(sqlite3.connect(daily.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE qanat_watched SET due = ?", (time.time() - 60,))
    stop, heard = threading.Event(), list[str]()

    class Ear:
        def on(self, event: Any) -> None:
            if isinstance(event, Warned):
                heard.append(event.message)
                stop.set()

    with qanat.open(daily.folder) as project:
        project.run_continuously(stop=stop, observers=[Ear()])
    assert [message.split(":")[1] for message in heard] == [" freshness of bronze"]


def continuous(daily: Daily, until: Callable[[list[str]], bool]) -> list[str]:
    """The warnings of a continuous update that is stopped once they are as they should be."""
    stop, heard = threading.Event(), list[str]()

    class Ear:
        def on(self, event: Any) -> None:
            if isinstance(event, Warned):
                heard.append(event.message)
            if isinstance(event, DatasetProgress | Warned) and until(heard):
                stop.set()

    limit = threading.Timer(60, stop.set)
    limit.daemon = True
    limit.start()
    with qanat.open(daily.folder) as project:
        project.run_continuously(stop=stop, observers=[Ear()])
    return heard


def test_an_hour_of_a_stream_with_too_few_rows_is_an_anomaly(
    daily: Daily, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SHORTEST", 0.0)
    with closing(sqlite3.connect(daily.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE qanat_metrics SET lasted = 3600")
        ledger.execute("UPDATE qanat_watched SET due = NULL")
    (note,) = continuous(daily, lambda heard: True)
    assert note.startswith("anomaly: rows of bronze: 0, where ")
    with qanat.open(daily.folder) as project:
        (anomaly,) = project.anomalies().anomalies
        assert (anomaly.metric, anomaly.value) == ("rows", 0)
        newest, *_ = project.metrics("bronze")
        assert (newest.rows, newest.epochs) == (0, 0)


def test_what_each_epoch_of_a_stream_shows_again_is_told_once(daily: Daily) -> None:
    with closing(sqlite3.connect(daily.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE qanat_metrics SET lasted = 3600")
    daily.file("transformations/all.sql", SQL.format(properties="").replace(
        "format =>", "maxFilesPerTrigger => 1, format =>"
    ))  # fmt: skip
    for number in range(3):
        daily.put(f"next {number}", 5000)
    heard = continuous(daily, lambda heard: daily.count("bronze") >= 31_000)
    assert [note.split(":")[1] for note in heard] == [" rows of bronze"]


def test_tries_that_fail_do_not_become_history(
    daily: Daily, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SHORTEST", 0.0)
    daily.declare(anomalies="fail")
    daily.put("next", 100)
    with qanat.open(daily.folder) as project:
        before = project.metrics("bronze", limit=99)
        for _ in range(3):
            assert project.run().status == "failed"
    stop = threading.Event()

    class Ear:
        def on(self, event: Any) -> None:
            if isinstance(event, Retried):
                stop.set()

    with closing(sqlite3.connect(daily.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE qanat_metrics SET lasted = 3600")
    with qanat.open(daily.folder) as project:
        daily.put("more", 20_000)
        project.run_continuously(stop=stop, observers=[Ear()])
        assert list(project.metrics("bronze", limit=99)) == list(before)


def test_rows_that_come_after_a_silence_are_told(daily: Daily) -> None:
    with closing(sqlite3.connect(daily.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE qanat_watched SET due = ?", (time.time() - 60,))

    def until(heard: list[str]) -> bool:
        if len(heard) == 1:
            daily.put("next", 1000)
        return any(note.startswith("rows come again") for note in heard)

    first, *_, last = continuous(daily, until)
    assert first.startswith("anomaly: freshness of bronze")
    assert last.startswith("rows come again")


def test_a_verdict_on_what_is_not_there_is_refused(daily: Daily) -> None:
    with qanat.open(daily.folder) as project:
        with pytest.raises(SelectionError, match="bronze has no anomaly"):
            project.mark("bronze", "expected")
        daily.put("next", 500)
        project.run()
        with pytest.raises(SelectionError, match="no anomaly of row"):
            project.mark("bronze", "expected", metric="row")
        with pytest.raises(ValueError, match="fine"):
            project.mark("bronze", "fine")
