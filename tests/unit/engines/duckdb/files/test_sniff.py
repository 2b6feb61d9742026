"""How a file is written is told by the file alone, and mostly without DuckDB's sniffer."""

from __future__ import annotations

import random
from typing import Any

import duckdb
import pytest

from qanat.engines.duckdb.files.sniff import Sniffer, has_header, has_names
from qanat.model.schema import NO_COLUMNS


class Asked(Exception):  # noqa: N818 - it is no error
    """DuckDB's sniffer would have been asked."""


class Nobody:
    """In the place of a connection."""

    def execute(self, *_: Any) -> Any:
        raise Asked


def test_what_is_clear_is_what_duckdb_finds(bench: Any) -> None:
    draw = random.Random(5)  # noqa: S311 - a seed makes it repeatable
    cells = ["", "1", "-2.5", "x y", "2013-01-01 10:00", "a:b", "é", "#x", "10%", "true", '"q"']
    clear = 0
    for number in range(150):
        some, width = draw.sample(cells, draw.randint(2, 5)), draw.randint(2, 4)
        between, end = draw.choice(",;\t|"), draw.choice(["\n", "\r\n"])
        rows = [draw.choices(some, k=width) for _ in range(draw.choice([1, 3, 200]))]
        rows.insert(0, draw.choice([[f"name{chr(97 + n)}" for n in range(width)], rows[0]]))
        text = end.join(between.join(row) for row in rows)
        file = bench.put(f"{number}.csv", text)
        try:
            found = Sniffer(Nobody(), {}, NO_COLUMNS).dialect(  # type: ignore[arg-type]
                file.local, text.encode(), True
            )
        except Asked:
            continue
        clear += 1
        [(delimiter, header)] = bench.con.execute(
            f"SELECT Delimiter, HasHeader FROM sniff_csv('{file.local}')"
        ).fetchall()
        assert (found.delimiter, found.header) == (delimiter, header), text
    assert clear > 50


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a;b\n1,5;2,5\n", ";"),
        ('a,b\n"x;y;z",2\n"x",3\n', ","),
        ('a|b\n"one, two","never closed\n', "|"),
        ("only\none\n", ","),
        ("a\tb\n1, 2\t3\n", "\t"),
    ],
)
def test_the_delimiter_is_seen(text: str, delimiter: str) -> None:
    sniffer = Sniffer(Nobody(), {"header": True}, NO_COLUMNS)  # type: ignore[arg-type]
    assert sniffer.dialect("", text.encode(), True).delimiter == delimiter


def test_a_doubt_is_left_to_duckdb(bench: Any) -> None:
    for text in ("1,5;2,5\n", "a,b\n'x,y',2\n", 'a,b\n"x\\"y",2\n', "a,b\n1\n1,2,3\n"):
        with pytest.raises(Asked):
            Sniffer(Nobody(), {"header": True}, NO_COLUMNS).dialect(  # type: ignore[arg-type]
                "", text.encode(), True
            )


def test_headers_that_are_clear() -> None:
    assert has_names(["a", "b"])
    assert not has_names(["a", ""])
    assert has_header(["1", "b"], [["2", "x"]]) is False
    assert has_header(["name", "2019"], [["x", "1"]]) is False
    assert has_header(["2", "b"], [["true", "x"]]) is None
    assert has_header(["a1", "b"], [["1", "x"]]) is None
    assert has_header(["1", "b"], []) is None


def test_every_file_has_its_own_dialect(bench: Any, instance: duckdb.DuckDBPyConnection) -> None:
    files = [
        bench.put("a.csv", "a,b\n1,x\n"),
        bench.put("b.csv", "a;b\n2;y\n"),
        bench.put("c.csv", "a\tb\n3\t'z'\n4\t'w\t'\n"),
        bench.put("d.csv", "5,v\n"),
    ]
    together = bench.rows(bench.bind(*files, known=bench.bind(files[0]).schema))
    assert together == [(1, "x"), (2, "y"), (3, "z"), (4, "w\t"), (5, "v")]
    alone = [
        row for f in files for row in bench.rows(bench.bind(f, known=bench.bind(files[0]).schema))
    ]
    assert alone == together
