"""Decisions from facts alone."""

from __future__ import annotations

from dataclasses import replace

from qanat.errors import Location
from qanat.model.amount import Amount
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.record import Definition, FileRef, Range
from qanat.run.decide import Step, decide, fingerprint_of
from qanat.run.facts import Asked, Facts, FlowFacts, TableFacts, Waiting

TABLE = Dataset("t", DatasetKind.STREAMING_TABLE, Location("t.sql"))
BEFORE = Definition("t", str(TABLE.kind), "same", "", "text")
RANGES = {"files:in": Range({"kind": "files"})}


def facts(*flows: FlowFacts, **more: object) -> Facts:
    return Facts(TABLE, "same", "text", BEFORE, exists=True, flows=flows, **more)  # type: ignore[arg-type]


def flow(name: str = "t", **more: object) -> FlowFacts:
    return FlowFacts(name, RANGES, **more)  # type: ignore[arg-type]


WAITING = (Waiting("in", Amount(1, 2)),)


def test_what_is_unread_is_appended() -> None:
    decision = decide(facts(flow(unread=True, waiting=WAITING)))
    assert (decision.step, decision.reason) == (Step.APPEND, "there is unread input")
    assert [(t.flow, t.replaces) for t in decision.takes] == [("t", False)]


def test_a_flow_that_has_run_once_takes_nothing_more() -> None:
    done = flow(once=True, done=True, unread=True, changing_streams=("a",), changing=("a",))
    decision = decide(facts(done))
    assert (decision.step, decision.reason) == (Step.SKIP, "has run once")
    assert decision.takes == ()


def test_only_the_first_commit_of_a_full_refresh_replaces() -> None:
    two = (flow("one", unread=True), flow("two", unread=True))
    decision = decide(facts(*two, asked=Asked.FULL_REFRESH, restarted=True))
    assert decision.step is Step.FULL_REFRESH
    assert [t.replaces for t in decision.takes] == [True, False]


def test_a_full_refresh_replaces_even_where_nothing_is_to_be_read() -> None:
    decision = decide(facts(flow(), restarted=True))
    assert (decision.step, decision.reason) == (
        Step.FULL_REFRESH,
        "a full refresh was interrupted",
    )
    assert [t.replaces for t in decision.takes] == [True]


def test_a_dataset_waits_for_one_that_has_no_table() -> None:
    decision = decide(facts(flow(absent=("b",))))
    assert (decision.step, decision.reason) == (Step.SKIP, "b has no table yet")
    arriving = decide(facts(flow(absent=("b",), changing=("b",), changing_streams=("b",))))
    assert (arriving.step, arriving.reason) == (Step.APPEND, "b may bring new rows")


def test_inputs_have_the_fingerprint_that_earlier_releases_have_kept() -> None:
    # Another would have every materialized view computed again by the next release.
    ranges = {
        "now|dataset:silver": Range({"kind": "snapshot", "version": 3}),
        "now|files:in": Range({"kind": "files"}, (FileRef("in/1.csv", 5, 7),)),
        "now|files:none": Range({"kind": "files", "files": []}),
        "reference|x": Range({"kind": "snapshot", "version": -1}),
    }
    assert fingerprint_of(ranges) == "03beca070be9b507c31e5d56213ae7e9"


def test_what_says_nothing_of_rows_has_no_consequence_for_them() -> None:
    """Plan shows that a comment or property changed, and offers no full refresh for it."""
    before = (
        "streaming table t\ncomment 'a'\nproperty kept = 1\nexpect e: x > 0\nflow t as\nSELECT\n"
    )
    assert not consequence(before, before.replace("'a'", "'b'").replace("kept = 1", "kept = 2"))
    for old, new in (("x > 0", "x > 1"), ("SELECT", "comment"), ("kept", "qanat.schema_drift")):
        assert "applies to new rows only" in consequence(before, before.replace(old, new))


def consequence(before: str, after: str) -> str:
    last = replace(BEFORE, text=before)
    stored = TableFacts((), 9)
    return decide(Facts(TABLE, "other", after, last, exists=True, stored=stored)).consequence
