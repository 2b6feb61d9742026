"""Failures: what an update does with datasets downstream of one that failed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import qanat
from qanat.errors import FileUnreadableError, HistoryMismatchError
from tests.acceptance.projects import Shop


def test_everything_below_a_failure_is_skipped_once(tmp_path: Path) -> None:
    """Once, even if several paths lead to it; datasets on other paths are up to date."""
    shop = Shop(tmp_path)
    shop.file("data/one.csv", "id\n1\n-1\n")
    shop.sql(
        "CREATE STREAMING TABLE bronze (CONSTRAINT good EXPECT (id > 0) ON VIOLATION FAIL UPDATE)"
        " AS SELECT * FROM STREAM read_files('data/*.csv');\n"
        "CREATE STREAMING TABLE silver AS SELECT * FROM STREAM bronze;\n"
        "CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n FROM silver;\n"
        "CREATE MATERIALIZED VIEW both AS SELECT b.id FROM bronze AS b JOIN silver USING (id);\n"
        "CREATE MATERIALIZED VIEW apart AS SELECT 1 AS one;"
    )
    results = {d.dataset: (d.status, d.reason) for d in shop.update().datasets}
    assert results["bronze"][0] == "failed"
    assert results["silver"] == ("skipped", "bronze failed")
    assert results["gold"] == ("skipped", "bronze failed")
    assert results["both"][0] == "skipped"
    assert results["apart"][0] == "updated"


def test_a_file_damaged_below_a_sound_footer_is_named(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    file = shop.file("data/one.parquet", "")
    pq.write_table(pa.table({"id": range(3000), "name": [f"x{n}" for n in range(3000)]}), file)
    content = bytearray(file.read_bytes())
    content[60:400] = b"\xff" * 340
    file.write_bytes(content)
    shop.sql("CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.parquet');")
    error = shop.failures()["t"]
    assert isinstance(error, FileUnreadableError)
    assert "one.parquet" in error.message
    assert error.hint is not None


def test_a_lost_ledger_and_catalog_are_noticed(tmp_path: Path) -> None:
    """The catalog lies beside the ledger; without both, only the table's folder tells of it."""
    shop = Shop(tmp_path)
    shop.file("qanat.yml", "name: shop\ntable_format: iceberg\n")
    shop.sql("CREATE STREAMING TABLE b AS SELECT * FROM STREAM read_files('data/*.csv')")
    first = shop.file("data/1.csv", "id\n1\n")
    shop.run()
    first.unlink()
    shop.file("data/2.csv", "id\n2\n")
    shutil.rmtree(tmp_path / "storage" / "_qanat")
    with qanat.open(tmp_path) as project:
        assert [d.step for d in project.plan().datasets] == ["fail"]
    error = shop.failures()["b"]
    assert isinstance(error, HistoryMismatchError)
    assert "both were lost" in error.message
    assert shop.run(full_refresh=("b",))["b"].counts.written == 1
    with qanat.open(tmp_path) as project:
        assert project.query("FROM b").rows() == [(2,)]


def test_a_plan_knows_that_a_table_has_other_partitions(tmp_path: Path) -> None:
    """Also once an update that found nothing new has recorded the definition."""
    shop = Shop(tmp_path)
    declared = "CREATE STREAMING TABLE b {} AS SELECT * FROM STREAM read_files('data/*.csv')"
    shop.sql(declared.format("PARTITIONED BY (v)"))
    shop.file("data/1.csv", "id,v\n1,1\n")
    shop.run()
    shop.sql(declared.format(""))
    shop.run()
    shop.file("data/2.csv", "id,v\n2,1\n")
    with qanat.open(tmp_path) as project:
        (planned,) = project.plan().datasets
    assert (planned.step, planned.reason) == ("fail", shop.failures()["b"].message)
    with qanat.open(tmp_path) as project:
        (planned,) = project.plan(full_refresh=["b"]).datasets
    assert planned.step == "full refresh"
    assert shop.run(full_refresh=("b",))["b"].counts.written == 2


def test_a_value_that_names_another_error_is_a_value(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE MATERIALIZED VIEW v TBLPROPERTIES ('qanat.on_row_error' = 'fail')"
        " AS SELECT CAST(state AS INT) AS n FROM read_files('data/*.csv', inferSchema => false)"
    )
    for said in ("disk full", "Type with name abc does not exist"):
        shop.file("data/1.csv", f"id,state\n1,{said}\n")
        error = shop.failures()["v"]
        assert (error.code, error.location is not None) == ("Q2004", True), said
