"""Checks of rows and of tables: whom they are about, what is tolerated, what they measure."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat
from qanat.errors import CheckUndecidedError, ExpectationFailedError, QanatError
from qanat.model.staged import RuleCount
from tests.acceptance.projects import Shop

READ = (
    "STREAM read_files('in/*.csv', format => 'csv', header => true,"
    " schema => 'id BIGINT, x BIGINT, at TIMESTAMP')"
)


class Checked(Shop):
    """A streaming table `t` of files, with checks."""

    def declare(
        self, *checks: str, before: str = "", query: str = f"SELECT * FROM {READ}"
    ) -> None:
        listed = ",\n  ".join(f"CONSTRAINT {check}" for check in checks)
        self.sql(f"{before}\nCREATE OR REFRESH STREAMING TABLE t (\n  {listed}\n) AS {query};")

    def put(self, name: str, *rows: str) -> None:
        self.file(f"in/{name}.csv", "\n".join(("id,x,at", *rows, "")))

    def counts(self) -> dict[str, RuleCount]:
        return {r.rule: r for d in self.run().values() for r in d.rules if r.dataset in ("t", "v")}

    def error(self) -> QanatError | None:
        return self.failures().get("t")

    def ids(self) -> list[int]:
        return [row[0] for row in self.rows("t")]


@pytest.fixture
def shop(tmp_path: Path) -> Checked:
    """An empty project."""
    return Checked(tmp_path / "shop")


def test_rows_outside_the_filter_pass_and_do_not_count(shop: Checked) -> None:
    shop.declare("big EXPECT (x > 5) WHERE (id < 3) ON VIOLATION DROP ROW")
    shop.put("1", "1,9,", "2,1,", "3,1,")
    found = shop.counts()["big"]
    assert (found.violations, found.rows) == (1, 2)
    assert shop.ids() == [1, 3]


def test_a_condition_is_not_computed_for_rows_outside_the_filter(shop: Checked) -> None:
    shop.declare("whole EXPECT (CAST(x::VARCHAR AS DATE) > DATE '2020-01-01') WHERE (id < 0)")
    shop.put("1", "1,9,")
    assert shop.counts()["whole"].violations == 0


@pytest.mark.parametrize(("clause", "violations"), [("", 1), ("NULLS PASS", 0)])
def test_what_null_means(shop: Checked, clause: str, violations: int) -> None:
    shop.declare(f"big EXPECT (x > 5) {clause}")
    shop.put("1", "1,9,", "2,,")
    assert shop.counts()["big"].violations == violations


@pytest.mark.parametrize(("limit", "fails"), [("25 %", True), ("1 ROW", False), ("50 %", False)])
@pytest.mark.parametrize("action", ["FAIL UPDATE", "DROP ROW"])
def test_a_tolerance_decides_whether_the_dataset_fails(
    shop: Checked, limit: str, fails: bool, action: str
) -> None:
    shop.declare(f"big EXPECT (x > 5) WHERE (id < 9) TOLERATE {limit} ON VIOLATION {action}")
    shop.put("1", "1,9,", "2,9,", "3,1,", "9,9,")
    error = shop.error()
    assert isinstance(error, ExpectationFailedError) is fails
    if not fails:
        assert shop.ids() == ([1, 2, 3, 9] if action == "FAIL UPDATE" else [1, 2, 9])


def test_unique_and_references_look_at_the_rows_of_their_filter(shop: Checked) -> None:
    shop.declare(
        "once EXPECT UNIQUE (id) WHERE (x > 0) ON VIOLATION DROP ROW",
        "known EXPECT (id) REFERENCES ids (id) WHERE (x = 0)",
        before="CREATE OR REFRESH MATERIALIZED VIEW ids AS SELECT 1 AS id;",
    )
    shop.put("1", "1,1,", "2,0,")
    first = shop.counts()
    shop.put("2", "1,2,", "2,0,", "2,5,")
    second = shop.counts()
    assert (first["known"].violations, second["once"].violations) == (1, 1)
    assert shop.ids() == [1, 2, 2, 2]


def test_increasing_looks_at_the_table_and_the_rows_before(shop: Checked) -> None:
    shop.declare("later EXPECT INCREASING (x) ON VIOLATION QUARANTINE ROW")
    shop.put("1", "1,5,", "2,3,", "3,5,", "4,,")
    assert shop.counts()["later"].violations == 1
    shop.put("2", "5,4,", "6,7,")
    assert shop.counts()["later"].violations == 1
    assert shop.ids() == [1, 3, 4, 6]


def test_table_and_epoch_are_different_rows(shop: Checked) -> None:
    shop.declare(
        "all EXPECT TABLE (count(*) < 4 AND sum(x) > 0)", "new EXPECT EPOCH (count(*) < 2)"
    )
    shop.put("1", "1,1,", "2,1,")
    first = shop.counts()
    shop.put("2", "3,1,", "4,1,")
    second = shop.counts()
    assert [r.violations for r in (first["all"], second["all"])] == [0, 1]
    assert [r.violations for r in (first["new"], second["new"])] == [1, 1]
    assert first["all"].value == "count(*) = 2, sum(x) = 2"
    assert second["all"].value == "count(*) = 4, sum(x) = 4"
    assert second["new"].value == "count(*) = 2"


def test_a_table_rule_that_fails_publishes_nothing(shop: Checked) -> None:
    shop.declare("few EXPECT TABLE (count(*) < 2) ON VIOLATION FAIL UPDATE")
    shop.put("1", "1,1,")
    shop.run()
    shop.put("2", "2,1,")
    error = shop.error()
    assert isinstance(error, ExpectationFailedError)
    assert error.message == "t violates few"
    assert error.got == "count(*) = 2"
    assert shop.ids() == [1]


def test_reconciliation_reads_another_table_after_it_was_updated(shop: Checked) -> None:
    shop.declare("same EXPECT TABLE (sum(x) = (SELECT sum(x) FROM later))")
    shop.file(
        "transformations/zz.sql",
        "CREATE OR REFRESH MATERIALIZED VIEW later AS SELECT sum(x) AS x FROM"
        " read_files('in/*.csv', schema => 'id BIGINT, x BIGINT, at TIMESTAMP');",
    )
    shop.put("1", "1,3,", "2,4,")
    found = shop.counts()["same"]
    assert found.violations == 0
    assert found.value == "sum(x) = 7, (SELECT sum(x) FROM later) = 7"


def test_a_rule_that_cannot_be_decided_is_an_error(shop: Checked) -> None:
    shop.declare("old EXPECT TABLE (max(x) > 0)")
    shop.put("1", "1,,")
    assert isinstance(shop.error(), CheckUndecidedError)
    shop.declare("old EXPECT TABLE (max(x) > 0) NULLS PASS")
    assert shop.counts()["old"].violations == 0


def test_freshness(shop: Checked) -> None:
    shop.declare(
        "new EXPECT FRESH (at) WITHIN INTERVAL 2 HOURS",
        "ever EXPECT FRESH (at) WITHIN 100000 DAYS",
    )
    shop.put("1", "1,1,2020-01-01 00:00:00")
    found = shop.counts()
    assert (found["new"].violations, found["ever"].violations) == (1, 0)
    value = found["new"].value
    assert value is not None
    assert value.startswith("max(at) = 2020-01-01 00:00:00, ")


@pytest.mark.parametrize(
    ("column", "rows", "distance"),
    [
        ("x", ("1,1,", "2,2,"), "distance 0.5"),
        ("x", ("1,1,", "1,2,", "1,3,", "1,4,"), "distance 0"),
    ],
)
def test_distributions_are_compared(
    shop: Checked, column: str, rows: tuple[str, ...], distance: str
) -> None:
    shop.declare(
        f"like EXPECT DISTRIBUTION ({column}) LIKE four (v) WITHIN 0.4",
        before="CREATE OR REFRESH MATERIALIZED VIEW four AS SELECT unnest([1, 2, 3, 4]) AS v;",
    )
    shop.put("1", *rows)
    found = shop.counts()["like"]
    assert found.value == distance
    assert found.violations == int(distance != "distance 0")


def test_distributions_of_texts_differ_by_shares(shop: Checked) -> None:
    shop.declare(
        "like EXPECT DISTRIBUTION (c) LIKE two (v) WITHIN 0.25",
        before="CREATE OR REFRESH MATERIALIZED VIEW two AS SELECT unnest(['a', 'b']) AS v;",
        query=f"SELECT CASE WHEN x = 1 THEN 'a' ELSE 'b' END AS c FROM {READ}",
    )
    shop.put("1", "1,1,", "1,1,", "1,1,", "1,2,")
    found = shop.counts()["like"]
    assert (found.value, found.violations) == ("distance 0.25", 0)


def test_the_same_rows(shop: Checked) -> None:
    shop.declare(
        "same EXPECT SAME ROWS AS other KEYS (id) COLUMNS (x)",
        before="CREATE OR REFRESH MATERIALIZED VIEW other AS"
        " FROM (VALUES (1, 1), (2, 2)) v(id, x);",
    )
    shop.put("1", "1,1,", "2,3,", "4,4,")
    found = shop.counts()["same"]
    assert found.value == "1 only here, 0 only there, 1 with other values"
    assert found.violations == 1


def test_columns(shop: Checked) -> None:
    shop.declare(
        "all EXPECT COLUMNS (id BIGINT, x, at) IN ORDER ONLY",
        "typed EXPECT COLUMNS (x VARCHAR)",
    )
    shop.put("1", "1,1,")
    found = shop.counts()
    assert (found["all"].violations, found["typed"].value) == (0, "x is bigint")


def test_table_rules_of_merges_see_the_table_as_it_would_be(shop: Checked) -> None:
    shop.sql(
        "CREATE OR REFRESH STREAMING TABLE t (\n"
        "  CONSTRAINT total EXPECT TABLE (sum(x) < 10) ON VIOLATION FAIL UPDATE,\n"
        "  CONSTRAINT came EXPECT EPOCH (count(*) = 2));\n"
        f"CREATE FLOW f AS AUTO CDC INTO t FROM {READ} KEYS (id) SEQUENCE BY at;"
    )
    shop.put("1", "1,4,2020-01-01", "2,5,2020-01-01")
    assert shop.counts()["total"].value == "sum(x) = 9"
    shop.put("2", "1,1,2020-01-02", "2,1,2020-01-02")
    found = shop.counts()
    assert (found["total"].value, found["came"].violations) == ("sum(x) = 2", 0)
    shop.put("3", "1,20,2020-01-03")
    assert isinstance(shop.error(), ExpectationFailedError)


def test_rules_of_a_materialized_view(shop: Checked) -> None:
    shop.sql(
        "CREATE OR REFRESH MATERIALIZED VIEW t (CONSTRAINT n EXPECT EPOCH (count(*) > 5),"
        " CONSTRAINT m EXPECT TABLE (count(DISTINCT id) = 2) ON VIOLATION FAIL UPDATE)"
        " AS SELECT unnest([1, 2]) AS id;"
    )
    found = shop.counts()
    assert (found["n"].violations, found["n"].value, found["m"].violations) == (
        1,
        "count(*) = 2",
        0,
    )
    with qanat.open(shop.folder) as project:
        checks = {c.rule: c for c in project.test()}
    assert (checks["n"].violations, checks["m"].value) == (1, "count(DISTINCT id) = 2")


def test_stored_tables_are_tested_by_rules_about_them(shop: Checked) -> None:
    shop.declare(
        "few EXPECT TABLE (count(*) < 2)",
        "new EXPECT EPOCH (count(*) < 2)",
        "big EXPECT (x > 5) TOLERATE 60 % WITH (owner = 'ops', severity = 'low', tags = 'a, b')",
        "wide EXPECT COLUMNS (id, y)",
    )
    shop.put("1", "1,9,", "2,1,")
    shop.run()
    with qanat.open(shop.folder) as project:
        checks = {c.rule: c for c in project.test()}
    assert sorted(checks) == ["big", "few", "wide"]  # the rows of an epoch are not known any more
    assert (checks["few"].violations, checks["few"].value) == (1, "count(*) = 2")
    assert checks["wide"].value == "no column y"
    big = checks["big"]
    assert (big.violations, big.tolerated, big.owner, big.tags) == (1, True, "ops", ("a", "b"))


def test_views_take_rules_about_their_rows_in_an_epoch(shop: Checked) -> None:
    shop.sql(
        "CREATE TEMPORARY VIEW v (CONSTRAINT one EXPECT EPOCH (count(*) = 1))"
        f" AS SELECT * FROM {READ};\n"
        "CREATE OR REFRESH STREAMING TABLE t AS SELECT * FROM STREAM v;"
    )
    shop.put("1", "1,9,", "2,1,")
    assert shop.counts()["one"].value == "count(*) = 2"


def test_views_take_no_rules_about_a_table(shop: Checked) -> None:
    shop.sql(
        "CREATE TEMPORARY VIEW v (CONSTRAINT one EXPECT TABLE (count(*) = 1)) AS SELECT 1 AS id;\n"
        "CREATE OR REFRESH MATERIALIZED VIEW t AS SELECT * FROM v;"
    )
    (problem,) = shop.problems()
    assert "expectation one: temporary view v has no table" in problem


def test_replays_look_at_no_rules_about_epochs(shop: Checked) -> None:
    shop.declare(
        "big EXPECT (x > 5) TOLERATE 3 ROWS ON VIOLATION QUARANTINE ROW",
        "many EXPECT EPOCH (count(*) > 1) ON VIOLATION FAIL UPDATE",
        "all EXPECT TABLE (count(*) < 9) ON VIOLATION FAIL UPDATE",
    )
    shop.put("1", "1,9,", "2,8,", "3,1,")
    shop.run()
    shop.declare(
        "big EXPECT (x > 0) ON VIOLATION QUARANTINE ROW",
        "many EXPECT EPOCH (count(*) > 1) ON VIOLATION FAIL UPDATE",
        "all EXPECT TABLE (count(*) < 9) ON VIOLATION FAIL UPDATE",
    )
    with qanat.open(shop.folder) as project:
        (replayed,) = project.quarantine("t").replay()
    assert replayed.replayed == 1
    assert shop.ids() == [1, 2, 3]


def test_severity_and_owner_change_no_definition(shop: Checked) -> None:
    def state(clause: str) -> str:
        shop.sql(
            f"CREATE OR REFRESH MATERIALIZED VIEW t (CONSTRAINT a EXPECT (id > 0) {clause})"
            " AS SELECT 1 AS id;"
        )
        return shop.run()["t"].status

    assert state("") == "updated"
    assert state("WITH (severity = 'high', owner = 'a@b', comment = 'c')") == "unchanged"
    assert state("WHERE (id > 5)") == "updated"


def test_conditions_in_the_dialect_of_spark(shop: Checked) -> None:
    shop.file("qanat.yml", "name: shop\ndialect: spark\n")
    shop.sql(
        "CREATE OR REFRESH MATERIALIZED VIEW u AS SELECT 1 AS id, 'a' AS `a b`;\n"
        "CREATE OR REFRESH MATERIALIZED VIEW t (\n"
        "  CONSTRAINT a EXPECT (`a b` RLIKE '^a') WHERE (size(array(id)) = 1) NULLS PASS,\n"
        "  CONSTRAINT b EXPECT TABLE (count_if(id > 0) = (SELECT count(*) FROM u))\n"
        ") AS SELECT * FROM u;"
    )
    found = shop.counts()
    assert (found["a"].violations, found["a"].rows) == (0, 1)
    assert found["b"].value == "count_if(id > 0) = 1, (SELECT count(*) FROM u) = 1"


@pytest.mark.parametrize(
    ("check", "column"),
    [
        ("a EXPECT (x > 1) WHERE (idd = 1)", "idd"),
        ("a EXPECT INCREASING (y)", "y"),
        ("a EXPECT FRESH (att) WITHIN 1 HOUR", "att"),
        ("a EXPECT TABLE (sum(xx) > 1)", "xx"),
        ("a EXPECT SAME ROWS AS u KEYS (idd)", "idd"),
        ("a EXPECT DISTRIBUTION (x) LIKE u (y) WITHIN 0.1", "y"),
    ],
)
def test_columns_that_are_not_there_are_found_without_running(
    shop: Checked, check: str, column: str
) -> None:
    shop.declare(check, before="CREATE OR REFRESH MATERIALIZED VIEW u AS SELECT 1 AS id, 2 AS x;")
    shop.put("1", "1,1,")
    problem, *_ = shop.problems()
    assert f"expectation a uses column {column!r}" in problem
