"""Queries whose columns change while their tables have rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.projects import Shop

BRONZE = (
    "CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv',"
    " schema => 'id BIGINT, amount BIGINT');\n"
)
SILVER = "CREATE STREAMING TABLE silver AS SELECT {} FROM STREAM bronze;\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/1.csv", "id,amount\n1,10\n2,20\n")
    shop.sql(BRONZE + SILVER.format("id, amount"))
    shop.run()
    return shop


def test_validate_compares_a_query_with_its_table(shop: Shop) -> None:
    """The remedy that the hint names works."""
    shop.sql(BRONZE + SILVER.format("id, amount * 1.5 AS amount"))
    (problem,) = shop.validation().problems
    assert problem.message == "column 'amount' of silver does not fit its table"
    assert (problem.wanted, problem.got) == ("bigint", "decimal(21,1)")
    assert problem.hint == ("CAST it in the query, or start over: qanat run --full-refresh silver")
    shop.file("data/2.csv", "id,amount\n3,30\n")
    failed = shop.failures()["silver"]
    assert (failed.message, failed.hint) == (problem.message, problem.hint)
    shop.sql(BRONZE + SILVER.format("id, CAST(amount * 1.5 AS BIGINT) AS amount"))
    assert shop.problems() == []
    shop.run()
    assert shop.rows("silver") == [(1, 10), (2, 20), (3, 45)]


def test_a_table_that_will_be_replaced_is_compared_with_nothing(shop: Shop) -> None:
    shop.sql(BRONZE + "CREATE MATERIALIZED VIEW silver AS SELECT 'x' AS id FROM bronze;")
    assert shop.problems() == []


def test_columns_that_only_the_table_has_can_be_read(shop: Shop) -> None:
    shop.sql(
        BRONZE
        + SILVER.format("id")
        + "CREATE MATERIALIZED VIEW gold AS SELECT sum(amount) AS total FROM silver;"
    )
    assert shop.problems() == []
    shop.run()
    assert shop.rows("gold") == [(30,)]
