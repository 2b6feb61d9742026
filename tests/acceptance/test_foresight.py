"""What is wrong with a declaration: `validate`, `plan`, `run` and `show` say the same of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat
from qanat.errors import QanatError
from qanat.run.decide import Decision, Step
from qanat.run.plan import plan
from qanat.run.results import Selection
from qanat.run.session import Session
from tests.acceptance.projects import Shop

BRONZE = "CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv');\n"
WRONG = """
CREATE MATERIALIZED VIEW a AS SELECT nope, neither FROM bronze;
CREATE MATERIALIZED VIEW b (CONSTRAINT x EXPECT (zzz > 1),
CONSTRAINT y EXPECT (abs(id) > 'x'::DATE))
AS SELECT id FROM bronze;
CREATE STREAMING TABLE c AS SELECT id + DATE '2026-01-01' + 'x'::TIME AS d FROM STREAM bronze;
CREATE MATERIALIZED VIEW d AS SELECT d FROM c;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/1.csv", "id,amount\n1,10\n2,20\n")
    shop.sql(BRONZE)
    return shop


def planned(shop: Shop, **selection: tuple[str, ...]) -> dict[str, Decision]:
    with Session.open(shop.folder) as session:
        return {d.dataset: d for d in plan(session, Selection(**selection)).datasets}


def facts(*errors: QanatError | None) -> list[str]:
    return sorted(str(p) for e in errors if e is not None for p in e.problems)


@pytest.mark.parametrize("has_run", [False, True])
def test_plan_and_run_name_the_mistakes_that_validate_names(shop: Shop, has_run: bool) -> None:
    """All of them, in the same words, before and after the datasets have run."""
    if has_run:
        shop.sql(
            BRONZE
            + "CREATE MATERIALIZED VIEW a AS SELECT id FROM bronze;"
            + "CREATE STREAMING TABLE c AS SELECT id AS d FROM STREAM bronze;"
        )
        shop.run()
        shop.file("data/2.csv", "id,amount\n3,30\n")
    shop.sql(BRONZE + WRONG)
    expected = facts(*shop.validation().problems)
    assert len(expected) == 5
    said = planned(shop)
    assert {n: d.step for n, d in said.items() if d.step.works} == {
        "bronze": Step.APPEND if has_run else Step.CREATE
    }
    assert (said["d"].step, said["d"].reason) == (Step.SKIP, "c would fail")
    assert facts(*(d.error for d in said.values())) == expected
    assert said["a"].reason == "no column 'nope'; and 1 more problem"
    done = {d.dataset: d for d in shop.update().datasets}
    assert facts(*(d.error for d in done.values())) == expected
    assert {n: d.reason for n, d in done.items() if d.error} == {
        n: d.reason for n, d in said.items() if d.error
    }
    if not has_run:
        with qanat.open(shop.folder) as project, pytest.raises(QanatError) as none:
            project.table("a").show()
        assert none.value.message == f"a has no table yet: {said['a'].reason}"


def test_a_reader_that_cannot_take_a_wider_column(shop: Shop) -> None:
    """The plan says so before rows are written again; what the hint says then works."""
    gold = "CREATE MATERIALIZED VIEW gold AS SELECT sum({}) AS total FROM silver;\n"
    silver = "CREATE STREAMING TABLE silver AS SELECT id, amount FROM STREAM bronze;\n"
    shop.sql(BRONZE + silver + gold.format("amount"))
    shop.run()
    shop.file("data/2.csv", "id,amount\nx7,thirty\nx8,much\nx9,more\n")
    said = planned(shop)
    assert "column 'amount' widens from bigint to string" in said["bronze"].consequence
    assert "column 'amount' widens from bigint to string" in said["silver"].consequence
    assert said["gold"].step is Step.FAIL
    failed = shop.failures()
    assert list(failed) == ["gold"]
    assert (failed["gold"].message, failed["gold"].hint) == (
        said["gold"].reason,
        "convert what does not fit: CAST(… AS type)",
    )
    assert [failed["gold"].message in p for p in shop.problems()] == [True]
    shop.sql(BRONZE + silver + gold.format("TRY_CAST(amount AS BIGINT)"))
    assert planned(shop)["gold"].step is Step.RECOMPUTE
    shop.run()
    assert shop.rows("gold") == [(30,)]


def test_a_dataset_that_takes_no_wider_values_itself_does_not_fail(shop: Shop) -> None:
    """What does not fit waits in quarantine, and the plan says no more than that."""
    shop.sql(BRONZE.replace("*", "id, amount * 2 AS twice", 1))
    shop.run()
    shop.file("data/2.csv", "id,amount\n3,much\n")
    assert planned(shop)["bronze"].step is Step.APPEND
    shop.run()
    assert shop.quarantined("bronze") == [(None, ["_malformed"])]


def test_a_table_that_starts_over_need_not_be_fitted(shop: Shop) -> None:
    silver = "CREATE STREAMING TABLE silver AS SELECT {} FROM STREAM bronze;\n"
    shop.sql(BRONZE + silver.format("id, amount"))
    shop.run()
    shop.sql(BRONZE + silver.format("id, 'x' || amount AS amount"))
    assert planned(shop)["silver"].step is Step.FAIL
    again = ("silver",)
    assert planned(shop, full_refresh=again)["silver"].step is Step.FULL_REFRESH
    shop.run(full_refresh=again)
    assert shop.rows("silver") == [(1, "x10"), (2, "x20")]


def test_a_wrong_flow_without_input_stands_in_nobodys_way(shop: Shop) -> None:
    """As in an update, which does not come to it."""
    shop.sql(
        BRONZE + "CREATE STREAMING TABLE both;"
        "CREATE FLOW a AS INSERT INTO both BY NAME SELECT id FROM STREAM bronze;"
        "CREATE FLOW b AS INSERT INTO both BY NAME SELECT nope AS id"
        " FROM STREAM read_files('more/*.csv', schema => 'id BIGINT');"
    )
    (shop.folder / "more").mkdir()
    assert planned(shop)["both"].step is Step.CREATE
    shop.run()
    shop.file("more/1.csv", "id\n1\n")
    assert planned(shop)["both"].reason == "no column 'nope'"
    assert shop.failures()["both"].message == "no column 'nope'"


def test_a_changed_function_may_give_any_columns(shop: Shop) -> None:
    """It is not called to find out, and what reads it is not judged by its old columns."""
    function = (
        "import pyarrow as pa\n@dp.materialized_view\ndef doubled(bronze: pa.Table):\n"
        "    return bronze.select({})\n"
    )
    gold = "CREATE MATERIALIZED VIEW gold AS SELECT {} FROM doubled;\n"
    shop.python(function.format("['id']"))
    shop.sql(BRONZE + gold.format("id"))
    shop.run()
    shop.python(function.format("['id', 'amount']"))
    shop.sql(BRONZE + gold.format("id, amount"))
    assert shop.problems() == []
    assert planned(shop)["gold"].step is Step.RECOMPUTE
    shop.run()
    assert shop.rows("gold") == [(1, 10), (2, 20)]


RULED = "CREATE STREAMING TABLE bronze ({}) AS SELECT * FROM STREAM read_files('data/*.csv');\n"
SMALL = "CONSTRAINT small EXPECT (amount < 15) ON VIOLATION {}"
ANEW = (
    "applies to new rows only, not to the 1 row there (qanat run --full-refresh bronze computes"
    " all rows again)"
)
AGAIN = "1 row in quarantine waits for qanat quarantine replay bronze"


@pytest.mark.parametrize(
    ("rules", "consequence", "replayed"),
    [
        (SMALL.format("QUARANTINE ROW").replace("15", "25"), f"{ANEW}; {AGAIN}", 1),
        (SMALL.format("QUARANTINE ROW").replace("15", "5"), f"{ANEW}; {AGAIN}", 0),
        (SMALL.removesuffix(" ON VIOLATION {}"), f"applies to new rows only; {AGAIN}", 1),
        ("CONSTRAINT id EXPECT (id > 0)", f"applies to new rows only; {AGAIN}", 1),
        (
            "CONSTRAINT id EXPECT (id > 0) ON VIOLATION DROP ROW",
            f"{ANEW}; {AGAIN}",
            1,
        ),
    ],
)
def test_a_replay_is_proposed_where_it_does(
    shop: Shop, rules: str, consequence: str, replayed: int
) -> None:
    """Where a rule only lets more in, no row that is written would be another."""
    shop.sql(RULED.format(SMALL.format("QUARANTINE ROW")))
    shop.run()
    shop.sql(RULED.format(rules))
    assert planned(shop)["bronze"].consequence == consequence
    with qanat.open(shop.folder) as project:
        assert [r.replayed for r in project.replay("bronze")] == [replayed]


def test_rows_that_a_rule_has_dropped_are_not_in_quarantine(shop: Shop) -> None:
    shop.sql(RULED.format(SMALL.format("DROP ROW")))
    shop.run()
    shop.sql(RULED.format("CONSTRAINT id EXPECT (id > 0)"))
    assert planned(shop)["bronze"].consequence == ANEW


def test_an_unread_file_may_bring_the_column_that_a_changed_query_reads(shop: Shop) -> None:
    shop.run()
    silver = "CREATE STREAMING TABLE silver AS SELECT id, more FROM STREAM bronze;\n"
    shop.sql(BRONZE + silver)
    assert planned(shop)["silver"].step is Step.FAIL
    shop.file("data/2.csv", "id,amount,more\n3,30,x\n")
    assert planned(shop)["silver"].step is Step.CREATE
    shop.run()
    assert shop.rows("silver") == [(1, None), (2, None), (3, "x")]
