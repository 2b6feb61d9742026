"""Which CSV files DuckDB may read, told by their bytes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from qanat.engines.duckdb.files import trust
from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import CHUNK
from qanat.engines.duckdb.files.trust import Look, look

LF, CRLF = "\\n", "\\r\\n"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a,b\n1,x\n", Look(False, LF, False, True, True, False)),
        (b"a,b\r\n1,x\r\n", Look(False, CRLF, False, True, True, False)),
        (b'a,b\n1,"x, y"\n', Look(True, LF, False, True, True, False)),
        (b'a,b\n1,"x\ny"\n', Look(True, LF, True, False, True, False)),
        (b'a,b\n1,"x\r\ny"\n', Look(True, LF, True, False, True, False)),
        (b'a,b\r\n1,"x\ny"\r\n', Look(True, CRLF, True, False, True, False)),
        (b'a,b\n1,"say ""hi"" "\n', Look(True, LF, False, True, True, False)),
        (b'a,b\n1, "x"\n', Look(True, LF, False, True, False, False)),
        (b'a,b\n1,"x" \n', Look(True, LF, False, True, False, False)),
        (b"a,b\n1,x\ry\n", Look(False, LF, False, True, False, False)),
        (b'a,b\n1,"x\ry"\n', Look(True, LF, False, True, False, False)),
        (b"a,b\n\n1,x\n", Look(False, LF, False, False, True, False)),
        (b"a,b\r\n1,x\r\n\r\n2,y", Look(False, CRLF, False, False, True, False)),
        (b"a,b\r1,x\r", Look(False, LF, False, True, False, False)),
        (b"a,b\r\n1,x\n", Look(False, LF, False, True, False, False)),
    ],
)
def test_kinds_of_trouble(bench: Any, data: bytes, found: Look) -> None:
    assert look(bench.put("a.csv", data).local, Dialect()) == found


@pytest.mark.parametrize("value", [b'"x\ny"', b'"x\n""y"', b'"x""\ny"'])
def test_a_value_of_two_lines_where_two_pieces_meet(bench: Any, value: bytes) -> None:
    for at in range(len(value)):
        rows = b'1,"x"\n' * (CHUNK // 6)
        data = rows[: CHUNK - CHUNK % 6 - 6] + b"," * (CHUNK % 6 + 6 - at) + value + b"\n"
        assert look(bench.put("a.csv", data).local, Dialect()).spans
    whole = b'1,"x","y"\n' * (CHUNK // 5)
    assert not look(bench.put("b.csv", whole).local, Dialect()).spans


@pytest.mark.parametrize("trouble", [b' "x"', b"x\ry", b"x\r\n2"])
def test_trouble_where_two_pieces_meet(bench: Any, trouble: bytes) -> None:
    for at in range(len(trouble)):
        rows = b"1,xx\n" * (CHUNK // 5)
        data = rows[: CHUNK - at - 2] + b"," + trouble + b"\n"
        assert not look(bench.put("a.csv", data).local, Dialect()).trusted


@pytest.mark.parametrize("blank", [b"\n\n", b"\n\r\n"])
def test_blank_lines_where_two_pieces_meet(bench: Any, blank: bytes) -> None:
    for at in range(len(blank) + 1):
        rows = b"1,xx\n" * (CHUNK // 5)
        data = rows[: CHUNK - at - 2] + b"xx" + blank + b"1,y\n"
        assert not look(bench.put("a.csv", data).local, Dialect()).even


def _must_doubt(data: bytes) -> bool:
    """True if a quote stands elsewhere than around a field, and a space beside one behind it."""
    parts = data.split(b'"')
    for n, part in enumerate(parts):
        if n % 2:
            continue
        bad = n > 0 and part and not part.startswith((b",", b"\n", b"\r\n"))
        bad = bad or (n < len(parts) - 1 and part and not part.endswith((b",", b"\n")))
        if bad:
            rest = b'"'.join(parts[max(n - 1, 0) :])
            rest = b'"' * (n > 0) + rest.partition(b'"')[2] if n else rest
            return b' "' in rest or b'" ' in rest
    return False


def test_the_same_is_found_in_pieces_of_any_length(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(5)  # noqa: S311 - the same files each time
    words = (b'"', b'"', b'""', b",", b",", b" ", b"\n", b"\r\n", b"x", b"_", b'"a b"', b',"x"\n')
    doubted = 0
    for number in range(1500):
        data = b"".join(rng.choices(words, k=rng.randint(1, 14)))
        local = bench.put(f"{number % 7}.csv", data).local
        lines = data.split(b"\n")[:-1]
        odd = [line.count(b'"') % 2 == 1 for line in lines]
        seen = set()
        for length in (1, 2, 3, 100):
            pieces = [data[n : n + length] for n in range(0, len(data), length)]
            monkeypatch.setattr(trust, "chunks_of", lambda _, found=pieces: iter(found))
            found = look(local, Dialect())
            assert not (found.trusted and _must_doubt(data)), (data, length)
            seen.add((found.quotes, found.spans, found.even, found.underscores))
        blank = any(line in (b"", b"\r") for line in lines)
        spans = any(odd)
        assert seen == {(b'"' in data, spans, not (spans or blank), b"_" in data)}, data
        doubted += _must_doubt(data)
    assert doubted > 100


@pytest.mark.parametrize("before", [b"", b'"x, y",1\n' * 300_000, b'"x","y"\n' * 3000])
@pytest.mark.parametrize("trouble", [b'1, "x"\n', b'1,"x" \n', b'"x, y" ,1'])
def test_one_quote_at_the_wrong_place(bench: Any, before: bytes, trouble: bytes) -> None:
    good, bad = before + b'1,"x, "\n', before + trouble
    assert look(bench.put("good.csv", good).local, Dialect()).trusted
    assert not look(bench.put("bad.csv", bad).local, Dialect()).trusted
    assert not look(bench.put("bad.csv", bad + before).local, Dialect()).trusted


def test_the_header_may_have_underscores(bench: Any) -> None:
    file = bench.put("a.csv", b"a_b,c\n1,2\n").local
    assert not look(file, Dialect(), skip=1).underscores
    assert look(file, Dialect()).underscores
    assert look(bench.put("a.csv", b"a_b,c\n1,2_0\n").local, Dialect(), skip=1).underscores


def test_blank_lines_are_looked_for_only_if_they_matter(bench: Any) -> None:
    file = bench.put("a.csv", b"a,b\n1,2\n").local
    assert look(file, Dialect()).even
    assert not look(file, Dialect(), lines=False).even


def test_comments(bench: Any) -> None:
    dialect = Dialect(comment="#")
    found = look(bench.put("a.csv", b"#x\na,b\n#y\n1,2\n").local, dialect)
    assert (found.trusted, found.even) == (True, False)
    assert not look(bench.put("b.csv", b"a,b\n1,2#x\n").local, dialect).trusted


def test_lines_in_quotes_that_look_like_rows(bench: Any) -> None:
    """DuckDB's threads would take them for rows."""
    value = "\n1,2,3" * 300
    text = "a,b,c\n" + f'x,"{value}",z\n' * 12_000
    bound = bench.bind(bench.put("a.csv", text), header=True, infer_schema=False)
    query = f"SELECT count(*), count(DISTINCT b), max(b) FROM ({bound.relation})"
    assert bench.con.execute(query).fetchall() == [(12_000, 1, value)]
