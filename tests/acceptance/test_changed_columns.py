"""Queries whose columns change while their tables have rows."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat
from qanat.model.event import Warned
from qanat.run.decide import Step
from qanat.run.plan import plan
from qanat.run.session import Session
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
    assert problem.hint == (
        "CAST it to bigint in the query, or start over: qanat run --full-refresh silver"
    )
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


def test_a_column_that_the_query_gives_no_more_is_told(shop: Shop) -> None:
    """By the plan and by the update, once, with the way out."""
    shop.sql(BRONZE + SILVER.format("id"))
    shop.file("data/2.csv", "id,amount\n3,30\n")
    said = (
        "column amount is given no more and stays, NULL in new rows (qanat run --full-refresh"
        " silver takes it away)"
    )
    with Session.open(shop.folder) as session:
        (silver,) = [d for d in plan(session).datasets if d.dataset == "silver"]
    assert silver.consequence.endswith(said)
    with qanat.open(shop.folder) as project:
        project.run()
        told = [e.event for e in project.events(dataset="silver").events]
        assert [e.message for e in told if isinstance(e, Warned)] == [said]
        assert project.plan("silver").datasets[0].consequence == ""
        project.run(full_refresh="silver")
        assert project.table("silver").show().schema.names == ("id",)


def test_columns_that_only_the_table_has_can_be_read(shop: Shop) -> None:
    shop.sql(
        BRONZE
        + SILVER.format("id")
        + "CREATE MATERIALIZED VIEW gold AS SELECT sum(amount) AS total FROM silver;"
    )
    assert shop.problems() == []
    shop.run()
    assert shop.rows("gold") == [(30,)]


def test_a_new_column_can_be_read_at_once(shop: Shop) -> None:
    """Also before any new row has come, by views and by streams; `plan` says so."""
    shop.sql(
        BRONZE
        + SILVER.format("id, amount, amount * 2 AS twice")
        + "CREATE STREAMING TABLE copied AS SELECT id, twice FROM STREAM silver;\n"
        + "CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n, sum(twice) AS twice FROM silver;"
    )
    assert shop.problems() == []
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d for d in plan(session).datasets}
    assert (planned["silver"].step, planned["silver"].reason) == (
        Step.APPEND,
        "its query has new columns: twice",
    )
    results = shop.run()
    assert {n: r.status for n, r in results.items()} == {
        "bronze": "unchanged",
        "silver": "updated",
        "copied": "updated",
        "gold": "updated",
    }
    assert shop.rows("silver") == [(1, 10, None), (2, 20, None)]
    assert shop.rows("copied") == [(1, None), (2, None)]
    assert shop.rows("gold") == [(2, None)]
    assert {r.status for r in shop.run().values()} == {"unchanged"}
    shop.file("data/2.csv", "id,amount\n3,30\n")
    shop.run()
    assert shop.rows("silver") == [(1, 10, None), (2, 20, None), (3, 30, 60)]
    assert shop.rows("gold") == [(3, 60)]


def test_a_mismatch_is_told_by_plan_and_run_before_rows_come(shop: Shop) -> None:
    shop.sql(
        BRONZE
        + SILVER.format("id, CAST(amount AS VARCHAR) AS amount")
        + "CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n FROM silver;"
    )
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d for d in plan(session).datasets}
    assert planned["silver"].step is Step.FAIL
    assert planned["silver"].reason == "column 'amount' of silver does not fit its table"
    assert "--full-refresh silver" in planned["silver"].consequence
    assert planned["gold"].reason == "silver would fail"
    assert shop.failures()["silver"].message == planned["silver"].reason


def test_a_new_column_goes_through_a_star(shop: Shop) -> None:
    """`SELECT *` gives another column without being changed itself."""
    star = "CREATE STREAMING TABLE copied AS SELECT * FROM STREAM silver;\n"
    shop.sql(BRONZE + SILVER.format("id") + star)
    shop.run()
    gold = "CREATE MATERIALIZED VIEW gold AS SELECT sum(amount) AS total FROM copied;"
    shop.sql(
        BRONZE
        + SILVER.format("id, amount * 3 AS thrice")
        + star
        + gold.replace("amount", "thrice")
    )
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d.step for d in plan(session).datasets}
    assert (planned["silver"], planned["copied"]) == (Step.APPEND, Step.APPEND)
    assert shop.run()["copied"].status == "updated"
    assert shop.columns("copied")[-1] == "thrice bigint"
    assert {r.status for r in shop.run().values()} == {"unchanged"}
