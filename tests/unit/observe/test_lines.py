"""Plain lines of an update."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    Event,
    Recovered,
    Retried,
    UpdateEnded,
    UpdateStarted,
    Warned,
)
from qanat.model.staged import Counts
from qanat.observe.terminal.lines import LinesObserver

MALFORMED = Counts(out=5, written=4, dropped=1, malformed=1)
STORY: list[Event] = [
    UpdateStarted("u1", "dev", ("bronze", "silver", "gold")),
    Recovered("bronze", "bronze", 2, "redone"),
    DatasetStarted("bronze", "streaming table"),
    DatasetProgress("bronze", "computing", 0.5),
    EpochCommitted("bronze", "a", 3, 2, Counts(out=10, written=8, quarantined=2), (), 2, 0.1),
    EpochCommitted(
        "bronze", "b", 1, 3, Counts(out=5, written=4, dropped=1, malformed=1), (), 1, 0.1
    ),
    DatasetEnded("bronze", "updated", "2 files were new", 0.25),
    Retried("silver", 1, "timed out", 2.0),
    DatasetEnded("silver", "failed", "no space left", 0.1),
    DatasetEnded("gold", "skipped", "silver failed", 0.0),
    DatasetEnded("other", "unchanged", "nothing new", 0.0),
    Warned(None, "the clock was set back"),
    UpdateEnded("u1", "failed", 1.0),
]


def test_the_story_of_an_update() -> None:
    stream = io.StringIO()
    observer = LinesObserver(stream)
    for event in STORY:
        observer.on(event)
    assert stream.getvalue().splitlines() == [
        "bronze: recovered epoch 2 of bronze: redone",
        "bronze: updated in 0.25 s: 3 files read, 12 rows written, 3 quarantined, 1 dropped",
        "silver: attempt 1 failed, trying again in 2.00 s: timed out",
        "silver: failed: no space left",
        "gold: skipped: silver failed",
        "warning: the clock was set back",
    ]


def test_what_maintenance_did_is_told_by_its_reason() -> None:
    stream = io.StringIO()
    observer = LinesObserver(stream)
    observer.on(DatasetStarted("bronze", "streaming table"))
    observer.on(DatasetEnded("bronze", "updated", "5 files compacted", 0.25))
    assert stream.getvalue() == "bronze: updated in 0.25 s: 5 files compacted\n"


def test_reasons_are_made_printable() -> None:
    stream = io.StringIO()
    LinesObserver(stream).on(DatasetEnded("a", "failed", "file \x1b[2J.csv\nis bad", 0.0))
    assert stream.getvalue() == "a: failed: file \\x1b[2J.csv\\nis bad\n"


def test_a_long_computation_shows_that_it_lives() -> None:
    stream, now = io.StringIO(), [0.0]
    observer = LinesObserver(stream, clock=lambda: now[0])
    observer.on(DatasetStarted("big", "streaming table"))
    for second in range(40):
        now[0] = float(second)
        observer.on(DatasetProgress("big", "computing", second / 40))
    assert stream.getvalue().splitlines() == [
        "big: computing, 38% of this epoch",
        "big: computing, 75% of this epoch",
    ]


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_who_left_does_not_stop_the_update() -> None:
    observer = LinesObserver(Gone())
    for event in STORY:
        observer.on(event)


@pytest.mark.parametrize("threads", [8])
def test_lines_of_several_threads_stay_whole(threads: int) -> None:
    stream = io.StringIO()
    observer = LinesObserver(stream)

    def tell(number: int) -> None:
        for epoch in range(50):
            counts = Counts(out=1, written=1)
            observer.on(EpochCommitted(f"t{number}", "f", epoch, epoch, counts, (), 1, 0.0))
        observer.on(DatasetEnded(f"t{number}", "updated", "", 0.0))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(tell, range(threads)))
    expected = {f"t{n}: updated in 0.00 s: 50 files read, 50 rows written" for n in range(threads)}
    assert set(stream.getvalue().splitlines()) == expected
