"""The order of rows in tables whose readers keep the first of several with the same key."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.acceptance.projects import Shop

ROWS = 1_000_000


def test_many_rows_keep_their_order_where_it_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qanat.engines.duckdb.inputs._ORDERED", 0)
    monkeypatch.setenv("QANAT__THREADS", "4")
    shop = Shop(tmp_path)
    (tmp_path / "data").mkdir()
    duckdb.execute(f"COPY (SELECT i AS id FROM range({ROWS}) t(i)) TO '{tmp_path}/data/1.csv'")
    shop.sql(
        """
        CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv');
        CREATE STREAMING TABLE middle (CONSTRAINT r EXPECT (id <> 5) ON VIOLATION DROP ROW)
          AS SELECT id, id % 10 AS key FROM STREAM bronze;
        CREATE STREAMING TABLE silver (CONSTRAINT one EXPECT UNIQUE (key) ON VIOLATION DROP ROW)
          AS SELECT * FROM STREAM middle;
        """
    )
    shop.run()
    for table in ("bronze", "middle"):
        found = duckdb.execute(
            "SELECT count(*) FROM (SELECT id < lag(id) OVER (ORDER BY file_row_number) AS back "
            f"FROM read_parquet('{tmp_path}/storage/tables/{table}/*.parquet', "
            "file_row_number = true)) WHERE back"
        ).fetchall()
        assert found == [(0,)], table
    first = {(n, n) for n in range(10)} - {(5, 5)} | {(15, 5)}
    assert set(shop.rows("silver")) == first
