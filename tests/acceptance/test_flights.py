"""The flights example, run as its README says; its results are counted again in plain DuckDB.

No number of rows is written down here: what the pipeline must find is computed from the same
files by queries that share nothing with it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"


def prepare(project: Path, *arguments: str) -> str:
    command = [sys.executable, project / "prepare.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def qanat(project: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "qanat", *arguments, "--output", "json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def results(update: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {d["dataset"]: d for d in update["datasets"]}


def violations(dataset: dict[str, Any]) -> dict[str, int]:
    return {r["rule"]: r["violations"] for r in dataset["rules"]}


class Files:
    """The example's CSV files, seen by plain DuckDB."""

    def __init__(self, data: Path) -> None:
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")
        for name in ("flights/*", "weather", "planes", "airlines", "airports/*"):
            view = name.removesuffix("/*")
            self.db.execute(
                f"CREATE VIEW {view} AS FROM read_csv('{data / name}.csv', header = true, "
                "nullstr = 'NA', sample_size = -1)"
            )

    def count(self, table: str, where: str = "true") -> int:
        row = self.db.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
        assert row is not None
        return int(row[0])

    def doubled(self, table: str, key: str) -> int:
        """The number of rows beyond the first of each key."""
        found = f"(SELECT count(*) - 1 AS more FROM {table} GROUP BY {key})"
        row = self.db.execute(f"SELECT coalesce(sum(more), 0) FROM {found}").fetchone()
        assert row is not None
        return int(row[0])


CANCELLED = "dep_time IS NULL"
TOO_FAST = "distance / air_time > 10"
# The anti-join itself is plain, but the three airports on the wrong side of the world are
# in quarantine, so they are no airports.
KNOWN_AIRPORTS = "SELECT faa FROM airports WHERE lon < 0 OR lon > 170"
NOWHERE = f"dest NOT IN ({KNOWN_AIRPORTS})"
NO_PLANE = "tailnum IS NOT NULL AND tailnum NOT IN (SELECT tailnum FROM planes)"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example") / "flights"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "storage"))
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def first(project: Path) -> dict[str, dict[str, Any]]:
    return results(qanat(project, "run"))


@pytest.fixture(scope="module")
def files(project: Path, first: dict[str, dict[str, Any]]) -> Files:
    """The result of the first update, over the eleven months before December is added."""
    files = Files(project / "data")
    files.db.execute("CREATE TABLE eleven AS FROM flights")
    return files


def test_prepare_writes_nothing_twice(tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "storage"))
    assert prepare(folder).count("wrote") == 4 + 11
    before = {p: p.stat().st_mtime_ns for p in (folder / "data").rglob("*")}
    assert prepare(folder) == ""
    assert {p: p.stat().st_mtime_ns for p in (folder / "data").rglob("*")} == before
    assert prepare(folder, "--month", "12") == "wrote data/flights/flights_2013-12.csv\n"
    assert prepare(folder, "--month", "12") == ""


def test_prepare_loses_no_flight(tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "storage"))
    prepare(folder, "--month", "12")
    files = Files(folder / "data")
    assert files.count("flights") == 336_776  # As the package's documentation says.


def test_bronze_takes_every_row(first: dict[str, dict[str, Any]], files: Files) -> None:
    flights = first["bronze_flights"]
    assert (flights["files"], flights["written"]) == (11, files.count("eleven"))
    assert first["bronze_weather"]["written"] == files.count("weather")
    assert {d["status"] for d in first.values()} == {"updated"}


def test_flights_by_rule(first: dict[str, dict[str, Any]], files: Files) -> None:
    silver = first["silver_flights"]
    assert violations(silver) == {
        "departed": files.count("eleven", CANCELLED),
        "plausible_speed": files.count("eleven", TOO_FAST),
        "plausible_delay": files.count("eleven", "dep_delay < -60 OR dep_delay > 1440"),
        "one_per_flight": files.doubled("eleven", "month, day, carrier, flight, origin"),
        "known_destination": files.count("eleven", NOWHERE),
        "known_airline": files.count("eleven", "carrier NOT IN (SELECT carrier FROM airlines)"),
        "known_plane": files.count("eleven", NO_PLANE),
        "arrived": files.count("eleven", "dep_time IS NOT NULL AND arr_delay IS NULL"),
    }
    quarantined = files.count("eleven", f"coalesce({TOO_FAST}, false) OR {NOWHERE}")
    dropped = files.count("eleven", f"{CANCELLED} AND NOT ({NOWHERE})")
    assert (silver["quarantined"], silver["dropped"]) == (quarantined, dropped)
    assert silver["written"] == files.count("eleven") - quarantined - dropped
    assert first["cancelled_flights"]["written"] == files.count("eleven", CANCELLED)


def test_the_other_rules(first: dict[str, dict[str, Any]], files: Files) -> None:
    weather = first["silver_weather"]
    assert violations(weather) == {
        "one_per_hour": files.doubled("weather", "origin, time_hour"),
        "one_per_clock_hour": files.doubled("weather", "origin, month, day, hour"),
        "has_temperature": files.count("weather", "temp IS NULL"),
        "plausible_wind": files.count("weather", "wind_speed > 150"),
    }
    assert violations(weather)["one_per_clock_hour"] == 3  # Summer time ends once a year.
    assert violations(first["planes"])["known_year"] == files.count("planes", "year IS NULL")
    airports = first["airports"]
    assert airports["quarantined"] == files.count("airports", "lon BETWEEN 0 AND 170")


def test_gold(project: Path, first: dict[str, dict[str, Any]], files: Files) -> None:
    good = f"NOT ({CANCELLED}) AND NOT coalesce({TOO_FAST}, false) AND NOT ({NOWHERE})"
    ours = {
        name: DeltaTable(project / "storage" / "tables" / name).to_pyarrow_table().to_pylist()
        for name in ("airport_ranking", "carriers_by_month", "worst_routes", "delay_by_weather")
    }
    ranking = files.db.execute(
        f"SELECT origin, count(*), round(avg(CASE WHEN dep_delay <= 15 THEN 1 ELSE 0 END), 9) "
        f"FROM eleven WHERE {good} GROUP BY origin ORDER BY 3 DESC"
    ).fetchall()
    got = sorted(ours["airport_ranking"], key=lambda row: row["place"])
    assert [(r["origin"], r["flights"], round(r["on_time_share"], 9)) for r in got] == ranking
    assert sum(r["flights"] for r in ours["carriers_by_month"]) == files.count("eleven", good)
    worst = files.db.execute(
        f"SELECT origin, dest, round(avg(arr_delay), 1) FROM eleven WHERE {good} "
        "AND arr_delay IS NOT NULL GROUP BY ALL HAVING count(*) >= 100 "
        "ORDER BY 3 DESC, 1, 2 LIMIT 20"
    ).fetchall()
    assert {(r["origin"], r["destination"], r["mean_delay"]) for r in ours["worst_routes"]} == set(
        worst
    )
    joined = files.count(
        "eleven AS f JOIN weather AS w USING (origin, time_hour)",
        f"{good} AND w.temp IS NOT NULL AND coalesce(w.wind_speed, 0) <= 150",
    )
    assert sum(r["flights"] for r in ours["delay_by_weather"]) == joined


def test_second_run_then_december_then_territories(
    project: Path, first: dict[str, dict[str, Any]], files: Files
) -> None:
    again = results(qanat(project, "run"))
    assert {d["status"] for d in again.values()} == {"unchanged"}
    assert sum(d["files"] for d in again.values()) == 0

    prepare(project, "--month", "12")
    december = results(qanat(project, "run"))
    new = files.count("flights", "month = 12")
    bronze = december["bronze_flights"]
    assert (bronze["files"], bronze["written"]) == (1, new)
    silver = december["silver_flights"]
    assert silver["out"] == new
    assert silver["quarantined"] == files.count(
        "flights", f"month = 12 AND (coalesce({TOO_FAST}, false) OR {NOWHERE})"
    )
    assert december["planes"]["status"] == december["silver_weather"]["status"] == "unchanged"
    assert december["worst_routes"]["status"] == "updated"

    waiting = files.count("flights", f"{NOWHERE} AND NOT ({CANCELLED})")
    prepare(project, "--territories")
    assert results(qanat(project, "run"))["airports"]["status"] == "updated"
    qanat(project, "quarantine", "replay", "silver_flights")
    table = DeltaTable(project / "storage" / "tables" / "silver_flights")
    good = files.count("flights", f"NOT ({CANCELLED}) AND NOT coalesce({TOO_FAST}, false)")
    assert table.to_pyarrow_table(columns=["day"]).num_rows == good
    assert waiting > 0
