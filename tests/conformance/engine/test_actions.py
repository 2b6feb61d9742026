"""What each action does with the rows that break a rule."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest

from qanat.errors import ColumnNotFoundError, ContractError, Location
from qanat.model.expectation import Expectation, Nulls, Tolerance
from qanat.model.rule import Predicate, References, Rule, Unique
from qanat.model.staged import Counts
from qanat.model.work import Output
from tests.conformance.engine.bench import NUMBERS, Bench, violations
from tests.conformance.engine.capabilities import words


def test_without_rules_everything_is_written(bench: Bench) -> None:
    staged = bench.stage("SELECT id FROM t", {"t": bench.table(NUMBERS)})
    assert staged.counts == Counts(out=8, written=8)
    assert [r["id"] for r in bench.rows(staged.table)] == list(range(1, 9))
    assert staged.quarantines == {}


def test_what_each_action_does(bench: Bench) -> None:
    rules = [
        bench.expect("seen", "v <> 9", "warn"),
        bench.expect("positive", "v > 0", "drop"),
        bench.expect("small", "v < 100", "quarantine"),
        bench.expect("sane", "id < 100", "fail"),
    ]
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
    # NULL violates both: of two removing actions, keeping the row wins.
    assert staged.counts == Counts(out=8, written=4, dropped=2, quarantined=2)
    assert violations(staged) == {"seen": 2, "positive": 3, "small": 2, "sane": 0}
    assert [r["id"] for r in bench.rows(staged.table)] == [1, 4, 7, 8]
    assert {r["id"]: sorted(dict(r["_quarantine_rules"])) for r in bench.quarantined(staged)} == {
        3: ["positive", "seen", "small"],
        5: ["small"],
    }


def test_a_failing_rule_stages_nothing(bench: Bench) -> None:
    rules = [
        bench.expect("no", "v > 0", "fail"),
        bench.expect("aside", "v < 100"),
        bench.expect("d", "v>0", "drop"),
    ]
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
    assert [(r.rule, r.violations) for r in staged.failed] == [("no", 3)]
    assert violations(staged) == {"no": 3, "aside": 2, "d": 3}
    assert (staged.table.files, staged.quarantines, bench.files()) == ((), {}, [])


def test_a_quarantined_row_says_what_and_when(bench: Bench) -> None:
    batch = bench.table(NUMBERS)
    rules = [bench.expect("it's small", "v < 100"), bench.expect("known", "v IS NOT NULL")]
    staged = bench.stage("SELECT * FROM t", {"t": batch}, rules)
    rows = {r["id"]: r for r in bench.quarantined(staged)}
    assert dict(rows[3]["_quarantine_rules"]) == {
        "it's small": "v < 100",
        "known": "v IS NOT NULL",
    }
    assert (rows[5]["_quarantine_flow"], rows[5]["_quarantine_epoch"]) == ("flow", 7)
    assert rows[5]["_quarantine_update"] == "update-1"
    assert rows[5]["_quarantine_at"] == dt.datetime.fromtimestamp(
        1_700_000_000, dt.UTC
    ) + dt.timedelta(microseconds=123_456)
    assert len({r["_quarantine_id"] for r in rows.values()}) == 2


@pytest.mark.parametrize("count", [62, 63, 130])
def test_more_rules_than_bits_in_a_mask(bench: Bench, count: int) -> None:
    rules = [bench.expect(f"not_{i}", f"id <> {i}") for i in range(count - 1)]
    rules.append(bench.expect("last", Unique(("v",)), "drop"))
    table = bench.table({"id": list(range(count + 10)), "v": [1] * 2 + list(range(2, count + 10))})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules)
    assert staged.counts == Counts(out=count + 10, written=11, quarantined=count - 1)
    assert set(violations(staged).values()) == {0, 1} if count == 0 else {1}
    assert {r["id"]: list(dict(r["_quarantine_rules"])) for r in bench.quarantined(staged)} == {
        i: [f"not_{i}"] for i in range(count - 1)
    }


def test_a_filter_says_which_rows_a_rule_is_about(bench: Bench) -> None:
    def some(name: str, rule: str | Rule, where: str, action: str = "warn") -> Expectation:
        plain = bench.expect(name, rule, action)
        return replace(plain, where=Predicate(where, bench.engine.dialect))

    rules = [
        some("positive", "v > 0", "id > 3 -- of a later row", "drop"),
        # Texts that are no numbers are none of those that it is about.
        some("whole", "CAST(t AS INT) < 9", "id < 3"),
        some("once", Unique(("k",)), "v > 5"),
        some("known", References(("k",), "Other", ("x",)), "v > 6"),
    ]
    texts = ["7", "9", *"abcdef"]
    table = bench.table(NUMBERS | {"t": texts, "k": [1, 1, 1, 1, 1, 1, 1, 3]})
    other = {"other": bench.table({"x": [1, 2]})}
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules, references=other)
    found = {r.rule: (r.violations, r.rows) for r in staged.rules}
    # The filter of a row that is NULL is not TRUE.
    assert found == {"positive": (1, 5), "whole": (1, 2), "once": (2, 4), "known": (1, 4)}
    assert staged.counts == Counts(out=8, written=7, dropped=1)


def test_a_filter_of_unique_says_which_rows_of_the_table_count(bench: Bench) -> None:
    rule = bench.expect("once", Unique(("id",)), "drop")
    rule = replace(rule, where=Predicate("v > 6", bench.engine.dialect))
    existing = bench.table({"id": [1, 4, 7], "v": [9, 1, 9]})
    inputs = {"t": bench.table({"id": [1, 4, 7], "v": [7, 7, 1]})}
    output = replace(bench.work("SELECT * FROM t", inputs).output, existing=existing)
    staged = bench.stage("SELECT * FROM t", inputs, [rule], output=output)
    assert [r["id"] for r in bench.rows(staged.table)] == [4, 7]


def test_null_passes_where_that_is_said(bench: Bench) -> None:
    rule = replace(bench.expect("positive", "v > 0", "drop"), nulls=Nulls.PASS)
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, [rule])
    assert staged.counts == Counts(out=8, written=6, dropped=2)


@pytest.mark.parametrize("action", ["fail", "drop"])
@pytest.mark.parametrize(("tolerance", "fails"), [(2, True), (3, False)])
def test_beyond_its_tolerance_a_rule_stages_nothing(
    bench: Bench, action: str, tolerance: int, fails: bool
) -> None:
    rule = replace(bench.expect("positive", "v > 0", action), tolerance=Tolerance(tolerance))
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, [rule])
    assert violations(staged) == {"positive": 3}
    assert bool(staged.failed) is fails
    assert staged.rules[0].tolerated is not fails
    assert (bench.files() == []) is fails


def test_a_rule_that_does_not_compile_names_its_own_place(bench: Bench) -> None:
    with pytest.raises(ColumnNotFoundError) as raised:
        bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, [bench.expect("r", "vv > 0")])
    assert (raised.value.location, raised.value.nearest) == (Location("tables.sql", 1, 1), "v")
    assert bench.files() == []


def test_a_rule_that_cannot_be_evaluated_stages_nothing(bench: Bench) -> None:
    table = bench.table({"v": ["1", "x"]})
    with pytest.raises(ContractError, match="does not fit"):
        bench.stage("SELECT * FROM t", {"t": table}, [bench.expect("r", "v::INT > 0")])
    assert bench.files() == []


def test_a_quarantine_takes_rows_whose_columns_got_another_type(bench: Bench) -> None:
    inputs = {"t": bench.table({"id": [1, 2]})}
    rules = [bench.expect("never", "id > 9")]
    known = bench.stage("SELECT id, id AS x FROM t", inputs, rules)
    bench.quarantined(known)
    output = Output(
        bench.folder / "target__quarantine", "y", schema=known.quarantines["target"].schema
    )
    staged = bench.stage("SELECT id, 'a' || id AS x FROM t", inputs, rules, quarantine=output)
    rows = sorted(bench.quarantined(staged), key=lambda r: (r["x"] is None, r["id"]))
    assert [(r["id"], r["x"]) for r in rows[:2]] == [(1, 1), (2, 2)]
    assert [(r["id"], r["x"], json.loads(r["_quarantine_raw"])) for r in rows[2:]] == [
        (1, None, {"id": 1, "x": "a1"}),
        (2, None, {"id": 2, "x": "a2"}),
    ]


def test_a_quarantine_takes_rows_whose_structs_have_grown(bench: Bench) -> None:
    inputs = {"t": bench.table({"id": [1]})}
    rules = [bench.expect("never", "id > 9")]
    before = words(
        "SELECT id, {'x': id} AS p FROM t",
        postgres="SELECT id, named_struct('x', id) AS p FROM t",
    )
    after = words(
        "SELECT id + 1 AS id, {'y': id, 'x': id} AS p FROM t",
        postgres="SELECT id + 1 AS id, named_struct('y', id, 'x', id) AS p FROM t",
    )
    known = bench.stage(before, inputs, rules)
    bench.quarantined(known)
    folder, schema = bench.folder / "target__quarantine", known.quarantines["target"].schema
    staged = bench.stage(after, inputs, rules, quarantine=Output(folder, "y", schema=schema))
    rows = sorted(bench.quarantined(staged), key=lambda r: r["id"])
    assert [(r["p"], r["_quarantine_raw"]) for r in rows] == [
        ({"x": 1, "y": None}, None),
        ({"x": 1, "y": 1}, None),
    ]
