"""What is left on the screen after an update."""

from __future__ import annotations

from pathlib import Path

from qanat.cli.options import ProjectRef
from qanat.model.work import Counts, RuleCount
from qanat.report.update import update_text
from qanat.run.results import DatasetResult, UpdateResult


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
        read=(counts or Counts()).out,
    )


def test_nothing_new_is_said_plainly() -> None:
    result = UpdateResult("", "succeeded", 0.1, (dataset("a", "unchanged"),))
    assert update_text(result) == (
        "Nothing new: read 0 files, wrote 0 rows. 1 dataset is up to date."
    )


def test_what_waits_is_not_called_up_to_date() -> None:
    waits = "nothing to read yet in data/*.csvv"
    datasets = (
        dataset("a", "unchanged"),
        dataset("b", "unchanged", reason=waits),
    )
    assert update_text(UpdateResult("", "succeeded", 0.1, datasets)).splitlines() == [
        "Nothing new: read 0 files, wrote 0 rows. 1 dataset is up to date.",
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
        "silver   updated      1  1,000      990            6        6  0.50 s  streaming table",
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
