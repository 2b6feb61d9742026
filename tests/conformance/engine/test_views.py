"""Temporary views: rules and quarantines of their own."""

from __future__ import annotations

from qanat.model.staged import Counts
from qanat.model.work import Batch, Output, ViewBatch, ViewWork
from tests.conformance.engine.bench import NUMBERS, Bench
from tests.conformance.engine.capabilities import needs


@needs("views")
def test_views_have_rules_and_a_quarantine_of_their_own(bench: Bench) -> None:
    inputs: dict[str, Batch] = {"t": bench.table(NUMBERS)}
    view = ViewWork(
        "checked",
        bench.query("SELECT * FROM t", inputs),
        (bench.expect("positive", "v > 0"), bench.expect("small", "v < 100", "drop")),
        Output(bench.folder / "checked__quarantine", "x"),
    )
    reading = bench.query("SELECT id FROM c", {"c": ViewBatch("checked")})
    staged = bench.stage(
        reading, inputs | {"c": ViewBatch("checked")}, [bench.expect("late", "id < 8")],
        views=(view,),
    )  # fmt: skip
    assert staged.view_counts["checked"] == Counts(out=8, written=4, dropped=1, quarantined=3)
    assert staged.counts == Counts(out=4, written=3, quarantined=1)
    assert [r["id"] for r in bench.rows(staged.table)] == [1, 4, 7]
    assert [r["id"] for r in bench.quarantined(staged, "checked")] == [2, 3, 6]
    assert {(r.dataset, r.rule): r.violations for r in staged.rules} == {
        ("checked", "positive"): 3,
        ("checked", "small"): 2,
        ("target", "late"): 1,
    }


@needs("views")
def test_a_view_that_fails_stages_nothing(bench: Bench) -> None:
    inputs: dict[str, Batch] = {"t": bench.table(NUMBERS)}
    output = Output(bench.folder / "target_view__quarantine", "x")
    rules = (bench.expect("never", "v > 0", "fail"), bench.expect("aside", "v < 100"))
    view = ViewWork("checked", bench.query("SELECT * FROM t", inputs), rules, output)
    reading = bench.query("SELECT id FROM c", {"c": ViewBatch("checked")})
    both = inputs | {"c": ViewBatch("checked")}
    staged = bench.stage(reading, both, views=(view,))
    assert [(r.dataset, r.rule, r.violations) for r in staged.failed] == [("checked", "never", 3)]
    assert bench.files() == []
