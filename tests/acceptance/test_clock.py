"""Rules that depend on the clock, where nothing comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.model.event import DatasetEnded, DatasetStarted, Event, TableChecked
from tests.acceptance.projects import Shop

SQL = """CREATE OR REFRESH STREAMING TABLE t (
  CONSTRAINT new EXPECT {rule}
) AS SELECT * FROM STREAM read_files('in/*.csv', format => 'csv', header => true,
  schema => 'id BIGINT, seen TIMESTAMP');
CREATE OR REFRESH STREAMING TABLE below (
  CONSTRAINT newer EXPECT FRESH (seen) WITHIN INTERVAL 2 SECONDS
) AS SELECT * FROM STREAM t;
"""


class Aged(Shop):
    """A streaming table `t` of files with times, and `below`, which reads it."""

    def declare(self, rule: str) -> None:
        self.sql(SQL.format(rule=rule))

    def put(self, name: str, age: float) -> None:
        at = datetime.now(UTC) - timedelta(seconds=age)
        self.file(f"in/.{name}", f"id,seen\n1,{at:%Y-%m-%d %H:%M:%S.%f}\n")
        (self.folder / f"in/.{name}").rename(self.folder / f"in/{name}.csv")


@pytest.fixture
def shop(tmp_path: Path) -> Aged:
    return Aged(tmp_path / "shop")


class Ear:
    """Hears the events of an update."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def on(self, event: Event) -> None:
        self.heard.append(event)

    def checks(self, dataset: str) -> list[tuple[str, bool]]:
        found = (e for e in self.heard if isinstance(e, TableChecked) and e.dataset == dataset)
        return [(r.rule, r.broken) for e in found for r in e.rules]

    def of(self, kind: type[Any], dataset: str) -> list[Any]:
        return [e for e in self.heard if isinstance(e, kind) and e.dataset == dataset]


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


@contextmanager
def continuous(shop: Aged) -> Iterator[tuple[Ear, list[Any]]]:
    """A continuous update in a thread; the list has what comes of it once the block has ended."""
    stop, ear, results = threading.Event(), Ear(), list[Any]()
    with qanat.open(shop.folder) as project:

        def keep() -> None:
            results.append(project.run_continuously(stop=stop, observers=[ear]))

        thread = threading.Thread(target=keep)
        thread.start()
        try:
            yield ear, results
        finally:
            stop.set()
            thread.join()


def test_a_run_that_finds_nothing_new_says_that_rows_are_old(shop: Aged) -> None:
    shop.declare("FRESH (seen) WITHIN INTERVAL 1 HOUR")
    shop.put("1", 3590)
    with qanat.open(shop.folder) as project:
        first = project.run()
        assert {r.rule: r.broken for d in first.datasets for r in d.rules} == {
            "new": False,
            "newer": True,
        }
        assert first.datasets[0].rules[0].until is not None
    shop.declare("FRESH (seen) WITHIN INTERVAL 59 MINUTES")
    with qanat.open(shop.folder) as project:
        update = project.run()
        (new,), _ = (d.rules for d in update.datasets)
        assert (new.rule, new.violations) == ("new", 1)
        assert [d.status for d in update.datasets] == ["unchanged", "unchanged"]
        assert "t.new" in str(update)
        events = [e.event for e in project.events(update.id).events]
        (told,) = (e for e in events if isinstance(e, TableChecked) and e.dataset == "t")
        assert told.rules == (new,)


def test_a_run_without_news_fails_where_the_rule_says_so(shop: Aged) -> None:
    shop.declare("TABLE (max(seen) > now()::TIMESTAMP - INTERVAL 1 HOUR)")
    shop.put("1", 5000)
    assert shop.run()["t"].status == "updated"
    shop.declare("TABLE (max(seen) > now()::TIMESTAMP - INTERVAL 1 HOUR) ON VIOLATION FAIL UPDATE")
    with qanat.open(shop.folder) as project:
        update = project.run()
    found = {d.dataset: d for d in update.datasets}
    assert (found["t"].status, found["below"].status) == ("failed", "skipped")
    assert "nothing new has come" in found["t"].reason


def test_a_continuous_update_tells_once_that_rows_grow_old_and_when_new_ones_come(
    shop: Aged,
) -> None:
    shop.declare("FRESH (seen) WITHIN INTERVAL 3 SECONDS")
    shop.put("1", 0)
    with continuous(shop) as (ear, _):
        until(lambda: bool(ear.checks("t") and ear.checks("below")))
        time.sleep(1)
        assert ear.checks("t") == [("new", True)]
        assert ear.checks("below") == [("newer", True)]
        shop.put("2", 0)
        until(
            lambda: ("new", False) in ear.checks("t") and ("newer", False) in ear.checks("below")
        )
        until(lambda: ear.checks("t")[2:] == [("new", True)])


def test_a_continuous_update_counts_as_failing_while_rows_are_too_old(shop: Aged) -> None:
    shop.declare("FRESH (seen) WITHIN INTERVAL 3 SECONDS ON VIOLATION FAIL UPDATE")
    shop.put("1", 0)
    with continuous(shop) as (ear, results):
        until(lambda: bool(ear.of(DatasetEnded, "t")))
        started = len(ear.of(DatasetStarted, "t"))
        shop.put("2", 0)
        until(lambda: len(ear.of(DatasetStarted, "t")) > started)
        until(lambda: len(ear.of(DatasetEnded, "t")) == 2)
    (result,) = results
    assert [d.status for d in result.datasets if d.dataset == "t"] == ["failed"]
