"""What the scenarios of flows with a state come to undisturbed, as a query over all rows gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

import qanat
from tests.crash import keeping
from tests.crash.projects import operate

TOTALS = """
SELECT k, sum(x) AS total, count(*) AS n, max(ts) AS newest FROM rows
WHERE x IS NOT NULL GROUP BY k HAVING sum(x) < 1000
"""
HOURS = """
SELECT date_trunc('hour', ts) AS start, k, count(*) AS n FROM rows
WHERE NOT late GROUP BY ALL HAVING start < TIMESTAMP '2026-01-01 03:00'
"""
LATE = {("c", "7", "00:30"), ("a", "1", "01:30")}
"""The rows that come when the watermark has passed their hour."""


def test_undisturbed_scenarios_come_to_what_their_rows_say(tmp_path: Path) -> None:
    made = list(keeping.scenarios(tmp_path, operate))
    assert tuple(s.name for s in made) == keeping.NAMES
    for scenario in made:
        if scenario.name in ("keep", "keep-refresh"):
            operate(scenario.image, scenario.operation)
            epochs = len(list((scenario.image / "in").glob("*.json")))
            assert _rows(scenario.image, "totals") == _wanted(TOTALS, epochs)
            if scenario.name == "keep":
                assert _rows(scenario.image, "hours") == _wanted(HOURS, epochs)


def _rows(image: Path, table: str) -> list[tuple[Any, ...]]:
    return sorted(qanat.open(image).query(f"SELECT * FROM {table}").rows(), key=repr)


def _wanted(query: str, epochs: int) -> list[tuple[Any, ...]]:
    con = duckdb.connect()
    con.execute("CREATE TABLE rows (k VARCHAR, x BIGINT, ts TIMESTAMP, late BOOLEAN)")
    for row in (row for epoch in keeping.FILES[:epochs] for row in epoch):
        k, x, at = row
        con.execute(
            "INSERT INTO rows VALUES (?, TRY_CAST(? AS BIGINT), ?, ?)",
            [k, x, f"2026-01-01 {at}", row in LATE],
        )
    return sorted(con.execute(query).fetchall(), key=repr)
