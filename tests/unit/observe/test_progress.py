"""The live table."""

from __future__ import annotations

import io

import pytest

from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    UpdateStarted,
    Warned,
)
from qanat.model.staged import Counts
from qanat.observe.terminal.lines import Tally
from qanat.observe.terminal.progress import ProgressObserver, visible


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_a_terminal_shows() -> None:
    screen = Terminal()
    with ProgressObserver(screen, colour=False) as observer:
        observer.on(UpdateStarted("u", "dev", ("bronze", "silver")))
        observer.on(DatasetStarted("bronze", "streaming table"))
        observer.on(DatasetProgress("bronze", "computing", 0.25))
        counts = Counts(out=1234, written=1200, quarantined=34)
        observer.on(EpochCommitted("bronze", "bronze", 1, 0, counts, (), 1, 0.1))
        observer.on(DatasetEnded("bronze", "updated", "1 file is new", 0.2))
        observer.on(Warned("silver", "odd \x1b[5m"))
    text = screen.getvalue()
    for shown in ("bronze", "1,234", "1,200", "34", "1 of 2 datasets", "warning: odd \\x1b[5m"):
        assert shown in text
    assert "\x1b[5m" not in text


@pytest.mark.parametrize(("width", "kinds"), [(60, False), (100, True)])
def test_names_and_numbers_stay_whole_in_a_narrow_terminal(
    width: int, kinds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    screen = Terminal()
    with ProgressObserver(screen, colour=False) as observer:
        observer.on(UpdateStarted("u", "dev", ("bronze",)))
        observer.on(DatasetStarted("bronze", "streaming table"))
    text = screen.getvalue()
    assert ("Kind" in text) is kinds
    for shown in ("bronze", "Dataset", "Written", "Quarantined", "Dropped", "Time"):
        assert shown in text


def test_thousands_of_datasets_fit() -> None:
    tallies = [Tally(f"t{n}", status="updated") for n in range(2000)]
    tallies += [Tally("broken", status="failed"), Tally("busy", status="running")]
    tallies += [Tally(f"w{n}") for n in range(2000)]
    shown = visible(tallies, 10)
    assert len(shown) == 10
    assert {"broken", "busy"} <= {t.dataset for t in shown}
