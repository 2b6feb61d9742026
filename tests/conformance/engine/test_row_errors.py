"""Rows that a query cannot compute: they go to quarantine, and are computed again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from qanat.errors import ContractError
from qanat.model.query import Query, Read, Readmission, dataset_ref
from qanat.model.staged import Counts, Staged
from qanat.model.work import Output, Recomputation, TableBatch, ViewBatch, ViewWork
from tests.conformance.engine.bench import HERE, Bench, violations
from tests.conformance.engine.capabilities import needs

pytestmark = needs("row errors")
QUARANTINE = "target__quarantine"
ROWS = {"id": [1, 2, 3, 4], "v": ["5", "x", None, "8"], "n": [1, 0, 2, 0]}


def _failed(bench: Bench, staged: Staged) -> dict[int, str]:
    """By `id` of the input, why a row failed."""
    rows = bench.quarantined(staged)
    failed = [r for r in rows if r["_quarantine_raw"] is not None]
    return {
        int(json.loads(r["_quarantine_raw"])["id"]): dict(r["_quarantine_rules"])["_failed"]
        for r in failed
    }


def test_one_value_stops_no_other(bench: Bench) -> None:
    inputs = {"t": bench.table(ROWS)}
    staged = bench.stage("SELECT id, CAST(v AS INT) AS v FROM t", inputs, sets_aside=True)
    assert staged.counts == Counts(out=4, written=3, quarantined=1)
    assert violations(staged) == {"_failed": 1}
    assert [(r["id"], r["v"]) for r in bench.rows(staged.table)] == [(1, 5), (3, None), (4, 8)]
    (row,) = bench.quarantined(staged)
    assert dict(row["_quarantine_rules"]) == {"_failed": "CAST(v AS INT) fails for v = 'x'"}
    assert json.loads(row["_quarantine_raw"]) == {"id": "2", "v": "x", "n": "0"}
    assert row["_quarantine_source"]["row"] == 2
    assert row["_quarantine_id"] == "flow:7:f1"


def test_unless_it_shall(bench: Bench) -> None:
    inputs = {"t": bench.table(ROWS)}
    with pytest.raises(ContractError, match="does not fit"):
        bench.stage("SELECT id, CAST(v AS INT) AS v FROM t", inputs)
    assert bench.files() == []


@pytest.mark.parametrize(
    ("sql", "failing"),
    [
        ("SELECT id, 10 // n AS q FROM t", {2, 4}),
        ("SELECT id, (n + 126)::TINYINT * 1::TINYINT AS q FROM t", {3}),
        ("SELECT id, make_date(2024, n, 1) AS d FROM t", {2, 4}),
        ("SELECT id, json_extract(coalesce(v, '1'), '$.a') AS j FROM t", {2}),
        ("SELECT id, strptime('2024-0' || n, '%Y-%m') AS d FROM t", {2, 4}),
        ("SELECT * REPLACE (CAST(v AS INT) AS v) FROM t", {2}),
        ("SELECT * FROM t WHERE CAST(v AS INT) > 5", {2}),
        # What the condition rejects anyway may fail.
        ("SELECT * FROM t WHERE id <> 2 AND CAST(v AS INT) > 5", set()),
        ("SELECT * FROM t WHERE CAST(v AS INT) > 5 AND id <> 2", set()),
        ("SELECT * FROM t WHERE (id = 2 OR CAST(v AS INT) > 5) AND 10 // n > 0", {2, 4}),
        # An engine computes the parts in the order that it likes.
        ("SELECT * FROM t WHERE CAST(v AS INT) > 5 AND md5(md5(coalesce(v, ''))) < '6'", set()),
        ("SELECT * FROM t WHERE CAST(v AS INT) > 5 OR id > 1", {2}),
        ("SELECT * FROM t WHERE (CAST(v AS INT) > 5 OR n = 0) AND id <> 2", set()),
        ("SELECT id, CAST(v AS INT) AS w, w + 1 AS x FROM t WHERE w > 5", {2}),
        ("SELECT t.id, CAST(t.v AS INT) AS w FROM t LEFT JOIN u ON t.n = u.n", {2}),
        ("SELECT id, [CAST(x AS INT) FOR x IN [v]] AS l FROM t", {2}),
        # Rows that the join has no partner for.
        (
            """SELECT t.id, CAST(t.v AS INT) + k.m AS w FROM t
            LEFT JOIN (SELECT n, n + 1 AS m FROM u) AS k ON t.n = k.n
            WHERE k.m IS NULL OR CAST(t.v AS INT) > k.m""",
            {2},
        ),
        ("SELECT t.id FROM t JOIN u ON t.n + 1 = u.n + 1 AND CAST(t.v AS INT) > u.n", {2}),
        ("SELECT t.id FROM t JOIN u ON t.n + 1 = u.n + 1 WHERE CAST(t.v AS INT) > u.n", {2}),
        ("SELECT t.id FROM t JOIN u ON CAST(t.v AS INT) > u.n WHERE t.id <> 2", set()),
        ("SELECT t.id, CASE WHEN u.n = 0 THEN CAST(t.v AS INT) END AS w FROM t, u", set()),
        # Beside subqueries
        ("SELECT id, CAST(v AS INT) AS v FROM t WHERE n IN (SELECT n FROM u)", set()),
        ("SELECT id, CAST(v AS INT) AS v FROM t WHERE n NOT IN (SELECT n FROM u)", {2}),
        ("SELECT id FROM t WHERE CAST(v AS INT) NOT IN (SELECT n FROM u)", {2}),
        (
            """SELECT id FROM t WHERE CAST(v AS INT) > 1
            AND EXISTS (SELECT 1 FROM u WHERE u.n = t.n)""",
            set(),
        ),
        ("SELECT id, CAST(v AS INT) + (SELECT max(n) FROM u) AS v FROM t", {2}),
        ("SELECT id, CAST(v AS INT) AS v, now() AS at, random() AS r FROM t", {2}),
        # CTEs and subqueries
        ("WITH c AS (SELECT id, CAST(v AS INT) AS v FROM t) SELECT *, v + 1 AS w FROM c", {2}),
        ("WITH c AS (SELECT id, v, n FROM t) SELECT id, CAST(v AS INT) AS w, n FROM c", {2}),
        (
            """WITH c AS (SELECT *, v AS w FROM t), d AS (SELECT id, 10 // n AS q, w FROM c)
            SELECT id, q, CAST(w AS INT) + q AS w FROM d""",
            {2, 4},
        ),
        ("WITH t AS (SELECT id, 10 // n AS n, v FROM t) SELECT id, v::INT AS v FROM t", {2, 4}),
        ("SELECT id, CAST(v AS INT) AS v FROM (SELECT * FROM t WHERE id <> 2)", set()),
        ("SELECT id, CAST(v AS INT) AS v FROM (SELECT * FROM t) AS c", {2}),
        ("WITH c AS (SELECT id, CAST(v AS INT) AS v FROM t) FROM c WHERE id > 2", set()),
        (
            """WITH k AS (SELECT n FROM u), c AS (SELECT t.id, t.v FROM t JOIN k ON k.n = t.n)
            SELECT c.id, CAST(v AS INT) AS v FROM c LEFT JOIN k ON true""",
            set(),
        ),
        (
            """WITH k AS (SELECT n FROM u), c AS (SELECT t.id, t.v FROM t LEFT JOIN k ON k.n = t.n)
            SELECT c.id, CAST(v AS INT) AS v FROM c LEFT JOIN k ON true""",
            {2},
        ),
    ],
)
def test_whatever_fails(bench: Bench, sql: str, failing: set[int]) -> None:
    inputs = {"t": bench.table(ROWS), "u": bench.table({"n": [1]})}
    query = bench.query(sql, inputs)
    # A stream beside a table that is looked up.
    reads = tuple(replace(r, streaming=r.name == "t") for r in query.reads)
    staged = bench.stage(replace(query, reads=reads), inputs, sets_aside=True)
    assert set(_failed(bench, staged)) == failing
    kept = {r["id"] for r in bench.rows(staged.table)}
    assert not kept & failing
    assert staged.counts.written == len(kept)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(CAST(v AS INT)) AS v FROM t",
        "SELECT DISTINCT CAST(v AS INT) AS v FROM t",
        "SELECT CAST(v AS INT) + row_number() OVER () AS v FROM t",
        "SELECT t.id FROM t JOIN (SELECT CAST('x' || id AS INT) AS i FROM t) AS o ON o.i = t.id",
        "WITH c AS (SELECT id, v FROM t) SELECT sum(CAST(v AS INT)) AS v FROM c",
    ],
)
def test_other_queries_fail_as_a_whole(bench: Bench, sql: str) -> None:
    with pytest.raises(ContractError):
        bench.stage(sql, {"t": bench.table(ROWS)}, sets_aside=True)
    assert bench.files() == []


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("SELECT CAST(v AS INT) AS v FROM t UNION ALL SELECT 9", {5, 8, 9, None}),
        ("WITH c AS (SELECT id, CAST(v AS INT) AS v FROM t) SELECT sum(v) AS v FROM c", {13}),
        ("WITH c AS (SELECT CAST(v AS INT) AS v FROM t) FROM c UNION ALL FROM c", {5, 8, None}),
    ],
)
def test_parts_that_compute_row_by_row(bench: Bench, sql: str, values: set[int | None]) -> None:
    staged = bench.stage(sql, {"t": bench.table(ROWS)}, sets_aside=True)
    assert set(_failed(bench, staged)) == {2}
    assert {r["v"] for r in bench.rows(staged.table)} == values


def test_declared_types_are_casts(bench: Bench) -> None:
    work = bench.work("SELECT id, v FROM t", {"t": bench.table(ROWS)})
    typed = bench.table({"id": [1], "v": [1]}).schema
    staged = bench.stage(
        work.query, work.inputs, output=replace(work.output, declared=typed), sets_aside=True
    )
    assert _failed(bench, staged) == {2: 'CAST("v" AS BIGINT) fails for "v" = \'x\''}


def test_declared_types_below_a_join(bench: Bench) -> None:
    inputs = {"t": bench.table(ROWS), "u": bench.table({"n": [0, 0, 1]})}
    query = bench.query("SELECT t.id, t.v FROM t JOIN u ON u.n = t.n", inputs)
    reads = tuple(replace(r, streaming=r.name == "t") for r in query.reads)
    typed = bench.table({"id": [1], "v": [1]}).schema
    staged = bench.stage(
        replace(query, reads=reads),
        inputs,
        output=replace(bench.work("SELECT 1", {}).output, declared=typed),
        sets_aside=True,
    )
    # Once, though it is joined to two rows.
    assert set(_failed(bench, staged)) == {2}
    assert staged.counts == Counts(out=4, written=3, quarantined=1)
    assert sorted(r["id"] for r in bench.rows(staged.table)) == [1, 4, 4]


def test_rules_see_the_good_rows(bench: Bench) -> None:
    rules = [bench.expect("small", "v < 8"), bench.expect("there", "v IS NOT NULL", "drop")]
    inputs = {"t": bench.table(ROWS)}
    staged = bench.stage("SELECT id, CAST(v AS INT) AS v FROM t", inputs, rules, sets_aside=True)
    # NULL < 8 is not true either, and quarantine goes before drop.
    assert staged.counts == Counts(out=4, written=1, quarantined=3)
    assert violations(staged) == {"small": 2, "there": 1, "_failed": 1}


def test_through_a_view(bench: Bench) -> None:
    table = bench.table(ROWS)
    view = bench.query("SELECT id, CAST(v AS INT) AS w, n FROM t", {"t": table})
    query = bench.query("SELECT id, 10 // n AS q, w FROM v", {"v": table})
    views = (ViewWork("v", view, (), Output(bench.folder / "v__quarantine", "x")),)
    inputs = {"t": table, "v": ViewBatch("v")}
    staged = bench.stage(
        query, inputs, [bench.expect("r", "id > 0")], views=views, sets_aside=True
    )
    assert sorted(r["id"] for r in bench.rows(staged.table)) == [1, 3]
    rows = {r["_quarantine_source"]["row"] for r in bench.quarantined(staged)}
    assert rows == {2, 4}


def test_rows_that_break_a_rule_behind_a_view_say_where_they_came_from(bench: Bench) -> None:
    table = bench.table(ROWS)
    view = bench.query("SELECT id + 10 AS id FROM t WHERE id > 1", {"t": table})
    query = bench.query("SELECT id FROM v", {"v": table})
    views = (ViewWork("v", view, (), Output(bench.folder / "v__quarantine", "x")),)
    inputs = {"t": table, "v": ViewBatch("v")}
    staged = bench.stage(query, inputs, [bench.expect("r", "id <> 13")], views=views)
    (row,) = bench.quarantined(staged)
    assert (row["id"], row["_quarantine_source"]) == (13, {"file": table.files[0], "row": 3})


def _again(bench: Bench, sql: str, *rules: Any, first: str = "") -> Staged:
    """Set rows aside by a first query, and compute them again by another one."""
    table = bench.table(ROWS)
    staged = bench.stage(
        first or "SELECT id, CAST(v AS INT) AS v FROM t", {"t": table}, rules, sets_aside=True
    )
    bench.publish(staged.table)
    bench.publish(staged.quarantines["target"], folder=QUARANTINE)
    quarantine = bench.published(QUARANTINE)
    query: Query = bench.query(sql, {"t": table})
    again = Recomputation("flow", query)
    read = Read("q", dataset_ref(QUARANTINE), streaming=False, location=HERE)
    empty = TableBatch((), table.schema)
    work = bench.work(Readmission((read,), HERE), {"q": quarantine, again.key("t"): empty}, rules)
    schema = bench.store.snapshot(bench.ref("target")).schema
    return bench.stage(
        work.query,
        work.inputs,
        rules,
        output=replace(work.output, schema=schema),
        quarantine=Output(bench.folder / QUARANTINE, "again", schema=quarantine.schema),
        again=(again,),
    )


def test_rows_are_computed_again(bench: Bench) -> None:
    staged = _again(bench, "SELECT id, TRY_CAST(v AS INT) AS v FROM t")
    assert staged.counts == Counts(out=1, written=1)
    assert staged.quarantines["target"].rows == 0
    rows = sorted((r["id"], r["v"]) for r in bench.rows(staged.table))
    assert rows == [(1, 5), (2, None), (3, None), (4, 8)]


def test_rows_that_fail_again_say_why(bench: Bench) -> None:
    staged = _again(bench, "SELECT id, CAST(v || '!' AS INT) AS v FROM t")
    assert staged.counts == Counts()
    assert staged.refreshed
    (row,) = bench.left(staged)
    assert dict(row["_quarantine_rules"]) == {"_failed": "CAST(v || '!' AS INT) fails for v = 'x'"}


def test_rows_of_a_cte_are_computed_again(bench: Bench) -> None:
    sql = "WITH c AS (SELECT id, {} AS v FROM t) SELECT * FROM c"
    first = sql.format("CAST(v AS INT)")
    staged = _again(bench, sql.format("TRY_CAST(v AS INT)"), first=first)
    assert staged.counts == Counts(out=1, written=1)
    rows = sorted((r["id"], r["v"]) for r in bench.rows(staged.table))
    assert rows == [(1, 5), (2, None), (3, None), (4, 8)]


def test_rows_that_the_query_leaves_out_now_are_gone(bench: Bench) -> None:
    staged = _again(bench, "SELECT id, TRY_CAST(v AS INT) AS v FROM t WHERE id <> 2")
    assert (staged.table.rows, staged.quarantines["target"].rows) == (0, 0)
    assert staged.counts == Counts(out=1, dropped=1)
    assert staged.refreshed


def test_rows_that_break_a_rule_now_stay(bench: Bench) -> None:
    rule = bench.expect("there", "v IS NOT NULL OR id = 3")
    staged = _again(bench, "SELECT id, TRY_CAST(v AS INT) AS v FROM t", rule)
    assert staged.table.rows == 0
    (row,) = bench.left(staged)
    assert list(dict(row["_quarantine_rules"])) == ["_failed", "there"]
    assert row["_quarantine_raw"] is not None


def test_rows_wait_if_the_query_is_not_row_by_row_any_more(bench: Bench) -> None:
    staged = _again(bench, "SELECT count(*) AS id, NULL::INT AS v FROM t")
    assert (staged.table.rows, staged.quarantines["target"].rows) == (0, 1)
    assert not staged.refreshed
