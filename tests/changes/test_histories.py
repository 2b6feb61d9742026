"""Random histories of changes: after each epoch the table holds what the model says."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from tests.changes.model import draw
from tests.changes.run import differs
from tests.changes.snapshots import draw_snapshots, snapshots_differ

SEED = int(os.environ.get("QANAT_SEED") or random.SystemRandom().randrange(1_000_000))
KNOWN = (28, 12023, 12523)
"""Partitions that are left out; late emptyings of rows that several events make."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(tmp_path_factory.mktemp("engine"), threads=1)
    yield made
    made.close()


@pytest.mark.parametrize("number", range(8))
def test_tables_are_what_the_model_says(tmp_path: Path, engine: DuckDBEngine, number: int) -> None:
    for seed in range(SEED + 5 * number, SEED + 5 * number + 5):
        assert differs(draw(seed), tmp_path / str(seed), engine) is None, f"seed {seed}"


@pytest.mark.parametrize("number", range(4))
def test_tables_are_what_their_snapshots_say(
    tmp_path: Path, engine: DuckDBEngine, number: int
) -> None:
    for seed in range(SEED + 5 * number, SEED + 5 * number + 5):
        case = draw_snapshots(seed)
        assert snapshots_differ(case, tmp_path / str(seed), engine) is None, f"seed {seed}"


@pytest.mark.parametrize("seed", KNOWN)
def test_what_once_differed(tmp_path: Path, engine: DuckDBEngine, seed: int) -> None:
    assert differs(draw(seed), tmp_path, engine) is None
