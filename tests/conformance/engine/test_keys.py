"""UNIQUE and REFERENCES."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qanat.errors import DatasetNotFoundError
from qanat.model.rule import References, Unique
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.staged import Counts
from qanat.model.work import TableBatch
from tests.conformance.engine.bench import NUMBERS, Bench, violations


def test_the_first_of_a_key_is_kept(bench: Bench) -> None:
    table = bench.table({"k": [3, 1, 3, None, 2, 1, None, 3], "n": list(range(8))}, parts=3)
    staged = bench.stage("SELECT * FROM t", {"t": table}, [bench.expect("one", Unique(("k",)))])
    assert sorted(r["n"] for r in bench.rows(staged.table)) == [0, 1, 3, 4, 6]
    assert sorted(r["n"] for r in bench.quarantined(staged)) == [2, 5, 7]


def test_what_the_table_holds_comes_first(bench: Bench) -> None:
    rules = [bench.expect("one", Unique(("a", "b")))]
    known = bench.table({"a": [1, 2, None], "b": ["x", None, "x"]})
    new = bench.table(
        {"a": [1, 1, 2, 2, None, 1], "b": ["x", "y", None, "z", "x", "y"], "n": list(range(6))}
    )
    work = bench.work("SELECT * FROM t", {"t": new}, rules)
    output = replace(work.output, existing=known)
    staged = bench.stage("SELECT * FROM t", {"t": new}, rules, output=output)
    assert sorted(r["n"] for r in bench.rows(staged.table)) == [1, 2, 3, 4]
    assert sorted(r["n"] for r in bench.quarantined(staged)) == [0, 5]


def test_a_removed_row_takes_no_key(bench: Bench) -> None:
    rules = [bench.expect("good", "ok", "drop"), bench.expect("one", Unique(("k",)))]
    table = bench.table({"k": [1, 1, 1, 2, 2], "ok": [False, True, True, False, False]})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules)
    assert staged.counts == Counts(out=5, written=1, dropped=3, quarantined=1)
    assert violations(staged) == {"good": 3, "one": 1}


def test_several_unique_rules_in_their_order(bench: Bench) -> None:
    rules = [bench.expect("by_a", Unique(("a",))), bench.expect("by_b", Unique(("b",)), "drop")]
    table = bench.table({"a": [1, 1, 2, 3], "b": [7, 8, 8, 7]})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules)
    # The second row is gone when b is looked at: the third may have its 8.
    assert [(r["a"], r["b"]) for r in bench.rows(staged.table)] == [(1, 7), (2, 8)]
    assert violations(staged) == {"by_a": 1, "by_b": 1}


def test_a_doubled_key_that_is_only_warned_about_stays(bench: Bench) -> None:
    table = bench.table({"k": [1, 1, 1]})
    staged = bench.stage(
        "SELECT * FROM t", {"t": table}, [bench.expect("one", Unique(("k",)), "warn")]
    )
    assert (staged.counts.written, violations(staged)) == (3, {"one": 2})


def test_references_let_nulls_through(bench: Bench) -> None:
    rules = [bench.expect("known", References(("a", "b"), "Other", ("x", "y")))]
    other = bench.table({"x": [1, 2, None], "y": ["p", None, "p"]})
    table = bench.table({"a": [1, 1, 2, None, 3], "b": ["p", "q", None, "p", "p"]})
    staged = bench.stage("SELECT * FROM t", {"t": table}, rules, references={"other": other})
    assert [(r["a"], r["b"]) for r in bench.quarantined(staged)] == [(1, "q"), (3, "p")]


def test_references_to_a_table_without_rows(bench: Bench) -> None:
    rules = [bench.expect("known", References(("id",), "other", ("x",)), "drop")]
    empty = TableBatch((), Schema((Field("x", Primitive("long")),)))
    staged = bench.stage(
        "SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules, references={"other": empty}
    )
    assert staged.counts.dropped == 8


def test_references_to_what_is_not_there(bench: Bench) -> None:
    rules = [bench.expect("known", References(("id",), "other", ("x",)))]
    with pytest.raises(DatasetNotFoundError, match="'other'"):
        bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
