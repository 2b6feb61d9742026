"""Queries that keep a state, from declared SQL through updates to tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.engines.duckdb.state import stored
from qanat.errors import FlowError, QanatError
from qanat.storage.delta.store import DeltaStore
from tests.acceptance.crashing import beside, copy, count_steps, die_at
from tests.streams.projects import EPOCHS, HOURS, HOURS_NOW, TOTALS, TOTALS_NOW, Streams


def test_results_are_those_of_all_rows_however_they_are_cut(streams: Streams) -> None:
    streams.declare(TOTALS + HOURS, ", maxFilesPerTrigger => 1")
    for rows in EPOCHS:
        streams.add(*rows)
        update = streams.run()
    assert streams.rows("totals") == TOTALS_NOW
    # 00:30 comes when the watermark is at 01:05.
    assert streams.rows("hours") == HOURS_NOW
    assert update["totals"].counts.updated == 2
    streams.run(full_refresh=["totals", "hours"])
    assert streams.rows("totals") == TOTALS_NOW
    assert streams.rows("hours") == HOURS_NOW


def test_many_epochs_of_one_update_keep_what_they_read(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_MANY", 5)  # files of a state, after which some become one
    streams.declare(TOTALS + HOURS, ", maxFilesPerTrigger => 1")
    for number in range(14):
        streams.add(("abc"[number % 3], number, f"{number:02}:30"))
    update = streams.run()
    assert update["totals"].epochs == 14
    wanted = [(k, sum(range(n, 14, 3)), len(range(n, 14, 3))) for n, k in enumerate("abc")]
    assert [row[:3] for row in streams.rows("totals")] == wanted
    assert len(streams.rows("hours")) == 13
    [state] = qanat.open(streams.root).state("totals").flows
    assert (state.keys, state.kind) == (3, "aggregate")
    assert state.files < 7
    streams.add(("a", 1000, "02:20"))
    streams.run()
    assert streams.rows("totals")[0][:3] == ("a", wanted[0][1] + 1000, wanted[0][2] + 1)


def test_late_rows_are_counted_and_put_aside_if_asked_for(streams: Streams) -> None:
    streams.declare(HOURS, properties="'qanat.late_rows' = 'quarantine'")
    for rows in EPOCHS[:2]:
        streams.add(*rows)
        streams.run()
    streams.add(*EPOCHS[2])
    counts = streams.run()["hours"].counts
    assert (counts.late, counts.quarantined, counts.balanced) == (1, 1, True)
    [row] = qanat.open(streams.root).table("hours__quarantine").show().rows
    assert "_late" in str(row)
    # As far as the query needs it, the row is there by its own names.
    assert '"ts":"2026-01-01 00:30:00","k":"c","x":"7"' in str(row)


def test_what_waits_and_how_far_streams_have_come_is_shown(streams: Streams) -> None:
    streams.declare(HOURS)
    streams.add(*EPOCHS[0])
    streams.run()
    shown = str(qanat.open(streams.root).state("hours"))
    assert "watermark: 2026-01-01 00:10:00 UTC" in shown
    assert "next result at watermark: 2026-01-01 01:00:00 UTC" in shown
    streams.declare("CREATE STREAMING TABLE hours AS SELECT * FROM {read};")
    with pytest.raises(QanatError, match="keeps no state"):
        qanat.open(streams.root).state("hours")


def test_another_aggregate_is_refused_until_the_table_starts_over(streams: Streams) -> None:
    streams.declare(TOTALS)
    streams.add(*EPOCHS[0])
    streams.run()
    streams.declare(TOTALS.replace("max(ts)", "min(ts)"))
    [planned] = qanat.open(streams.root).plan().datasets
    assert isinstance(planned.error, FlowError)
    update = streams.run()
    assert update.status == "failed"
    assert "qanat run --full-refresh totals" in str(update["totals"].error.hint)
    streams.run(full_refresh=["totals"])
    assert streams.rows("totals") == [("a", 1, 1, "00:10"), ("b", 2, 1, "00:20")]
    # What comes after the aggregates may change: the state is the same.
    streams.declare(TOTALS.replace("max(ts)", "min(ts)").replace("BY k", "BY k HAVING n > 1"))
    streams.add(("a", 1, "05:00"))
    assert streams.run().status == "succeeded"


def test_a_process_that_dies_at_any_step_loses_and_doubles_nothing(
    streams: Streams, tmp_path: Path
) -> None:
    streams.declare(TOTALS + HOURS)
    for rows in EPOCHS[:2]:
        streams.add(*rows)
        streams.run()
    streams.add(*EPOCHS[2])
    counted = copy(streams.root, beside(tmp_path, "counted"))
    for step in range(3, count_steps(counted, "run") + 1, 13):
        project = copy(streams.root, beside(tmp_path, f"dies-{step}"))
        die_at(project, "run", step)
        after = Streams.__new__(Streams)
        after.root, after.files = project, 3
        after.run()
        after.add(*EPOCHS[3])
        after.run()
        assert after.rows("totals") == TOTALS_NOW, step
        assert after.rows("hours") == HOURS_NOW, step


class _Dead(BaseException):
    """The process, so to speak."""


@pytest.mark.parametrize(("after", "many"), [(1, 100), (2, 2), (3, 100)])
def test_half_an_epoch_is_taken_back_and_computed_from_the_state_before(
    streams: Streams, after: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_MANY", many)
    streams.declare(TOTALS + HOURS, properties="'qanat.late_rows' = 'quarantine'")
    for rows in EPOCHS[:2]:
        streams.add(*rows)
        streams.run()
    streams.add(*EPOCHS[2])
    published = DeltaStore.publish
    left = [after]

    def publish(store: DeltaStore, commit: Any) -> int:
        if not left[0]:
            raise _Dead
        left[0] -= 1
        return published(store, commit)

    monkeypatch.setattr(DeltaStore, "publish", publish)
    with pytest.raises(_Dead):
        streams.run()
    monkeypatch.setattr(DeltaStore, "publish", published)
    streams.run()
    streams.add(*EPOCHS[3])
    streams.run()
    assert streams.rows("totals") == TOTALS_NOW
    assert streams.rows("hours") == HOURS_NOW
    assert len(qanat.open(streams.root).table("hours__quarantine")) == 1
