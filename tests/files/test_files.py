"""A sample of `python -m tests.files.run`."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.files.campaign import KINDS, Campaign
from tests.files.delimited import Delimited
from tests.files.fitting import BEYOND, MISFIT, fitted
from tests.files.kind import Read
from tests.files.trees import parse, same as is_same

FILES, TOGETHER, ALONE = 120, 20, 4


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_files_drawn_at_random(tmp_path: Path, kind: str, part: int) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        campaign = Campaign(KINDS[kind], con, tmp_path)
        failures = [
            f
            for n in range(FILES // TOGETHER)
            for f in campaign.batch(f"{seed}/{n}", TOGETHER, ALONE)
        ]
    again = (
        f"python -m tests.files.run --kind {kind} --most {FILES} --seed {seed} "
        f"--together {TOGETHER} --alone {ALONE}"
    )
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


@pytest.mark.parametrize(
    ("value", "type_", "wanted"),
    [
        (7, "double", 7.0),
        (2**53 + 1, "double", MISFIT),
        (Decimal("0.1"), "double", 0.1),
        (Decimal("1.10"), "long", MISFIT),
        (1e300, "long", MISFIT),
        (0.1, "decimal(12,2)", Decimal("0.1")),
        (0.125, "decimal(12,2)", MISFIT),
        (" 7 ", "long", 7),
        ("1e3", "integer", 1000),
        (datetime.fromisoformat("2013-01-31"), "date", date(2013, 1, 31)),
        (datetime.fromisoformat("2013-01-31 01:00"), "date", MISFIT),
        (date(2013, 1, 31), "timestamp", datetime(2013, 1, 31, tzinfo=UTC)),
        (BEYOND, "timestamp", MISFIT),
        ([BEYOND], "", MISFIT),
        (2, "boolean", MISFIT),
    ],
)
def test_what_fits(value: object, type_: str, wanted: object) -> None:
    assert fitted(value, type_) == wanted


@pytest.mark.parametrize(
    ("wanted", "got", "same"),
    [
        (b'{"a": 1.10}', 1.1, True),
        (b'{"a": 1.10}', "1.1", False),
        (b'{"a": 9007199254740993.5}', 9007199254740994.0, False),
        (b'{"a": [1, null]}', "[1,null]", True),
        (b'{"a": {"b": 1}}', {"b": 1, "c": None}, True),
        (b'{"a": {"b": 1}}', {"c": None}, False),
        (b'{"a": true}', 1, False),
    ],
)
def test_the_other_reader_of_json(wanted: bytes, got: object, same: bool) -> None:
    values = parse(wanted)
    assert values is not None
    assert is_same(values["a"], got) is same


def test_the_other_reader_of_json_refuses() -> None:
    for text in (b'{"a":1,"a":2}', b'{"s":{"a":1,"a":2}}', b'{"a":NaN}', b'{"a":"\\ud800"}', b"1"):
        assert parse(text) is None
