"""The same tables, ledger and statuses under a real Prefect as by `qanat run`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.orchestrate.prefect import PrefectRuns, prefect
from tests.orchestrate.project import Parity, PlainRuns, origins_of, play, state_of

pytestmark = pytest.mark.orchestrators


def test_parity(tmp_path: Path) -> None:
    plain, ours = Parity(tmp_path / "plain"), Parity(tmp_path / "prefect")
    expected = play(plain, PlainRuns())
    with prefect(tmp_path / "site", ours) as site:
        runs = PrefectRuns(site)
        assert play(ours, runs) == expected
        question = {"artifacts": {"key": {"any_": ["qanat-parity-strict"]}}}
        artifacts = site.ask("artifacts/filter", question)
    assert state_of(ours.folder) == state_of(plain.folder)
    # A failed expectation is tried again, a mistake of the author's is not.
    assert [runs.attempts[0][n] for n in ("killed", "strict", "unsteady")] == [2, 2, 1]
    told = [a["data"] for a in artifacts if a["flow_run_id"] == runs.runs[0]]
    assert told
    assert all("no_paris" in text and "failed" in text for text in told), told
    pattern = r"prefect [0-9a-f-]{36}/\w+-[0-9a-f]+"
    assert [o for o in origins_of(ours.folder) if not re.fullmatch(pattern, o)] == []
