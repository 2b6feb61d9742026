"""The same tables, ledger and statuses under Luigi's central scheduler as by `qanat run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestrate.luigi import LuigiRuns, luigi
from tests.orchestrate.project import Parity, PlainRuns, play, state_of

pytestmark = pytest.mark.orchestrators


def test_parity(tmp_path: Path) -> None:
    plain, ours = Parity(tmp_path / "plain"), Parity(tmp_path / "luigi")
    expected = play(plain, PlainRuns())
    with luigi(tmp_path / "site") as site:
        assert play(ours, LuigiRuns(site)) == expected
    assert state_of(ours.folder) == state_of(plain.folder)
