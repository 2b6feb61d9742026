"""Inputs are bound once: known files are not opened to see their columns, queries carry them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.remembered import Footers
from qanat.model.schema import STRING, Field, Primitive, Schema
from qanat.model.staged import DataFile, StagedTable
from qanat.model.work import Output, TableBatch

ONE = Schema((Field("id", Primitive("long")),))
TWO = Schema((*ONE.fields, Field("label", STRING)))


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def test_files_that_were_staged_here_are_not_opened_to_see_their_columns(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    footers = Footers()
    table = StagedTable(TWO, (DataFile("a.parquet", 1, 1),))
    footers.remember(Output(tmp_path, "a"), table)
    batch = TableBatch((str(tmp_path / "a.parquet"),), TWO)
    # There is no such file, so DuckDB was not asked.
    assert footers.types(con, batch, "nowhere") == {"id": "BIGINT", "label": "VARCHAR"}


def test_columns_that_a_staged_file_does_not_have_yet_are_null(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    con.execute(f"COPY (SELECT 1::BIGINT AS id) TO '{path}' (FORMAT parquet)")
    bindings = Bindings(con, tmp_path)
    bindings.footers.remember(
        Output(tmp_path, "a"), StagedTable(ONE, (DataFile(path.name, path.stat().st_size, 1),))
    )
    bound = bindings.bind("t", TableBatch((str(path),), TWO))
    assert con.sql(bound.plain).fetchall() == [(1, None)]


def test_files_of_others_are_looked_at_once(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    con.execute(f"COPY (SELECT 1::BIGINT AS id) TO '{path}' (FORMAT parquet)")
    footers, batch = Footers(), TableBatch((str(path),), ONE)
    found = footers.types(con, batch, f"read_parquet('{path}')")
    path.unlink()
    assert footers.types(con, batch, "nowhere") == found == {"id": "BIGINT"}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT id + 1 AS n FROM t", [(2,)]),
        ("WITH c AS (FROM t) SELECT id FROM c -- the end", [(1,)]),
        ("SELECT column_name FROM (SHOW t) LIMIT 1", [("id",)]),
        ("PIVOT t ON id USING count(*)", [(1,)]),
    ],
)
def test_a_query_reads_its_inputs_by_their_names(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, sql: str, rows: list[object], full: bool
) -> None:
    path = tmp_path / "a.parquet"
    con.execute(f"COPY (SELECT 1::BIGINT AS id) TO '{path}' (FORMAT parquet)")
    bindings = Bindings(con, tmp_path)
    bindings.bind("t", TableBatch((str(path),), ONE))
    if full:
        sql = sql.replace("PIVOT t", "PIVOT (SELECT id FROM t)")
    over = bindings.over(sql, ["t"], {"t"} if full else set())
    assert con.sql(f"SELECT * FROM (\n{over}\n)").fetchall() == rows


def test_a_version_is_not_passed_over(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    bindings = Bindings(con, tmp_path)
    bindings.bind("t", TableBatch((), ONE))
    with pytest.raises(duckdb.BinderException, match="time travel"):
        con.sql(bindings.over("SELECT * FROM t AS x AT (VERSION => 1)", ["t"], set()))
