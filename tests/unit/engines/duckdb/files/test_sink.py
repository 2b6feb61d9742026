"""What a CSV sink writes, the same source reads back as it was."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from qanat.engines.duckdb.write import write
from qanat.model.schema import STRING, Field, Schema
from qanat.model.work import Output

CELLS = (
    *(None, "", "a", "NA", "NULL", " x ", "a\rb", "a\nb", "a\r\nb", "a,b", "a;b", "a|b", 'q"q'),
    *('"', '""', "it's", "'", "''", "\\", '\\"', "\ta", "é", "\0", "#c", "\r", "\n", " ", ' "q" '),
)


def back(bench: Any, folder: Path, rows: list[tuple[Any, ...]], **options: str) -> Any:
    """The rows, written to a file and read from it, as text."""
    schema = Schema(tuple(Field(f"c{n}", STRING) for n in range(len(rows[0]))))
    marks = ", ".join("?" * len(rows[0]))
    bench.con.execute(
        f"CREATE OR REPLACE TEMP TABLE t ({', '.join(f'{n} VARCHAR' for n in schema.names)})"
    )
    bench.con.executemany(f"INSERT INTO t VALUES ({marks})", rows)
    output = Output(folder, "p", "csv", options=tuple(options.items()))
    [file] = write(bench.con, "SELECT * FROM t", schema, output).files
    local = bench.put("a.csv", (folder / file.path).read_bytes())
    return bench.rows(bench.bind(local, infer_schema=False, **{"header": "true"} | options))


@pytest.mark.parametrize("seed", range(30))
def test_texts_come_back(bench: Any, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    options = {}
    if seed % 2:
        options["delimiter"] = draw.choice((";", "|", "\t", "||"))
    if seed % 3 == 0:
        options["null_value"] = draw.choice(("NA", "NULL", "-"))
    if seed % 5 == 0:
        options["quote"] = "'"
    if seed % 7 == 0:
        options["escape"] = "\\"
    width = draw.choice((1, 2, 3))
    rows = [tuple(draw.choices(CELLS, k=width)) for _ in range(draw.randint(1, 20))]
    assert back(bench, tmp_path / "out", rows, **options) == rows


def test_null_the_empty_text_and_a_text_that_looks_like_null(bench: Any, tmp_path: Path) -> None:
    rows = [("", None), (None, "NA"), ("NA", "")]
    assert back(bench, tmp_path / "a", rows) == rows
    assert back(bench, tmp_path / "b", rows, null_value="NA") == rows


def test_an_empty_value_of_an_only_column(bench: Any, tmp_path: Path) -> None:
    rows = [("",), (None,), ("NA",)]
    assert back(bench, tmp_path / "a", rows) == rows
    assert back(bench, tmp_path / "b", rows, null_value="NA") == rows
