"""Messages that are read without a spool: the same rows, or an error, and they need care."""

from __future__ import annotations

import random

import duckdb
import pytest

from qanat.engines.duckdb.files import orders, pass_files, straight
from qanat.engines.duckdb.files.bound import OnePass
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile
from tests.unit.engines.duckdb.files.conftest import Bench, columns
from tests.unit.engines.duckdb.files.test_payloads import bind, partition, plain, rows
from tests.unit.engines.duckdb.files.test_proven import TYPES, value

KNOWN = columns("id long, name string, at timestamp_ntz, price double")
GOOD = b'{"id":7,"name":"Google","at":"2024-01-02 03:04:05.120","price":1.25}'


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(straight, "LEAST", 1)
    monkeypatch.setattr(straight, "SAMPLE", 3)
    monkeypatch.setattr(orders, "SAMPLE", 3)


def once(bench: Bench, *messages: bytes | None) -> OnePass | None:
    file = partition(bench, "t/0", *(plain(n, line) for n, line in enumerate(messages)))
    return passed(bench, file)


def passed(bench: Bench, *files: LocalFile) -> OnePass | None:
    options = (("payload", "json"), ("headers", False))
    batch = FilesBatch(files, "payloads", options, KNOWN, NO_COLUMNS, Drift.EVOLVE, "in/*")
    bench.count += 1
    return pass_files(bench.con, f"once{bench.count}", batch, bench.scratch, whole=False)


def test_plain_messages_are_read_at_once(bench: Bench) -> None:
    nulls = b'{"id":null,"name":null,"at":null,"price":null}'
    found = once(bench, *[GOOD] * 5, nulls)
    assert found is not None
    assert found.count is not None
    assert found.count() == 6
    wanted = "id, name, strftime(\"at\", '%H:%M:%S.%g'), price"
    got = bench.con.execute(f"SELECT {wanted} FROM ({found.relation})")
    assert got.fetchall() == [
        *[(7, "Google", "03:04:05.120", 1.25)] * 5,
        (None, None, None, None),
    ]


def test_rows_tell_their_partition(bench: Bench) -> None:
    files = [partition(bench, f"t/{n}", *[plain(9, GOOD)] * 3) for n in (0, 11)]
    found = passed(bench, *files)
    assert found is not None
    paths = bench.con.execute(f"SELECT DISTINCT {found.path} FROM ({found.relation}) ORDER BY 1")
    assert paths.fetchall() == [("t/0",), ("t/11",)]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        b"",
        b"\xff",
        b"{",
        b"{}",
        b"5",
        b'{"id":7}',
        GOOD.replace(b"7", b"1.7"),
        GOOD.replace(b"7", b'"7"'),
        GOOD.replace(b"7", b""),
        GOOD.replace(b"7", b"9223372036854775808"),
        GOOD.replace(b'"Google"', b"5"),
        GOOD.replace(b'"Google"', b"[1]"),
        GOOD.replace(b".120", b".1234567"),
        GOOD.replace(b".120", b"+02:00"),
        GOOD.replace(b"1.25", b"1e400"),
        GOOD.replace(b"}", b',"more":1}'),
        GOOD.replace(b"}", b',"id":8}'),
        b"[" * 500,
        GOOD.replace(b'"Google"', b"[" * 500 + b"]" * 500),
    ],
)
def test_no_condition_hides_what_needs_care(bench: Bench, bad: bytes | None) -> None:
    found = once(bench, *[GOOD] * 5, bad)
    assert found is not None
    for query in (
        "SELECT id FROM ({})",
        "SELECT name FROM ({}) WHERE id = 8",
        "SELECT 1 FROM ({}) WHERE id IS NULL AND name = 'x'",
        "SELECT 1 FROM ({}) WHERE price < 0 OR length(name) = 99",
    ):
        with pytest.raises(duckdb.Error):
            bench.con.execute(query.format(found.relation)).fetchall()


def test_messages_that_differ_from_the_first_on_are_not_tried(bench: Bench) -> None:
    escaped = GOOD.replace(b"Google", b"\\u00e9")
    assert once(bench, *[escaped] * 5) is None
    assert once(bench, GOOD, b'{"name":"x","id":1}', GOOD) is None
    assert once(bench, *[b'{"new":1}'] * 5) is None


@pytest.mark.parametrize("seed", range(12))
def test_it_gives_what_care_gives(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - what is drawn keeps no secret
    names = [n for n in rng.sample(list(TYPES), 4) if n != "tags"]
    colon = rng.choice((":", ": "))
    lines = []
    for _ in range(60):
        pairs = [f'"{n}"{colon}{value(rng, TYPES[n])}' for n in names]
        lines.append(("{" + (", " if colon == ": " else ",").join(pairs) + "}").encode())
    known = columns(", ".join(f"{n} {TYPES[n]}" for n in names))
    # One row at a time: `bind` compares it with what one pass gives, if that gives something.
    read = 0
    for line in lines:
        file = partition(bench, "t/0", plain(0, line))
        read += len(rows(bench, bind(bench, file, known=known, declared=known)))
    assert 0 < read <= len(lines)
