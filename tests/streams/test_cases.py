"""Some of the random cases; `python -m tests.streams.run` tries as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from tests.streams.cases import differs, draw


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """One connection for all cases."""
    with duckdb.connect() as opened:
        yield opened


@pytest.mark.parametrize("seed", range(1, 41))
def test_epochs_give_the_batch_result(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    case = draw(seed)
    assert differs(case, con) is None, case
