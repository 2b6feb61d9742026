"""Which CSV files DuckDB may read, told by their bytes."""

from __future__ import annotations

from typing import Any

import pytest

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
