"""No row is lost: of random garbage, every marked line comes out, good or malformed."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import RecordReader, split_lines
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS

MARK = re.compile(r"tok\d+x")
LINES: tuple[bytes, ...] = (
    *(b"%(i)d,%(i)d,%(t)b",) * 12,
    b"",
    b'%(i)d,"%(t)b,3',
    b'%(i)d,2,%(t)b"',
    b"%(i)d,2,%(t)b\0z",
    b"%(i)d,2,%(t)b\xe9\xff",
    b"%(i)d,2,%(t)b,4,5",
    b"%(t)b",
    b"%(t)b,2,s",
    b'%(i)d,2,"%(t)b\na"',
    b'%(i)d,2,"%(t)b"junk',
    b'%(i)d,2,"%(t)b"',
    b'%(i)d,2,"%(t)b""',
    b"  %(t)b , , \\",
    b'%(t)b,"",""',
)


def garbage(seed: int, header: bytes) -> bytes:
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    ends = rng.choice(([b"\n"], [b"\n"], [b"\r\n"], [b"\n", b"\r\n"]))
    out = rng.choice((b"", b"", b"\xef\xbb\xbf")) + header + rng.choice(ends) * bool(header)
    for i in range(rng.randint(0, 30)):
        out += rng.choice(LINES) % {b"i": i, b"t": b"tok%dx" % i}
        out += bytes(rng.choices(b'a",\0\xff\\;', k=rng.choice((0,) * 19 + (4,))))
        out += rng.choice(ends)
    return out.rstrip(b"\r\n") if rng.random() < 0.3 else out


@pytest.mark.parametrize("seed", range(50))
def test_csv(bench: Any, schema: Any, seed: int) -> None:
    contents = [garbage(3 * seed + k, b"id,v,s") for k in range(1 + seed % 3)]
    files = [bench.put(f"{k}.csv", content) for k, content in enumerate(contents)]
    bound = bench.bind(
        *files,
        declared=schema("id long, v long, s string") if seed % 2 else NO_COLUMNS,
        drift=Drift.RESCUE if seed % 5 == 0 else Drift.EVOLVE,
        header=True,
        delimiter=",",
    )
    rows = bench.rows(bound)
    bad = bench.bad(bound)
    assert len({(file, row) for file, row, _, _ in bad}) == len(bad), "each appears once"
    assert all(error for *_, error in bad)
    good = bench.con.execute(f"SELECT * EXCLUDE (_metadata) FROM ({bound.relation})").fetchall()
    assert len(good) == len(rows)
    for k, content in enumerate(contents):
        mine = repr([r for r in good if f"s3://lake/{k}.csv" in r])
        mine += repr([b for b in bad if b[0] == f"{k}.csv"])
        assert set(MARK.findall(content.decode(errors="replace"))) <= set(MARK.findall(mine))


@pytest.mark.parametrize("seed", range(25))
def test_ndjson(bench: Any, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    lines = [
        rng.choice((
            f'{{"k{i % 3}":"tok{i}x"}}', f'{{"a":{{"b":["tok{i}x"]}}}}', f"tok{i}x", "",
            f'{{"k0":1,"K0":"tok{i}x"}}', f'{{"k0":{i},"s":"tok{i}x"}}', f'["tok{i}x"]',
            f'{{"s":"tok{i}x', f'{{"s":"tok{i}x\0"}}', f'{{"":"tok{i}x"}}', f'{{"tok{i}x":1}}',
        )).encode() + rng.choice((b"", b"", b"", b"\xff", b" "))
        for i in range(rng.randint(1, 30))
    ]  # fmt: skip
    content = rng.choice((b"\n", b"\r\n")).join(lines)
    drift = Drift.RESCUE if seed % 2 else Drift.EVOLVE
    bound = bench.bind(bench.put("a.ndjson", content), format="ndjson", drift=drift)
    rows, bad = bench.rows(bound), bench.bad(bound)
    seen = repr(rows) + repr(bad) + repr(bound.schema.names)
    assert set(MARK.findall(content.decode(errors="replace"))) <= set(MARK.findall(seen))
    assert len(rows) + len(bad) == sum(1 for line in lines if line.strip())
    places = [*bench.lines(bound), *(row for _, row, _, _ in bad)]
    assert sorted(places) == [n for n, line in enumerate(lines, 1) if line.strip()]


@pytest.mark.parametrize("seed", range(60))
def test_the_record_reader_keeps_every_byte(seed: int) -> None:
    content = garbage(seed, b"")
    reader = RecordReader(Dialect(), 3)
    # Read in pieces of seven bytes, so that a piece ends at every possible place.
    pieces = iter([content[i : i + 7] for i in range(0, len(content), 7)])
    records = list(reader.read(split_lines(pieces)))
    kept = b"".join(r.raw for r in records)
    ends = re.compile(rb"[\r\n]+")
    assert ends.sub(b"", kept) == ends.sub(b"", content.removeprefix(b"\xef\xbb\xbf"))
    numbers = [r.line for r in records]
    assert numbers == sorted(set(numbers))
