"""What is left on the screen after an update."""

from __future__ import annotations

from pathlib import Path

from qanat.cli.options import ProjectRef
from qanat.model.event import Recovered
from qanat.model.staged import Counts, RuleCount
from qanat.report.update import update_text
from qanat.run.results import DatasetResult, UpdateResult
from qanat.text import Layout


def dataset(name: str, status: str, counts: Counts | None = None, **rest: object) -> DatasetResult:
    rules = rest.pop("rules", ())
    return DatasetResult(
        name,
        str(rest.pop("kind", "streaming table")),
        status,
        str(rest.pop("reason", "nothing new")),
        counts or Counts(),
        rules,  # type: ignore[arg-type]
        int(status == "updated"),
        0.5,
        read=int(str(rest.pop("read", (counts or Counts()).out + (counts or Counts()).malformed))),
    )


def test_nothing_new_is_said_plainly() -> None:
    result = UpdateResult("", "succeeded", 0.1, (dataset("a", "unchanged"),))
    assert update_text(result) == (
        "Nothing new: read 0 rows, wrote 0 rows. 1 dataset is up to date."
    )


def test_what_waits_is_not_called_up_to_date() -> None:
    waits = "nothing to read yet in data/*.csvv"
    datasets = (
        dataset("a", "unchanged"),
        dataset("b", "unchanged", reason=waits),
    )
    assert update_text(UpdateResult("", "succeeded", 0.1, datasets)).splitlines() == [
        "Nothing new: read 0 rows, wrote 0 rows. 1 dataset is up to date.",
        f"  b: {waits}",
    ]


def test_everything_that_happened_is_there() -> None:
    counts = Counts(out=1000, written=990, quarantined=4, dropped=6, malformed=2)
    rules = (
        RuleCount("silver", "positive", "quarantine", 4),
        RuleCount("silver", "known", "drop", 6),
        RuleCount("silver", "kept", "warn", 0),
    )
    view = dataset("gold", "updated", Counts(out=3, written=3), kind="materialized view")
    result = UpdateResult(
        "u", "succeeded", 1.0, (dataset("silver", "updated", counts, rules=rules), view)
    )
    assert update_text(result, ProjectRef(Path("my shop"), "prod").options).splitlines() == [
        "Dataset  Status   Files   Read  Written  Quarantined  Dropped    Time  Kind",
        "silver   updated      1  1,002      990            6        6  0.50 s  streaming table",
        "gold     updated      1      3        3            0        0  0.50 s  materialized view",
        "",
        "Expectation      Violations  Rows were",
        "silver.positive           4  quarantined",
        "silver.known              6  dropped",
        "",
        "Update succeeded in 1.00 s.",
        "",
        "What to type next:",
        "  qanat show gold -C 'my shop' -e prod               look at the result",
        (
            "  qanat quarantine show silver -C 'my shop' -e prod  "
            "see the rows in quarantine and why they are there"
        ),
        "  qanat run -C 'my shop' -e prod                     run again: only what is new is read",
    ]


def test_severities_are_told_where_some_are_declared_and_the_worst_comes_first() -> None:
    rules = (
        RuleCount("silver", "known", "drop", 6, severity="low"),
        RuleCount("silver", "positive", "quarantine", 4),
        RuleCount("silver", "whole", "warn", 2, severity="critical"),
        RuleCount("silver", "kept", "warn", 0, severity="critical"),
    )
    silver = dataset("silver", "updated", Counts(out=10, written=10), rules=rules)
    lines = update_text(UpdateResult("u", "succeeded", 1.0, (silver,))).splitlines()
    at = lines.index("Expectation      Severity  Violations  Rows were")
    assert lines[at + 1 : at + 5] == [
        "silver.whole     critical           2  kept",
        "silver.positive  medium             4  quarantined",
        "silver.known     low                6  dropped",
        "",
    ]


def test_a_narrow_terminal_shows_what_became_of_the_rows() -> None:
    counts = Counts(out=1000, written=990, quarantined=4, dropped=6)
    result = UpdateResult("u", "succeeded", 1.0, (dataset("silver", "updated", counts),))
    assert update_text(result, layout=Layout(width=60)).splitlines()[:2] == [
        "Dataset  Status    Read  Written  Quarantined  Dropped",
        "silver   updated  1,000      990            4        6",
    ]
    assert "… and 3 more columns: Kind, Time, Files" in update_text(
        result, layout=Layout(width=60)
    )
    assert update_text(result, layout=Layout(width=50)).splitlines()[:2] == [
        "Dataset  Status   Written  Quarantined  Dropped",
        "silver   updated      990            4        6",
    ]


def test_what_a_query_left_out_or_made_more_is_said() -> None:
    some = (
        dataset("less", "updated", Counts(out=3, written=3), read=5),
        dataset("more", "updated", Counts(out=7, written=6, dropped=1), read=5),
        dataset("same", "updated", Counts(out=5, written=5), read=5),
        dataset("gold", "updated", Counts(out=1, written=1), read=5, kind="materialized view"),
    )
    lines = update_text(UpdateResult("u", "succeeded", 1.0, some)).splitlines()
    assert [line for line in lines if "the query" in line] == [
        "less: the query made 3 of 5 rows",
        "more: the query made 7 of 5 rows",
    ]


def test_rows_that_came_too_late_are_said_of_those_read() -> None:
    some = (dataset("hours", "updated", Counts(out=3, written=3, late=2), read=3),)
    lines = update_text(UpdateResult("u", "succeeded", 1.0, some)).splitlines()
    assert "hours: 2 of 3 rows came too late" in lines


def test_what_recovery_did_is_said() -> None:
    recovered = (Recovered("a", "a", 3, "redone"), Recovered("b", "f", 1, "given up"))
    for status in ("updated", "unchanged"):
        result = UpdateResult("u", "succeeded", 1.0, (dataset("a", status),), recovered)
        assert (
            "After an update that did not come to its end:\n"
            "  a: epoch 3 of a redone\n"
            "  b: epoch 1 of f given up"
        ) in update_text(result)


def test_a_selection_is_kept_where_it_has_to_be() -> None:
    result = UpdateResult("u", "succeeded", 1.0, (dataset("gold", "updated"),))
    text = update_text(result, " -e dev", selected=" --select gold")
    assert "  qanat run -e dev --select gold  run again: only what is new is read" in text


def test_a_failure_says_what_it_stopped() -> None:
    result = UpdateResult(
        "u",
        "failed",
        2.0,
        (dataset("a", "failed"), dataset("b", "skipped"), dataset("c", "updated")),
    )
    text = update_text(result)
    assert "Update failed after 2.00 s: 1 dataset failed, 1 that depends on it skipped." in text
    assert "run again" not in text


def test_a_thousand_unchanged_datasets_are_only_counted() -> None:
    many = tuple(dataset(f"t{n}", "unchanged") for n in range(1000))
    changed = dataset("one", "updated", Counts(out=1, written=1))
    lines = update_text(UpdateResult("u", "succeeded", 1.0, (*many, changed))).splitlines()
    assert len(lines) < 12
    assert "… and 1,000 unchanged" in lines
