"""Failures: what an update does with datasets downstream of one that failed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from qanat.errors import FileUnreadableError
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
