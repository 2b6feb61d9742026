"""An update's diary: what it tells, kept in the ledger with it, and read back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from qanat.errors import QanatError, UpdateNotFoundError, nearest
from qanat.model.event import DatasetEnded, DatasetProgress, Event, Failure, UpdateEnded, Warned
from qanat.model.event_record import EventRecord, facts_of
from qanat.model.record import UpdateRecord
from qanat.planning.lineage import dataset_of
from qanat.ports.ledger import Ledger
from qanat.run.session import Session

MOST = 10_000
"""Events kept of one update; beyond that only failures, and how the update ended."""

LAST = "last"
"""Stands for the identifier of the newest update."""

_PAGE = 1000
_SUGGESTIONS = 1000
"""Updates among whose identifiers to look for the one that was meant."""


class Diary:
    """An observer that keeps the events of one update in the ledger.

    An update that finds nothing to do leaves no trace, so events wait here until the update is
    recorded. `DatasetProgress` is for those who watch, and not kept.

    Args:
        update: its identifier.
        most: events to keep; failures come on top.
    """

    def __init__(self, ledger: Ledger, update: str, most: int = MOST) -> None:
        self._ledger = ledger
        self._update = update
        self._most = most
        self._waiting: list[EventRecord] = []
        self._number = 0
        self._left_out = 0
        self._recorded = False
        self._ended = False
        self._lock = Lock()

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

    def begin(self) -> None:
        """The ledger knows of the update: hand over what has been told."""
        with self._lock:
            self._recorded = True
            self._hand_over()

    def end(self, event: UpdateEnded) -> None:
        """Take the last event, before the ledger records the end: both are written together."""
        with self._lock:
            if self._left_out:
                text = f"{self._left_out:,} more events were told; {self._most:,} are kept"
                self._add(Warned(None, text))
            self._add(event)
            self._ended = True

    def _add(self, event: Event) -> None:
        self._number += 1
        self._waiting.append(EventRecord(self._number, time.time(), event))
        if self._recorded:
            self._hand_over()

    def _hand_over(self) -> None:
        self._ledger.keep(self._update, self._waiting)
        self._waiting = []


def failure_of(error: QanatError) -> Failure:
    """What an event says of an error."""
    return Failure(**error.facts())


@dataclass(frozen=True, slots=True)
class UpdateEvents:
    """An update, and what it has told so far, in its order."""

    update: UpdateRecord
    events: tuple[EventRecord, ...]


def update_events(session: Session, update: str, dataset: str | None = None) -> UpdateEvents:
    """What an update has told: of one that runs, up to its last write to the ledger.

    Args:
        update: its identifier, as `history` gives it, or `last` for the newest.
        dataset: only the events about this dataset.

    Raises:
        UpdateNotFoundError: no update of this environment has that identifier.
        DatasetNotFoundError: nobody declares the dataset, and no epoch remembers it.
    """
    ledger = session.memory
    newest = ledger.updates(1) if update == LAST else []
    found = newest[0] if newest else ledger.update(update)
    if found is None:
        known = [u.id for u in ledger.updates(_SUGGESTIONS)]
        raise UpdateNotFoundError(
            f"no update {update!r} in environment {session.project.environment}",
            nearest=nearest(update, known),
            hint="qanat history lists them",
        )
    records = _all(ledger, found.id)
    if dataset is not None:
        if not ledger.epochs(dataset=dataset, limit=1):
            dataset = dataset_of(session.pipeline, dataset).name
        key = dataset.casefold()
        about = ((r, facts_of(r.event).get("dataset")) for r in records)
        return UpdateEvents(found, tuple(r for r, name in about if _is(name, key)))
    return UpdateEvents(found, tuple(records))


def _is(name: object, key: str) -> bool:
    return isinstance(name, str) and name.casefold() == key


def _all(ledger: Ledger, update: str) -> Iterator[EventRecord]:
    after = 0
    while page := ledger.events(update, after, _PAGE):
        yield from page
        after = page[-1].number
