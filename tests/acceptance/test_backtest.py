"""What checks would have done with past updates: from the table's log and the quarantine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qanat
from qanat.cli.program import main
from qanat.errors import DatasetNotFoundError, Location
from qanat.model.backtest import Backtest
from qanat.model.expectation import Action, Expectation, Tolerance
from qanat.model.rule import (
    Aggregate,
    Fresh,
    HasColumns,
    Predicate,
    References,
    Rule,
    Scope,
    Unique,
)
from qanat.run.backtest import backtest, backtests
from qanat.run.brought import past_epochs
from qanat.run.session import Session
from qanat.run.stored import stored
from tests.acceptance.projects import Shop

SQL = """\
CREATE STREAMING TABLE orders (
  CONSTRAINT known EXPECT (city IS NOT NULL) ON VIOLATION QUARANTINE ROW
) AS SELECT id, city, amount FROM STREAM read_files('in/*.csv', format => 'csv',
  schema => 'id BIGINT, city STRING, amount BIGINT');
CREATE MATERIALIZED VIEW sums AS SELECT city, sum(amount) AS total FROM orders GROUP BY city;
CREATE MATERIALIZED VIEW cities AS SELECT * FROM (VALUES ('Oslo'), ('Rome')) AS t (name);
"""
HEAD = "id,city,amount\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.sql(SQL)
    for day in range(4):
        rows = [f"{10 * day + n},Oslo,{10 * day + n}" for n in range(10)]
        rows += [f"{10 * day},Rome,-1"] if day == 2 else []  # a key that came just before
        rows += ["1,Rome,5", "7000,,-9"] if day == 3 else []  # one that came long ago; no city
        made.file(f"in/{day}.csv", HEAD + "\n".join(rows) + "\n")
        made.run()
    return made


def check(name: str, rule: Rule, action: Action = Action.WARN) -> Expectation:
    return Expectation(name, rule, action, Location("x", 1, 1))


def predicate(sql: str, action: Action = Action.WARN) -> Expectation:
    return check("tried", Predicate(sql, "duckdb"), action)


def tried(
    shop: Shop, *checks: Expectation, dataset: str = "orders", updates: int = 90
) -> Backtest:
    with Session.open(shop.folder) as session:
        return backtest(session, dataset, checks, updates)


def violations(found: Backtest, check: int = 0) -> list[int]:
    return [t.violations for t in found.checks[check].trials]


def test_each_epoch_is_tried_by_itself_with_what_it_put_into_quarantine(shop: Shop) -> None:
    found = tried(shop, predicate("amount >= 0"), predicate("amount < 15"))
    assert (found.looked, found.rows, found.unseen) == (4, 43, ())
    assert violations(found) == [1, 1, 0, 0]
    assert violations(found, 1) == [10, 10, 5, 0]
    first = found.checks[0]
    assert (first.violations, first.violated, first.blocked) == (2, 2, 0)
    assert first.share == pytest.approx(2 / 43)


def test_a_check_that_fails_blocks_an_epoch_and_one_that_quarantines_beyond_the_limit(
    shop: Shop,
) -> None:
    failing = tried(shop, predicate("amount >= 0", Action.FAIL)).checks[0]
    assert [t.blocks for t in failing.trials] == [True, True, False, False]
    tolerant = Expectation("t", Predicate("amount < 15", "duckdb"), Action.FAIL,
                           Location("x", 1, 1), tolerance=Tolerance(share=0.6))  # fmt: skip
    assert [t.blocks for t in tried(shop, tolerant).checks[0].trials] == [
        True, True, False, False]  # fmt: skip
    quarantining = predicate("amount < 25", Action.QUARANTINE)
    assert tried(shop, quarantining).checks[0].blocked == 0
    shop.sql(SQL.replace("\n) AS SELECT id", "\n) TBLPROPERTIES ('qanat.quarantine_limit' = "
                         "'60 %') AS SELECT id"))  # fmt: skip
    assert [t.blocks for t in tried(shop, quarantining).checks[0].trials] == [
        True, False, False, False]  # fmt: skip


def test_keys_are_compared_with_those_of_earlier_epochs(shop: Shop) -> None:
    found = tried(shop, check("one", Unique(("id",))))
    assert violations(found) == [1, 1, 0, 0]
    # Only among the epochs that are looked at, but with all that was there before.
    assert violations(tried(shop, check("one", Unique(("id",))), updates=1)) == [1]


def test_keys_in_quarantine_are_compared_with_those_of_the_table(shop: Shop) -> None:
    known = "ON VIOLATION QUARANTINE ROW"
    one = f"{known},\n  CONSTRAINT one EXPECT UNIQUE (id) {known}"
    shop.sql(SQL.replace(known, one))
    shop.file("in/4.csv", HEAD + "2,Oslo,5\n,Oslo,5\n,,5\n500,,5\n")
    shop.run()
    assert violations(tried(shop, check("one", Unique(("id",)), Action.QUARANTINE)))[0] == 1


def test_keys_in_quarantine_are_compared_with_what_the_table_had_by_then(shop: Shop) -> None:
    shop.file("in/4.csv", HEAD + "800,,5\n801,,5\n2,,5\n")  # without a city: they wait
    shop.run()
    shop.file("in/5.csv", HEAD + "800,Oslo,5\n")  # the same, corrected
    shop.run()
    shop.file("in/6.csv", HEAD + "800,,5\n")
    shop.run()
    found = tried(shop, check("one", Unique(("id",)), Action.QUARANTINE))
    assert violations(found) == [1, 0, 1, 1, 1, 0, 0]


def test_the_table_is_read_once_for_all_rows_in_quarantine(shop: Shop) -> None:
    for day in range(4, 10):
        shop.file(f"in/{day}.csv", HEAD + f"{900 + day},Oslo,5\n2,,5\n")
        shop.run()
    one = check("one", Unique(("id",)), Action.QUARANTINE)
    with Session.open(shop.folder) as session:
        epochs = past_epochs(session, "orders", 6)
        whole = stored(session, "orders").snapshot.bytes
        before = stored(session, "orders", (epochs[-1].version or 0) - 1).snapshot.bytes
        # What the epochs wrote; and the table after the newest, for the rows in quarantine and
        # for those that were written, and before the oldest.
        most = sum(e.bytes_written or 0 for e in epochs) + 2 * whole + before
        found = backtest(session, "orders", (one,), 6, most)
    assert (found.checks[0].problem, violations(found)) == (None, [1] * 6)


def test_what_a_rule_refers_to_is_looked_up_as_it_is_now(shop: Shop) -> None:
    rule = References(("city",), "cities", ("name",))
    assert violations(tried(shop, check("real", rule))) == [0, 0, 0, 0]
    shop.sql(SQL.replace(", ('Rome')", ""))
    shop.run()
    assert violations(tried(shop, check("real", rule))) == [1, 1, 0, 0]


def test_of_a_changed_rule_rows_are_named_that_would_pass_now(shop: Shop) -> None:
    known = check("known", Predicate("city IS NOT NULL OR id > 100", "duckdb"), Action.QUARANTINE)
    assert tried(shop, known).checks[0].released == 1
    assert tried(shop, predicate("city IS NOT NULL OR id > 100")).checks[0].released == 0


def test_a_view_is_tried_with_all_rows_that_it_had(shop: Shop) -> None:
    found = tried(shop, predicate("total < 600"), dataset="sums")
    assert [t.violations for t in found.checks[0].trials] == [1, 0, 0, 0]


def test_epochs_whose_files_are_gone_are_told(shop: Shop) -> None:
    found = tried(shop, predicate("total < 600"), dataset="sums")
    assert found.looked == 4
    for file in sorted((shop.folder / "storage/tables/sums").glob("*.parquet"))[:2]:
        file.unlink()
    found = tried(shop, predicate("total < 600"), dataset="sums")
    assert (found.looked, found.unseen[0].epochs) == (2, 2)
    assert "deleted" in found.unseen[0].reason


def test_rows_that_updates_dropped_are_counted_as_not_tried(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(SQL.replace("QUARANTINE ROW", "DROP ROW"))
    for day, missing in enumerate((1, 0)):
        shop.file(f"in/{day}.csv", HEAD + "1,Oslo,1\n" + "2,,2\n" * missing)
        shop.run()
    with qanat.open(shop.folder) as project:
        (found,) = project.backtest("orders")
        assert (found.rows, found.dropped) == (2, 1)
        text = "tried on 2 updates with 2 rows; 1 row was dropped and is gone: not tried"
        assert text in str(project.backtest("orders"))


def test_rows_that_maintenance_wrote_again_are_read_where_they_were(shop: Shop) -> None:
    before = tried(shop, predicate("amount < 15"), check("one", Unique(("id",))))
    with Session.open(shop.folder) as session:
        from qanat.run.upkeep import maintain

        maintain(session)
    assert tried(shop, predicate("amount < 15"), check("one", Unique(("id",)))) == before


def test_a_check_of_a_column_that_is_not_there_is_a_problem_of_it_alone(
    shop: Shop,
) -> None:
    found = tried(shop, predicate("amuont > 1"), predicate("amount >= 0"))
    assert "amuont" in (found.checks[0].problem or "")
    assert violations(found, 1) == [1, 1, 0, 0]


def test_no_more_is_read_than_is_allowed(shop: Shop) -> None:
    with Session.open(shop.folder) as session:
        sizes = [e.bytes_written or 0 for e in session.recorded.epochs(dataset="orders")]
        most = sum(sizes[:2])
        found = backtest(session, "orders", (predicate("amount >= 0"),), most_bytes=most)
    assert found.looked == 2
    assert sum(u.epochs for u in found.unseen) == 4 - found.looked
    with Session.open(shop.folder) as session:
        found = backtest(
            session, "orders", (check("one", Unique(("id",))),), most_bytes=sum(sizes)
        )
    assert found.looked == 4
    assert "within each update only" in (found.checks[0].problem or "")


def test_only_checks_that_changed_are_tried_if_asked(shop: Shop) -> None:
    with Session.open(shop.folder) as session:
        assert backtests(session, changed=True) == ()
        assert [b.dataset for b in backtests(session)] == ["orders"]
    shop.sql(SQL.replace("QUARANTINE ROW\n", "QUARANTINE ROW,\n CONSTRAINT plus"
                         " EXPECT (amount >= 0)\n"))  # fmt: skip
    with Session.open(shop.folder) as session:
        (found,) = backtests(session, changed=True)
    assert [c.expectation.name for c in found.checks] == ["plus"]
    assert violations(found) == [1, 1, 0, 0]


def test_merges_are_tried_by_the_rows_that_they_brought(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql("""\
CREATE STREAMING TABLE newest;
CREATE FLOW changes AS AUTO CDC INTO newest FROM STREAM read_files('in/*.csv', format => 'csv',
  schema => 'id BIGINT, v BIGINT, at BIGINT') KEYS (id) SEQUENCE BY at;
""")
    shop.file("in/1.csv", "id,v,at\n1,1,1\n2,1,1\n3,1,1\n")
    shop.run()
    shop.file("in/2.csv", "id,v,at\n1,-1,2\n4,5,2\n")
    shop.run()
    found = tried(shop, predicate("v > 0"), dataset="newest")
    assert [(t.rows, t.violations) for t in found.checks[0].trials] == [(2, 1), (3, 0)]


def test_a_dataset_that_never_ran_has_nothing_to_try(shop: Shop) -> None:
    shop.sql(SQL + "CREATE MATERIALIZED VIEW more AS SELECT * FROM orders;")
    found = tried(shop, predicate("id > 0"), dataset="more")
    assert (found.looked, found.checks[0].trials) == (0, ())
    with pytest.raises(DatasetNotFoundError, match="odrers"):
        tried(shop, predicate("id > 0"), dataset="odrers")


def test_a_plan_shows_what_changed_checks_would_have_done(shop: Shop) -> None:
    shop.sql(SQL.replace("QUARANTINE ROW\n", "QUARANTINE ROW,\n CONSTRAINT plus"
                         " EXPECT (amount >= 0) ON VIOLATION FAIL UPDATE,\n CONSTRAINT small"
                         " EXPECT (amount < 40) ON VIOLATION DROP ROW\n"))  # fmt: skip
    with qanat.open(shop.folder) as project:
        plan = project.plan()
        assert [b.dataset for b in plan.backtests] == ["orders"]
        text = str(plan)
        assert "check plus would have blocked 2 of 4 updates (2 rows of 43 violate it)" in text
        assert "check small would have dropped no row of 43 in 4 updates" in text
        tried = project.backtest("orders", changed=True)
    assert tried == plan.backtests
    assert "orders.plus" in str(tried)
    assert "2 of 4" in tried._repr_html_()
    shop.run()
    with qanat.open(shop.folder) as project:
        assert project.plan().backtests == ()


def test_a_plan_names_the_command_that_replays_rows_that_would_pass(shop: Shop) -> None:
    shop.sql(SQL.replace("city IS NOT NULL", "city IS NOT NULL OR id > 100"))
    with qanat.open(shop.folder) as project:
        hint = "1 row in quarantine would pass now (qanat quarantine replay orders)"
        assert hint in str(project.plan())
        assert hint in str(project.backtest("orders"))


def test_the_command_shows_the_same(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["backtest", "orders", "-C", str(shop.folder), "--updates", "3"])
    assert (
        capfd.readouterr().out
        == """\
Check         Action      Violations  Share  In updates  Blocked
orders.known  quarantine           1    3 %      1 of 3        0

orders: tried on 3 updates with 33 rows
"""
    )
    with pytest.raises(SystemExit):
        main(["backtest", "-C", str(shop.folder), "--output", "json"])
    found = json.loads(capfd.readouterr().out)["backtests"][0]
    assert (found["dataset"], found["looked"]) == ("orders", 4)
    assert [t["violations"] for t in found["checks"][0]["trials"]] == [1, 0, 0, 0]


def test_rules_about_the_table_are_tried_on_what_it_was_after_each_epoch(shop: Shop) -> None:
    epoch = Aggregate("count(*) < 11", "duckdb", Scope.EPOCH)
    whole = Aggregate("count(*) <= 30", "duckdb", Scope.TABLE)
    columns = HasColumns((("id", None), ("missing", None)))
    found = tried(
        shop,
        check("few", epoch, Action.FAIL),
        check("small", whole, Action.FAIL),
        check("columns", columns, Action.FAIL),
        predicate("amount >= 0"),
    )
    assert violations(found) == [1, 1, 0, 0]
    assert violations(found, 1) == [1, 1, 0, 0]
    assert violations(found, 2) == [1, 1, 1, 1]
    assert found.checks[1].blocked == 2
    assert violations(found, 3) == [1, 1, 0, 0]


def test_freshness_is_measured_by_the_time_of_each_update(shop: Shop) -> None:
    shop.sql(SQL.replace("amount FROM", "amount, now() AS loaded FROM"))
    shop.run(full_refresh=("orders",))
    fresh = check("fresh", Fresh("loaded", 3600), Action.FAIL)
    (trial,) = tried(shop, fresh, updates=1).checks[0].trials
    assert not trial.blocks
