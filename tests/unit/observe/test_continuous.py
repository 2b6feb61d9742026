"""What a person sees of a continuous update."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    ProjectRead,
    Retried,
    UpdateStarted,
    Warned,
)
from qanat.model.staged import Counts
from qanat.observe.terminal.continuous import ContinuousLines, ContinuousView, Flows


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _epoch(dataset: str, number: int = 1, bad: int = 0) -> EpochCommitted:
    counts = Counts(out=1000, written=1000 - bad, quarantined=bad)
    return EpochCommitted(dataset, dataset, number, number, counts, (), 1, 0.1)


def test_rates_are_those_of_the_last_minute() -> None:
    clock = Clock()
    flows = Flows(clock)
    flows.add(UpdateStarted("u", "dev", ("bronze",)))
    for second in range(1, 101):
        clock.now = float(second)
        flowing = flows.add(_epoch("bronze", bad=10 if second > 90 else 0))
    assert flowing is not None
    assert (flowing.epochs, flowing.written, flowing.quarantined) == (100, 99_900, 100)
    # Those of the seconds 40 to 100.
    assert flowing.rate(clock.now) == 61 * 1000 / 60
    assert flowing.share(clock.now) == 100 / 61_000
    clock.now = 500.0
    assert flowing.rate(clock.now) == 0.0
    assert flowing.share(clock.now) is None
    assert not flowing.recent


def test_lines_come_now_and_then_and_failures_at_once() -> None:
    clock, stream = Clock(), io.StringIO()
    lines = ContinuousLines(stream, clock)
    lines.on(UpdateStarted("u", "dev", ("bronze",)))
    lines.on(DatasetStarted("bronze", "streaming table"))
    for second in range(12):
        clock.now = float(second)
        lines.on(_epoch("bronze", bad=1))
    lines.on(DatasetEnded("bronze", "failed", "no such column", 0.0))
    lines.on(Retried("bronze", 1, "no such column", 2.0))
    lines.on(ProjectRead())
    lines.on(Warned(None, "low on space"))
    lines.on(DatasetEnded("bronze", "updated", "new", 1.0))
    assert stream.getvalue().splitlines() == [
        "bronze: 1 epoch, 999 rows written, 1 quarantined",
        "bronze: 10 epochs, 9,990 rows written, 10 quarantined",
        "bronze: failed: no such column",
        "bronze: attempt 1 failed, trying again in 2.00 s: no such column",
        "the project has changed and was read again",
        "warning: low on space",
        "bronze: 1 epoch, 999 rows written, 1 quarantined",
    ]


def test_the_table_has_rates_shares_and_what_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setenv("COLUMNS", "160")
    view = ContinuousView(stream, colour=False)
    view.on(UpdateStarted("u", "dev", ("bronze", "silver")))
    view.on(_epoch("bronze", bad=100))
    view.on(DatasetProgress("bronze", "waiting for news"))
    view.on(DatasetEnded("silver", "failed", "no such column", 0.0))
    view.on(Retried("silver", 1, "no such \x1b[5mcolumn", 4.0))
    console = Console(file=io.StringIO(), width=160, record=True)
    console.print(view.render())
    text = console.export_text()
    for shown in ("Rows/s", "1,000", "900", "100 (10.0%)", "waiting for news", "2 datasets"):
        assert shown in text
    assert "trying again in 4.00 s: no such \\x1b[5mcolumn" in text
    assert stream.getvalue() == ""


def test_a_paused_dataset_says_why_below_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    view = ContinuousView(io.StringIO(), colour=False)
    view.on(UpdateStarted("u", "dev", ("bronze",)))
    view.on(DatasetProgress("bronze", "paused since today: the sensor is moved", paused=True))
    console = Console(file=io.StringIO(), width=60, record=True)
    console.print(view.render())
    text = console.export_text()
    assert "‖ bronze: paused since today: the sensor is moved" in text
    view.on(DatasetProgress("bronze", "waiting for news"))
    console.print(view.render())
    assert "‖" not in console.export_text()


def test_a_view_that_is_told_to_stop_says_so() -> None:
    stop = threading.Event()
    view = ContinuousView(io.StringIO(), colour=False, stop=stop)
    console = Console(file=io.StringIO(), width=160, record=True)
    console.print(view.render())
    stop.set()
    console.print(view.render())
    before, _, after = console.export_text().partition("stopping: ")
    assert "Ctrl-C stops" in before
    assert "Ctrl-C again ends it at once" in after
