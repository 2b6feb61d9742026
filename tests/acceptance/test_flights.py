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


class Flights:
    """A copy of the example."""

    def __init__(self, folder: Path, qanat: list[str]) -> None:
        self.folder = folder
        self.qanat = qanat

    def run(self, *arguments: str) -> dict[str, Any]:
        command = [*self.qanat, *arguments, "--output", "json"]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


def results(update: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {d["dataset"]: d for d in update["datasets"]}


def violations(dataset: dict[str, Any]) -> dict[str, int]:
    return {r["rule"]: r["violations"] for r in dataset["rules"]}


class Files:
    """The example's CSV files, read by plain DuckDB into tables."""

    def __init__(self, data: Path) -> None:
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")
        for name in ("flights/*", "weather", "planes", "airlines", "airports/*"):
            table = name.removesuffix("/*")
            self.db.execute(
                f"CREATE TABLE {table} AS FROM read_csv('{data / name}.csv', header = true, "
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
def project(tmp_path_factory: pytest.TempPathFactory, qanat: list[str]) -> Flights:
    folder = tmp_path_factory.mktemp("example") / "flights"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "storage"))
    assert prepare(folder).count("wrote") == 4 + 11
    return Flights(folder, qanat)


@pytest.fixture(scope="module")
def first(project: Flights) -> dict[str, dict[str, Any]]:
    return results(project.run("run"))


@pytest.fixture(scope="module")
def files(project: Flights) -> Files:
    """The eleven months before December is added."""
    return Files(project.folder / "data")


def test_prepare_writes_nothing_twice(project: Flights) -> None:
    before = {p: p.stat().st_mtime_ns for p in (project.folder / "data").rglob("*")}
    assert prepare(project.folder) == ""
    after = {p: p.stat().st_mtime_ns for p in (project.folder / "data").rglob("*")}
    assert after == before


def test_bronze_takes_every_row(first: dict[str, dict[str, Any]], files: Files) -> None:
    flights = first["bronze_flights"]
    assert (flights["files"], flights["written"]) == (11, files.count("flights"))
    assert first["bronze_weather"]["written"] == files.count("weather")
    assert {d["status"] for d in first.values()} == {"updated"}


def test_flights_by_rule(first: dict[str, dict[str, Any]], files: Files) -> None:
    silver = first["silver_flights"]
    assert violations(silver) == {
        "departed": files.count("flights", CANCELLED),
        "plausible_speed": files.count("flights", TOO_FAST),
        "plausible_delay": files.count("flights", "dep_delay < -60 OR dep_delay > 1440"),
        "one_per_flight": files.doubled("flights", "month, day, carrier, flight, origin"),
        "known_destination": files.count("flights", NOWHERE),
        "known_airline": files.count("flights", "carrier NOT IN (SELECT carrier FROM airlines)"),
        "known_plane": files.count("flights", NO_PLANE),
        "arrived": files.count("flights", "dep_time IS NOT NULL AND arr_delay IS NULL"),
    }
    quarantined = files.count("flights", f"coalesce({TOO_FAST}, false) OR {NOWHERE}")
    dropped = files.count("flights", f"{CANCELLED} AND NOT ({NOWHERE})")
    assert (silver["quarantined"], silver["dropped"]) == (quarantined, dropped)
    assert silver["written"] == files.count("flights") - quarantined - dropped
    assert first["cancelled_flights"]["written"] == files.count("flights", CANCELLED)


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


def test_gold(project: Flights, first: dict[str, dict[str, Any]], files: Files) -> None:
    good = f"NOT ({CANCELLED}) AND NOT coalesce({TOO_FAST}, false) AND NOT ({NOWHERE})"
    ours = {
        name: DeltaTable(project.folder / "storage" / "tables" / name)
        .to_pyarrow_table()
        .to_pylist()
        for name in ("airport_ranking", "carriers_by_month", "worst_routes", "delay_by_weather")
    }
    ranking = files.db.execute(
        f"SELECT origin, count(*), round(avg(CASE WHEN dep_delay <= 15 THEN 1 ELSE 0 END), 9) "
        f"FROM flights WHERE {good} GROUP BY origin ORDER BY 3 DESC"
    ).fetchall()
    got = sorted(ours["airport_ranking"], key=lambda row: row["place"])
    assert [(r["origin"], r["flights"], round(r["on_time_share"], 9)) for r in got] == ranking
    assert sum(r["flights"] for r in ours["carriers_by_month"]) == files.count("flights", good)
    worst = files.db.execute(
        f"SELECT origin, dest, round(avg(arr_delay), 1) FROM flights WHERE {good} "
        "AND arr_delay IS NOT NULL GROUP BY ALL HAVING count(*) >= 100 "
        "ORDER BY 3 DESC, 1, 2 LIMIT 20"
    ).fetchall()
    assert {(r["origin"], r["destination"], r["mean_delay"]) for r in ours["worst_routes"]} == set(
        worst
    )
    joined = files.count(
        "flights AS f JOIN weather AS w USING (origin, time_hour)",
        f"{good} AND w.temp IS NOT NULL AND coalesce(w.wind_speed, 0) <= 150",
    )
    assert sum(r["flights"] for r in ours["delay_by_weather"]) == joined


def test_second_run_then_december_then_territories(
    project: Flights, first: dict[str, dict[str, Any]]
) -> None:
    again = results(project.run("run"))
    assert {d["status"] for d in again.values()} == {"unchanged"}
    assert sum(d["files"] for d in again.values()) == 0

    wrote = "wrote data/flights/flights_2013-12.csv\n"
    assert prepare(project.folder, "--month", "12") == wrote
    assert prepare(project.folder, "--month", "12") == ""
    files = Files(project.folder / "data")
    assert files.count("flights") == 336_776  # As the package's documentation says.
    december = results(project.run("run"))
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
    prepare(project.folder, "--territories")
    assert results(project.run("run"))["airports"]["status"] == "updated"
    project.run("quarantine", "replay", "silver_flights")
    table = DeltaTable(project.folder / "storage" / "tables" / "silver_flights")
    good = files.count("flights", f"NOT ({CANCELLED}) AND NOT coalesce({TOO_FAST}, false)")
    assert table.to_pyarrow_table(columns=["day"]).num_rows == good
    assert waiting > 0
