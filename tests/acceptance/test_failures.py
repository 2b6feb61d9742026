"""What an update does with the datasets below one that failed."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.projects import Shop


def test_everything_below_a_failure_is_skipped_once(tmp_path: Path) -> None:
    """However many ways lead down to it; what does not depend on it is up to date."""
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
