"""What becomes of the events of an update: shown to observers, kept in the ledger, handed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Lock
from typing import Protocol

from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    Event,
    EventRecord,
    UpdateEnded,
    Warned,
)
from qanat.model.record import UpdateRecord
from qanat.ports.ledger import Ledger
from qanat.ports.observer import Observer
from qanat.run.blame import is_panic

MOST = 10_000
"""Events kept of one update; beyond that only failures, and how the update ended."""


class Readers(Protocol):
    """Who gets the events of an update as they are kept: the observers of the spec."""

    @property
    def owed(self) -> Collection[str]:
        """The names of those to whom the ledger owes what they could not be told."""
        ...

    def begin(self, update: UpdateRecord) -> None:
        """The ledger knows of the update."""
        ...

    def take(self, records: Sequence[EventRecord]) -> None:
        """Take its next events; returns at once, and never fails."""
        ...


class Diary:
    """An observer that keeps the events of one update in the ledger.

    An update that finds nothing to do leaves no trace, so events wait here until the update is
    recorded. `DatasetProgress` is shown while it happens, and not kept.

    Args:
        update: its identifier.
        most: events to keep; failures come on top.
        readers: get what is kept.
    """

    def __init__(
        self, ledger: Ledger, update: str, most: int = MOST, readers: Readers | None = None
    ) -> None:
        self._ledger = ledger
        self._update = update
        self._most = most
        self._readers = readers
        self._waiting: list[EventRecord] = []
        self._last: list[EventRecord] = []
        self._number = 0
        self._left_out = 0
        self._recorded = False
        self._ended = False
        self._lock = Lock()

    @property
    def owed(self) -> Collection[str]:
        """The readers to whom the ledger owes what they could not be told."""
        return self._readers.owed if self._readers else ()

    def on(self, event: Event) -> None:
        """Take an event; after `end`, none is taken any more."""
        if isinstance(event, DatasetProgress):
            return
        with self._lock:
            if self._ended:
                return
            failed = isinstance(event, DatasetEnded) and event.failure is not None
            if self._number < self._most or failed:
                self._add(event)
            else:
                self._left_out += 1

    def begin(self, update: UpdateRecord) -> None:
        """The ledger knows of the update: hand over what has been told."""
        with self._lock:
            self._recorded = True
            if self._readers:
                self._readers.begin(update)
            self._hand_over()

    def end(self, event: UpdateEnded) -> None:
        """Take the last event, before the ledger records the end: both are written together."""
        with self._lock:
            self._ended = True
            if self._left_out:
                text = f"{self._left_out:,} more events were told; {self._most:,} are kept"
                self._add(Warned(None, text))
            self._add(event)

    def hand_on(self) -> None:
        """The ledger has recorded the end: only now it is told to others."""
        if self._readers and self._recorded:
            self._readers.take(self._last)

    def _add(self, event: Event) -> None:
        self._number += 1
        self._waiting.append(EventRecord(self._number, time.time(), event))
        if self._recorded:
            self._hand_over()

    def _hand_over(self) -> None:
        self._ledger.keep(self._update, self._waiting)
        if self._ended:
            self._last += self._waiting
        elif self._readers:
            self._readers.take(self._waiting)
        self._waiting = []


def telling(observers: Sequence[Observer]) -> Callable[[Event], None]:
    """What hands an event to all observers; one that fails is told no more, the others why."""
    failed: set[int] = set()

    def tell(event: Event) -> None:
        for number, observer in enumerate(observers):
            if number in failed:
                continue
            error = error_of(partial(observer.on, event))
            if error is not None:
                failed.add(number)
                name = type(observer).__name__
                tell(Warned(None, f"the observer {name} failed, and is told no more: {error!r}"))

    return tell


def error_of(call: Callable[[], object]) -> BaseException | None:
    """Call an observer, whose defects concern no update: the error that it raised, if any.

    Ctrl-C is none: it is raised.
    """
    try:
        call()
    except BaseException as error:
        if not isinstance(error, Exception | SystemExit) and not is_panic(error):
            raise
        return error
    return None
