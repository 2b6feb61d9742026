"""A courier brings every event to its observer, in order, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qanat.errors import Again, UndeliveredError
from qanat.model.event import EventRecord, UpdateEnded, UpdateStarted, Warned
from qanat.model.observer import DeclaredObserver, Told
from qanat.model.outbox import Owed
from qanat.model.record import Lease, UpdateRecord, UpdateStatus
from qanat.plugins import open_ledger
from qanat.ports.ledger import Ledger
from qanat.run import courier as module
from qanat.run.courier import Courier

UPDATE = UpdateRecord("u", "dev", "run", time.time())


def records(count: int) -> list[EventRecord]:
    """An update's events, `count` of them."""
    told = [EventRecord(n, 1.0, Warned(None, str(n))) for n in range(2, count)]
    first = EventRecord(1, 1.0, UpdateStarted("u", "dev", ()))
    return [first, *told, EventRecord(count, 1.0, UpdateEnded("u", "succeeded", 1.0))]


class Observer:
    """Does with each event what a test says, and remembers those that it took."""

    def __init__(self, act: Callable[[Told], object] = lambda told: None) -> None:
        self.act = act
        self.tried: list[int] = []
        self.taken: list[int] = []
        self.closed = False

    def deliver(self, told: Told) -> None:
        self.tried.append(told.record.number)
        self.act(told)
        self.taken.append(told.record.number)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(None, tmp_path, "unit/dev")
    yield opened
    opened.close()


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    held = ledger.acquire("u", 60)
    ledger.begin_update(UPDATE, held, ["it"])
    return held


def courier(
    ledger: Ledger, observer: Observer, warnings: list[str] | None = None, **declared: Any
) -> Courier:
    warn = ([] if warnings is None else warnings).append
    return Courier(DeclaredObserver("it", "x", **declared), True, lambda: observer, ledger, warn)


def keep(ledger: Ledger, lease: Lease, kept: list[EventRecord]) -> None:
    ledger.keep("u", kept)
    ledger.renew(lease, 60)


def finish(courier: Courier) -> list[Owed]:
    courier.close(time.monotonic())
    courier.wait()
    return courier.leave()


def test_events_beyond_those_that_fit_in_memory_come_from_the_ledger(
    ledger: Ledger, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    monkeypatch.setattr(module, "_LOOK", 0.01)
    told, go_on = records(20), threading.Event()
    observer = Observer(lambda told: go_on.wait(60))
    it = courier(ledger, observer, wait=60.0)
    it.begin(UPDATE)
    it.take(told[:10])
    go_on.set()
    # It is behind now; what it missed is about to be written.
    keep(ledger, lease, told[:10])
    it.take(told[10:])
    keep(ledger, lease, told[10:])
    assert finish(it) == []
    assert observer.taken == list(range(1, 21))
    assert it.undelivered == ""
    assert observer.closed
    assert ledger.claim(["it"], 0) == ()


def test_it_goes_on_where_another_process_has_stopped(ledger: Ledger, lease: Lease) -> None:
    keep(ledger, lease, records(6))
    ledger.end_update("u", UpdateStatus.SUCCEEDED, lease)
    observer = Observer()
    it = courier(ledger, observer, wait=60.0)
    it.catch_up([Owed("it", "u", 4, UPDATE.started)])
    assert finish(it) == []
    assert observer.taken == [5, 6]


def test_of_an_update_that_still_runs_elsewhere_the_end_is_not_told(
    ledger: Ledger, lease: Lease
) -> None:
    keep(ledger, lease, records(6)[:4])
    observer = Observer()
    it = courier(ledger, observer, wait=60.0)
    it.catch_up([Owed("it", "u", 0, UPDATE.started)])
    assert finish(it) == [Owed("it", "u", 4, UPDATE.started)]
    assert observer.taken == [1, 2, 3, 4]


def test_one_that_hangs_is_left_where_it_is(ledger: Ledger, lease: Lease) -> None:
    hanging = threading.Event()
    observer = Observer(lambda told: told.record.number == 3 and hanging.wait(60))
    warnings: list[str] = []
    it = courier(ledger, observer, warnings, wait=0.0)
    it.begin(UPDATE)
    it.take(records(5))
    while observer.tried[-1:] != [3]:
        time.sleep(0.001)
    left = finish(it)
    assert left == [Owed("it", "u", 2, UPDATE.started)]
    assert it.undelivered == (
        "observer it: 3 events are still to be delivered: the next update tries again"
    )
    hanging.set()
    it._thread.join(60)
    # It has delivered the one that it was at; nothing of that is written any more.
    assert observer.taken == [1, 2, 3]
    assert warnings == []
    ledger.give_back(left)
    assert ledger.claim(["it"], 0) == left


def test_it_waits_as_long_as_the_observer_asks_it_to(
    ledger: Ledger, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    pause = Courier._pause

    def noted(self: Courier, seconds: float, or_told: bool = False) -> bool:
        if not or_told:
            waited.append(seconds)
            seconds = 0.0
        return pause(self, seconds, or_told)

    monkeypatch.setattr(Courier, "_pause", noted)
    answers = [None, 30.0, None, None, None]

    def act(told: Told) -> None:
        if answers:
            raise UndeliveredError("busy", Again.SOON, after=answers.pop(0))

    observer = Observer(act)
    it = courier(ledger, observer, wait=60.0)
    it.begin(UPDATE)
    it.take(records(2))
    while len(observer.taken) < 2:
        time.sleep(0.001)
    assert finish(it) == []
    first, asked, *more = waited
    assert asked == 30.0
    assert 0.25 <= first <= 0.5
    # Each pause is twice as long as the one before, and a part of it is drawn.
    assert [low <= w <= 2 * low for low, w in zip((1.0, 2.0, 4.0), more, strict=True)] == [
        True,
        True,
        True,
    ]


def test_events_that_it_does_not_want_count_as_delivered(ledger: Ledger, lease: Lease) -> None:
    observer = Observer()
    it = courier(ledger, observer, events=("update_started",), wait=60.0)
    it.begin(UPDATE)
    it.take(records(5))
    assert finish(it) == []
    assert observer.taken == [1]
    assert it.undelivered == ""


def test_nothing_is_told_after_the_first_that_must_wait(ledger: Ledger, lease: Lease) -> None:
    def act(told: Told) -> None:
        if told.record.number == 2:
            raise UndeliveredError("who are you", Again.LATER)

    observer, warnings = Observer(act), list[str]()
    it = courier(ledger, observer, warnings, wait=60.0)
    it.begin(UPDATE)
    it.take(records(5))
    assert finish(it) == [Owed("it", "u", 1, UPDATE.started)]
    assert observer.tried == [1, 2]
    assert warnings == ["observer it: who are you; the next update tries again"]
