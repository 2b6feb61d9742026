"""Tolerances of checks over the rows of the last minutes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.errors import ExpectationFailedError
from qanat.model.event import DatasetPaused, EpochCommitted, Warned
from qanat.run.windows import Window
from tests.acceptance.projects import Shop

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT good EXPECT (v > 0) TOLERATE 20 % {action}
) TBLPROPERTIES ('qanat.tolerance_window' = '10 minutes')
AS SELECT id, v FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, v BIGINT');
"""


class Heard:
    """An observer that remembers what a stream tells."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.paused: list[str] = []
        self.windows: list[tuple[int, int, bool]] = []

    def on(self, event: Any) -> None:
        if isinstance(event, Warned):
            self.told.append(event.message)
        if isinstance(event, DatasetPaused):
            self.paused.append(event.reason)
        if isinstance(event, EpochCommitted):
            self.windows += [(w.violations, w.rows, w.beyond) for w in event.windows]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def put(shop: Shop, name: str, good: int, bad: int = 0) -> None:
    rows = [{"id": n, "v": 1} for n in range(good)] + [{"id": n, "v": 0} for n in range(bad)]
    shop.file(f"in/{name}.json", "".join(json.dumps(row) + "\n" for row in rows))


def run(shop: Shop, heard: Heard, name: str, good: int, bad: int = 0) -> Any:
    put(shop, name, good, bad)
    # Each in a session of its own: what came before, the ledger tells.
    with qanat.open(shop.folder) as project:
        return project.run(observers=[heard])


def test_a_warning_is_told_once_it_begins_and_not_for_each_epoch(shop: Shop) -> None:
    shop.sql(SQL.format(action=""))
    heard = Heard()
    for name, good, bad in (("0", 10, 0), ("1", 1, 2), ("2", 1, 2)):
        run(shop, heard, name, good, bad)
    assert heard.windows == [(0, 10, False), (2, 13, False), (4, 16, True)]
    told = [t for t in heard.told if "violate good" in t]
    assert told == ["4 of the 16 rows of the last 600 seconds violate good (at most 20 % may)"]


def test_rules_tell_the_tolerance_that_their_author_gave_them(shop: Shop) -> None:
    shop.sql(SQL.format(action=""))
    [rule] = run(shop, Heard(), "0", 10, 1)["bronze"].rules
    assert rule.tolerance == "20 %"


def test_a_fail_stops_what_is_too_much_for_the_window_and_nothing_before(shop: Shop) -> None:
    shop.sql(SQL.format(action="ON VIOLATION FAIL UPDATE"))
    heard = Heard()
    run(shop, heard, "0", 10)
    assert run(shop, heard, "1", 1, 2)["bronze"].counts.written == 3
    failed = run(shop, heard, "2", 1, 4)
    assert isinstance(failed["bronze"].error, ExpectationFailedError)
    assert shop.count("bronze") == 13


def test_a_quarantine_pauses_the_dataset_beyond_the_window(shop: Shop) -> None:
    shop.sql(SQL.format(action="ON VIOLATION QUARANTINE ROW"))
    heard = Heard()
    run(shop, heard, "0", 10)
    run(shop, heard, "1", 1, 2)
    assert heard.paused == []
    run(shop, heard, "2", 1, 4)
    assert heard.paused == [
        "6 of the 18 rows of the last 600 seconds violate good (at most 20 % may)"
    ]
    assert run(shop, heard, "3", 5)["bronze"].paused


def test_a_window_takes_the_same_space_however_many_epochs_come() -> None:
    window = Window(60.0)
    for n in range(100_000):
        window.add(1000.0 + n / 100, 1, 2)
    assert len(window._parts) <= 258
    bad, rows = window.totals(1999.99)
    assert 5_970 <= bad <= 6_050
    assert rows == 2 * bad
    window.add(100.0, 5, 5)  # the clock was set back
    assert window.totals(5000.0) == (0, 0)
