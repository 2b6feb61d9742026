"""Datasets that stand still: because somebody says so, or because too many rows are bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.errors import DatasetNotFoundError
from qanat.model.event import DatasetPaused
from tests.acceptance.projects import Shop

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT good EXPECT (v > 0) ON VIOLATION QUARANTINE ROW
) {properties} AS SELECT id, v FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, v BIGINT');
CREATE OR REFRESH STREAMING TABLE silver AS SELECT id FROM STREAM bronze;
"""
WATCHED = SQL.format(
    properties="TBLPROPERTIES ('qanat.quarantine_limit' = '20 %',"
    " 'qanat.quarantine_window' = '10 minutes')"
)


class Watched(Shop):
    """A project with files of good and bad rows."""

    def put(self, name: str, good: int, bad: int = 0) -> None:
        rows = [{"id": n, "v": 1} for n in range(good)] + [{"id": n, "v": 0} for n in range(bad)]
        self.file(f"in/{name}.json", "".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    shop = Watched(tmp_path)
    shop.sql(SQL.format(properties=""))
    shop.put("0", good=10)
    return shop


class Heard:
    """An observer that remembers why datasets were paused."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def on(self, event: Any) -> None:
        if isinstance(event, DatasetPaused):
            self.reasons.append(event.reason)


def test_no_update_works_on_a_paused_dataset(watched: Watched) -> None:
    with qanat.open(watched.folder) as project:
        assert project.pause() == ()
        project.run()
        (pause,) = project.pause("BRONZE", reason="the sensor is being mended")
        assert (pause.dataset, pause.reason) == ("bronze", "the sensor is being mended")
        watched.put("1", good=5)
        (planned, _) = project.plan().datasets
        assert (str(planned.step), planned.consequence) == ("skip", "qanat resume bronze")
        assert planned.reason.endswith("UTC: the sensor is being mended")
        update = project.run()
        assert [(d.status, d.paused) for d in update.datasets] == [
            ("unchanged", True),
            ("unchanged", False),
        ]
        assert "bronze: paused since" in str(update)
    with qanat.open(watched.folder) as project:
        assert project.run()["bronze"].paused
        assert project.resume() == ("bronze",)
        assert project.resume("bronze") == ()
        assert project.run()["bronze"].counts.written == 5
    assert watched.count("silver") == 15


def test_what_reads_it_goes_on_and_a_full_refresh_computes_it(watched: Watched) -> None:
    watched.run()
    with qanat.open(watched.folder) as project:
        project.pause("silver")
        watched.put("1", good=5)
        update = project.run()
        assert update["bronze"].counts.written == 5
        assert update["silver"].paused
        assert project.run(full_refresh="silver")["silver"].counts.written == 15
        watched.put("2", good=5)
        assert project.run()["silver"].paused
        assert project.resume("silver") == ("silver",)
    assert watched.run()["silver"].counts.written == 5


def test_names_that_cannot_be_paused(watched: Watched) -> None:
    with qanat.open(watched.folder) as project:
        assert project.resume() == ()
        with pytest.raises(DatasetNotFoundError, match="brnze is not declared") as caught:
            project.pause("brnze")
        assert caught.value.nearest == "bronze"
        with pytest.raises(DatasetNotFoundError):
            project.pause("bronze", "brnze")
        assert project.pause() == ()


def test_too_many_bad_rows_of_the_last_minutes(watched: Watched) -> None:
    watched.sql(WATCHED)
    heard = Heard()
    with qanat.open(watched.folder) as project:
        # 10 good ones; 2 of 12 are 17 %: each file is an epoch of its own.
        project.run(observers=[heard])
        watched.put("1", good=0, bad=2)
        assert project.run(observers=[heard])["bronze"].counts.quarantined == 2
        assert not heard.reasons
    with qanat.open(watched.folder) as project:
        # What came in an earlier process counts: 4 of 14 are 29 %.
        watched.put("2", good=0, bad=2)
        assert project.run(observers=[heard])["bronze"].counts.quarantined == 2
        (reason,) = heard.reasons
        assert reason == (
            "4 of the 14 rows of the last 10 minutes went to quarantine, and 20 % may"
        )
        watched.put("3", good=100)
        assert project.run()["bronze"].paused
        assert len(project.quarantine("bronze")) == 4
        # Told to go on, it counts anew: 1 of 6 is less than a fifth.
        project.resume("bronze")
        project.run(observers=[heard])
        watched.put("4", good=0, bad=10)
        project.run(observers=[heard])
        assert len(heard.reasons) == 1
        watched.put("5", good=0, bad=100)
        project.run(observers=[heard])
        assert heard.reasons[1].startswith("110 of the 210 rows")
    assert watched.count("bronze") == 110


def test_a_replay_pauses_nothing(watched: Watched) -> None:
    watched.sql(WATCHED.replace("20 %", "50 %"))
    watched.put("1", good=0, bad=5)
    with qanat.open(watched.folder) as project:
        project.run()
        watched.sql(WATCHED.replace("20 %", "50 %").replace("v > 0", "v >= 0"))
        project.replay("bronze")
        assert project.pause() == ()
        assert len(project.table("bronze")) == 15


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("ten minutes", "a duration, as in 10 minutes"), ("10 minuets", "a duration")],
)
def test_a_window_that_is_none(watched: Watched, text: str, wanted: str) -> None:
    watched.sql(WATCHED.replace("10 minutes", text))
    assert wanted in watched.problems()[0]
    watched.sql(WATCHED)
    watched.file("qanat.yml", f"name: shop\nconfiguration:\n  qanat.quarantine_window: {text}\n")
    with pytest.raises(qanat.errors.QanatError, match="quarantine_window"):
        qanat.open(watched.folder)


def test_a_renamed_dataset_stays_paused_and_a_dropped_one_does_not(watched: Watched) -> None:
    watched.run()
    with qanat.open(watched.folder) as project:
        project.pause("silver", reason="why")
        watched.sql(SQL.format(properties="").replace("silver", "gold"))
        project.rename("silver", "gold")
        assert [(p.dataset, p.reason) for p in project.pause()] == [("gold", "why")]
        watched.sql(SQL.format(properties="").partition("CREATE OR REFRESH STREAMING TABLE s")[0])
        project.drop("gold")
        assert project.pause() == ()
