"""Quarantined rows checked again: those that pass leave, all others stay as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qanat.errors import ColumnNotFoundError
from qanat.model.expectation import Expectation
from qanat.model.quarantine import MALFORMED
from qanat.model.query import Discard, Read, Readmission, dataset_ref
from qanat.model.rule import Unique
from qanat.model.staged import Counts, Staged
from qanat.model.work import Output, TableBatch
from tests.conformance.engine.bench import HERE, NUMBERS, Bench, violations
from tests.conformance.engine.capabilities import needs

pytestmark = needs("readmission")
QUARANTINE = "target__quarantine"


def _readmit(bench: Bench, quarantine: TableBatch, *rules: Expectation, **output: Any) -> Staged:
    read = Read("q", dataset_ref(QUARANTINE), streaming=False, location=HERE)
    work = bench.work(Readmission((read,), HERE), {"q": quarantine}, rules)
    return bench.stage(
        work.query,
        work.inputs,
        rules,
        output=replace(work.output, **output),
        quarantine=Output(bench.folder / QUARANTINE, "again", schema=quarantine.schema),
    )


@pytest.fixture
def quarantine(bench: Bench) -> TableBatch:
    """The rows 2, 3, 5 and 6: negative, NULL or too large."""
    rules = [bench.expect("positive", "v > 0"), bench.expect("small", "v < 100")]
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
    bench.publish(staged.table)
    bench.publish(staged.quarantines["target"], folder=QUARANTINE)
    return bench.published(QUARANTINE)


def test_rows_that_pass_leave(bench: Bench, quarantine: TableBatch) -> None:
    before = {r[0]: r for r in bench.engine.fetch(quarantine).values}
    table = bench.store.snapshot(bench.ref("target")).schema
    staged = _readmit(bench, quarantine, bench.expect("positive", "v > 0"), schema=table)
    assert staged.counts == Counts(out=1, written=1)
    assert staged.table.schema == table
    assert violations(staged) == {}
    rest = TableBatch(
        tuple(str(bench.folder / QUARANTINE / f.path) for f in staged.quarantines["target"].files),
        quarantine.schema,
    )
    # As they were, identifiers and sources too; only the reasons may be those of today.
    at = rest.schema.names.index("_quarantine_rules")
    after = {r[0]: r for r in bench.engine.fetch(rest).values}
    assert sorted(after) == [2, 3, 6]
    for number, row in after.items():
        assert row[:at] + row[at + 1 :] == before[number][:at] + before[number][at + 1 :]
    assert sorted(r["id"] for r in bench.rows(staged.table)) == [1, 4, 5, 7, 8]


def test_all_pass(bench: Bench, quarantine: TableBatch) -> None:
    staged = _readmit(bench, quarantine, bench.expect("any", "id > 0"))
    assert staged.counts == Counts(out=4, written=4)
    assert staged.quarantines["target"].rows == 0


def test_none_pass(bench: Bench, quarantine: TableBatch) -> None:
    staged = _readmit(bench, quarantine, bench.expect("none", "id > 99"))
    assert (staged.counts, staged.table.files) == (Counts(), ())
    assert staged.quarantines["target"].rows == 4


def test_a_key_that_the_table_has_stays_out(bench: Bench, quarantine: TableBatch) -> None:
    held = bench.table({"id": [5, 6]})
    staged = _readmit(bench, quarantine, bench.expect("one", Unique(("id",))), existing=held)
    assert (staged.counts.written, staged.quarantines["target"].rows) == (2, 2)


def test_rows_that_could_not_be_parsed_never_pass(bench: Bench) -> None:
    rules = [bench.expect(MALFORMED, "id <> 2"), bench.expect("small", "id < 7")]
    staged = bench.stage("SELECT * FROM t", {"t": bench.table(NUMBERS)}, rules)
    bench.publish(staged.quarantines["target"], folder=QUARANTINE)
    again = _readmit(bench, bench.published(QUARANTINE))
    assert (again.counts.written, again.quarantines["target"].rows) == (2, 1)


@needs("reasons")
def test_rows_stay_for_the_reasons_of_today(bench: Bench, quarantine: TableBatch) -> None:
    staged = _readmit(bench, quarantine, bench.expect("even", "id % 2 = 0"))
    rest = bench.left(staged)
    assert {r["id"]: dict(r["_quarantine_rules"]) for r in rest} == {
        3: {"even": "id % 2 = 0"},
        5: {"even": "id % 2 = 0"},
    }


@needs("reasons")
def test_other_reasons_are_worth_a_commit_and_the_same_are_not(
    bench: Bench, quarantine: TableBatch
) -> None:
    rules = [bench.expect("positive", "v > 0"), bench.expect("small", "v < 100")]
    assert not _readmit(bench, quarantine, *rules).refreshed
    assert _readmit(bench, quarantine, bench.expect("none", "id > 99")).refreshed


@needs("discard")
@pytest.mark.parametrize(
    ("rule", "where", "left"),
    [
        (None, None, set()),
        ("small", None, {2, 6}),
        (None, "v < 0", {3, 5}),
        (None, "v < 0 -- comment", {3, 5}),
        ("small", "v < 0", {2, 3, 5, 6}),
    ],
)
def test_rows_are_thrown_away(
    bench: Bench, quarantine: TableBatch, rule: str | None, where: str | None, left: set[int]
) -> None:
    read = Read("q", dataset_ref(QUARANTINE), streaming=False, location=HERE)
    staged = bench.stage(
        Discard((read,), HERE, rule, where),
        {"q": quarantine},
        quarantine=Output(bench.folder / QUARANTINE, "again", schema=quarantine.schema),
    )
    assert {r["id"] for r in bench.left(staged)} == left
    gone = 4 - len(left)
    assert staged.counts == Counts(out=gone, dropped=gone)
    assert (staged.table.files, staged.refreshed) == ((), bool(gone))


@needs("discard")
def test_a_condition_that_does_not_fit_throws_nothing_away(
    bench: Bench, quarantine: TableBatch
) -> None:
    read = Read("q", dataset_ref(QUARANTINE), streaming=False, location=HERE)
    output = Output(bench.folder / QUARANTINE, "again", schema=quarantine.schema)
    with pytest.raises(ColumnNotFoundError) as caught:
        bench.stage(Discard((read,), HERE, None, "w < 0"), {"q": quarantine}, quarantine=output)
    assert str(caught.value.location) == "--where:1:1"
    assert not list((bench.folder / QUARANTINE).glob("again*"))
