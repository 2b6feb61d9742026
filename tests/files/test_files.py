"""A sample of `python -m tests.files.run`."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest

from tests.files.campaign import BATCH, KINDS, Campaign
from tests.files.delimited import Delimited
from tests.files.kind import Read

FILES = 120


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_files_drawn_at_random(tmp_path: Path, kind: str, part: int) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        campaign = Campaign(KINDS[kind], con, tmp_path)
        failures = [f for n in range(FILES // BATCH) for f in campaign.batch(f"{seed}/{n}")]
    again = f"python -m tests.files.run --kind {kind} --most {FILES} --seed {seed}"
    assert not failures, "\n".join([again, *map(str, failures[:3])])


def test_the_other_reader_of_csv() -> None:
    data = b'a,b\n1,""\n2,\n"x\r\ny",\rz\n3\n"q"q,4\n\xff,5\n6,7,,\n"open,8\n9,end'
    assert Delimited().expect(data, {"delimiter": ",", "quote": '"', "header": True}) == Read(
        ("a", "b"),
        (
            (2, {"a": "1", "b": ""}),
            (3, {"a": "2", "b": None}),
            (4, {"a": "x\r\ny", "b": "\rz"}),
            (9, {"a": "6", "b": "7"}),
            (11, {"a": "9", "b": "end"}),
        ),
        (6, 7, 8, 10),
    )
