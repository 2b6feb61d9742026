"""The same tables, ledger and statuses under a real Airflow as by `qanat run`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestrate.airflow import Airflow, AirflowRuns, airflow
from tests.orchestrate.project import Parity, PlainRuns, play, state_of

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
