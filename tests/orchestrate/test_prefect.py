"""The same tables, ledger and statuses under a real Prefect as by `qanat run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestrate.prefect import PrefectRuns, prefect
from tests.orchestrate.project import Parity, PlainRuns, play, state_of

pytestmark = pytest.mark.orchestrators


def test_parity(tmp_path: Path) -> None:
    plain, ours = Parity(tmp_path / "plain"), Parity(tmp_path / "prefect")
    expected = play(plain, PlainRuns())
    with prefect(tmp_path / "site", ours) as site:
        assert play(ours, PrefectRuns(site)) == expected
    assert state_of(ours.folder) == state_of(plain.folder)
