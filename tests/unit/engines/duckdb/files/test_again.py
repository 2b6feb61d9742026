"""Texts of rows that could not be parsed, parsed again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qanat.engines.duckdb.files.again import GONE, bind_again
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile
from tests.unit.engines.duckdb.files.conftest import Bench, columns

ROW = "__qanat_row"


def again(
    bench: Bench,
    file: LocalFile,
    *rows: tuple[int, str | None] | tuple[int, str | None, str],
    format: str = "csv",
    **options: Any,
) -> tuple[dict[int, tuple[Any, ...]], dict[int, str]]:
    """By number (a hundred above the line): the values of rows that fit; why others do not."""
    batch = FilesBatch(
        (file,), format, tuple(options.items()), columns("id long, n string"), NO_COLUMNS,
        Drift.EVOLVE, "in/*",
    )  # fmt: skip
    kept = [(line + 100, file.path, line, raw, *(why or ("x",))) for line, raw, *why in rows]
    bound = bind_again(bench.con, "again", batch, kept, bench.scratch)
    assert bound is not None
    found = bench.con.execute(f"SELECT {ROW}, id, n FROM ({bound.relation})").fetchall()
    bad = (
        bench.con.execute(f"SELECT row, error FROM ({bound.malformed})")
        if bound.malformed
        else None
    )
    return {n: tuple(v) for n, *v in found}, dict(bad.fetchall()) if bad else {}


def test_columns_are_in_the_order_of_the_file(bench: Bench) -> None:
    file = bench.put("a.csv", "n;id\nx;1\n")
    good, bad = again(bench, file, (2, "y;2"), (3, '"a;b";3'), (4, "y;z"), (5, "1;2;3"))
    assert good == {102: (2, "y"), 103: (3, "a;b")}
    assert bad == {
        104: "column 'id': \"z\" does not fit bigint",
        105: "expected 2 columns, found 3",
    }


def test_a_text_is_one_row_or_none(bench: Bench) -> None:
    file = bench.put("a.csv", "id,n\n1,x\n")
    _, bad = again(bench, file, (1, "id,n"), (5, "1,2\n3,4"), (6, ""), (7, '1,"2'))
    assert bad == {
        101: "its line is above the first row now (options header and skip)",
        105: "it is more than one row now",
        106: "it is no row now, but blank or a comment",
        107: "a quote is opened and never closed",
    }


def test_a_row_on_several_lines_is_one(bench: Bench) -> None:
    file = bench.put("a.csv", "id,n\n1,x\n")
    assert again(bench, file, (2, '5,"a\nb"')) == ({102: (5, "a\nb")}, {})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_was_not_utf_8_is_read_from_the_file(bench: Bench, end: str) -> None:
    file = bench.put("a.csv", end.join(["id,n", "1,x", '2,"caf\u00e9', 'y"', "3,z"]))
    raw = f'2,"caf\\xe9{end}y"'
    good, bad = again(bench, file, (3, raw, "not UTF-8: x at byte 6"))
    assert (good, bad) == ({103: (2, f"caf\u00e9{end}y")}, {})


def test_a_file_that_is_gone(bench: Bench) -> None:
    gone = replace(bench.put("a.csv", "id,n\n1,x\n"), local="")
    assert again(bench, gone, (2, "1,x")) == ({}, {102: GONE})


def test_json_needs_no_file(bench: Bench) -> None:
    gone = replace(bench.put("a.json", "{}"), local="")
    texts = ((1, '{"n":"a\\nb","id":7}'), (2, "{"), (3, None, "longer than 1 bytes"))
    good, bad = again(bench, gone, *texts, format="ndjson")
    assert good == {101: (7, "a\nb")}
    assert bad[102] == "not valid JSON"
    assert bad[103] == "longer than 1 bytes; only its first 1048576 bytes are kept"
