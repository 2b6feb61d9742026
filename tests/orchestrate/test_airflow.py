"""The same tables, ledger and statuses under a real Airflow as by `qanat run`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestrate.airflow import Airflow, AirflowRuns, airflow
from tests.orchestrate.project import Parity, PlainRuns, origins_of, play, state_of

pytestmark = pytest.mark.orchestrators


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """An Airflow for all tests of this module."""
    with airflow(tmp_path_factory.mktemp("airflow")) as running:
        yield running


def test_parity(site: Airflow, tmp_path: Path) -> None:
    plain, ours = Parity(tmp_path / "plain"), Parity(tmp_path / "airflow")
    expected = play(plain, PlainRuns())
    runs = AirflowRuns(site)
    ours.arrives("1")
    runs.add(ours)
    assert play(ours, runs) == expected
    assert state_of(ours.folder) == state_of(plain.folder)
    # A failed expectation is tried again, a mistake of the author's is not.
    assert [runs.attempts[0][n] for n in ("killed", "strict", "unsteady")] == [2, 2, 1]
    silver = site.xcom("parity", runs.runs[0], "silver")["silver"]
    assert (silver["status"], silver["written"], silver["quarantined"]) == ("updated", 3, 1)
    assert silver["violations"] == {"has_city": 1, "positive": 1, "small": 1}
    log = site.log("parity", runs.runs[0], "strict")
    assert any("ExpectationFailedError (Q2001)" in line and "no_paris" in line for line in log)
    assert any(
        "silver: 1 violations of positive: quarantine" in line
        for line in site.log("parity", runs.runs[0], "silver")
    )
    events = site.ask("assets/events?limit=100")["asset_events"]
    extra = [e["extra"] for e in events if e["source_run_id"] == runs.runs[0]]
    assert silver in extra
    assert {e["name"] for e in events} >= {"parity.dev.silver", "parity.dev.copies"}
    pattern = r"airflow parity/[^/]+/\w+"
    assert [o for o in origins_of(ours.folder) if not re.fullmatch(pattern, o)] == []
