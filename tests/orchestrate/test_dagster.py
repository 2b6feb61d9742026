"""The same tables, ledger and statuses under a real Dagster as by `qanat run`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.orchestrate.dagster import DagsterRuns, dagster
from tests.orchestrate.project import Parity, PlainRuns, origins_of, play, state_of

pytestmark = pytest.mark.orchestrators


def test_parity(tmp_path: Path) -> None:
    plain, ours = Parity(tmp_path / "plain"), Parity(tmp_path / "dagster")
    expected = play(plain, PlainRuns())
    with dagster(tmp_path / "site", ours) as site:
        runs = DagsterRuns(site)
        assert play(ours, runs) == expected
        events = site.events(runs.runs[0])
    assert state_of(ours.folder) == state_of(plain.folder)
    # A failed expectation is tried again, a mistake of the author's is not.
    assert [runs.attempts[0][n] for n in ("killed", "strict", "unsteady")] == [2, 2, 1]
    checks = {
        (e["evaluation"]["assetKey"]["path"][1], e["evaluation"]["checkName"]): (
            e["evaluation"]["success"],
            e["evaluation"]["severity"],
        )
        for e in events
        if "evaluation" in e
    }
    assert checks["silver", "positive"] == (False, "WARN")
    assert checks["strict", "no_paris"] == (False, "ERROR")
    (silver,) = (e for e in events if e.get("assetKey") == {"path": ["parity", "silver"]})
    numbers = {m["label"]: m.get("intValue", m.get("text")) for m in silver["metadataEntries"]}
    assert (numbers["status"], numbers["written"], numbers["violations"]) == ("updated", 3, 3)
    told = [e["message"] for e in events if e.get("stepKey") == "strict" and e.get("message")]
    assert any("ExpectationFailedError (Q2001)" in text for text in told), told
    pattern = r"dagster [0-9a-f-]{36}/\w+"
    assert [o for o in origins_of(ours.folder) if not re.fullmatch(pattern, o)] == []
