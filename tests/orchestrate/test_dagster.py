"""The same tables, ledger and statuses under a real Dagster as by `qanat run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestrate.dagster import DagsterRuns, dagster
from tests.orchestrate.project import Parity, PlainRuns, play, state_of

pytestmark = pytest.mark.orchestrators


def test_parity(tmp_path: Path) -> None:
    plain, ours = Parity(tmp_path / "plain"), Parity(tmp_path / "dagster")
    expected = play(plain, PlainRuns())
    with dagster(tmp_path / "site", ours) as site:
        runs = DagsterRuns(site)
        assert play(ours, runs) == expected
    assert state_of(ours.folder) == state_of(plain.folder)
