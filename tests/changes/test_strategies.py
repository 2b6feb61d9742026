"""Random histories of rows by strategies: after each epoch the table holds what a dict says."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.model.keyed import Keyed, Strategy
from tests.changes.files import Files
from tests.changes.model import Row

SEED = int(os.environ.get("QANAT_SEED") or random.SystemRandom().randrange(1_000_000))
COLUMNS = pa.schema([("id", pa.int64()), ("site", pa.string()), ("v", pa.int64())])
STRATEGIES = (Strategy.MERGE, Strategy.DELETE_INSERT, Strategy.INSERT_OVERWRITE)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(tmp_path_factory.mktemp("engine"), threads=2)
    yield made
    made.close()


def drawn(chance: random.Random, strategy: Strategy) -> list[list[Row]]:
    """Rows by epoch: few keys, so that all of them come again; partitions may be that of NULL."""
    sites = ["a", "b", "c/d"] if strategy is not Strategy.INSERT_OVERWRITE else ["a", "b", None]
    rows = [
        (chance.randrange(6), chance.choice(sites), chance.randrange(4))
        for _ in range(chance.randint(1, 60))
    ]
    epochs: list[list[Row]] = [[] for _ in range(chance.randint(1, 6))]
    for number, row in enumerate(rows):
        epochs[number * len(epochs) // len(rows)].append(row)
    return epochs


def wanted(epochs: Sequence[Sequence[Row]], strategy: Strategy, by: Sequence[int]) -> list[Row]:
    """The rows of the table after some epochs."""
    groups: dict[Row, list[Row]] = {}
    for epoch in epochs:
        mine: dict[Row, list[Row]] = {}
        for row in epoch:
            mine.setdefault(tuple(row[n] for n in by), []).append(row)
        groups |= mine
    if strategy is Strategy.MERGE:
        groups = {key: rows[-1:] for key, rows in groups.items()}
    return sorted((row for rows in groups.values() for row in rows), key=repr)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("number", range(6))
def test_tables_are_what_a_dict_says(
    tmp_path: Path, engine: DuckDBEngine, strategy: Strategy, number: int
) -> None:
    for seed in range(SEED + 4 * number, SEED + 4 * number + 4):
        chance = random.Random(f"{seed}-{strategy}")  # noqa: S311
        overwrites = strategy is Strategy.INSERT_OVERWRITE
        by = ("site",) if overwrites else chance.choice([("id",), ("id", "site")])
        parts = ("site",) if overwrites or chance.random() < 0.3 else ()
        names = COLUMNS.names
        table = Files(
            tmp_path / str(seed), Keyed(strategy, by), COLUMNS, names, engine, partition_by=parts
        )
        epochs = drawn(chance, strategy)
        places = [names.index(name) for name in by]
        for done, epoch in enumerate(epochs, 1):
            table.merge(epoch)
            assert table.rows() == wanted(epochs[:done], strategy, places), f"seed {seed}"
        if strategy is Strategy.MERGE:
            again = Files(
                tmp_path / f"{seed}-again",
                Keyed(strategy, by),
                COLUMNS,
                names,
                engine,
                partition_by=parts,
            )
            again.merge([row for epoch in epochs for row in epoch])
            assert again.rows() == table.rows(), f"seed {seed}"
