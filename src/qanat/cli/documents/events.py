"""The document of `qanat history --update`."""

from __future__ import annotations

from typing import Any, TypedDict

from qanat.cli.documents import VERSION, moment
from qanat.cli.documents.history import elapsed
from qanat.model.event_record import EventRecord, facts_of, kind_of
from qanat.run.diary import UpdateEvents


class EventDocument(TypedDict):
    """One event; `number` grows within the update.

    `event` is `update_started`, `dataset_started`, `epoch_committed`, `dataset_ended`,
    `recovered`, `retried`, `warned`, `update_ended`, or what a newer version may tell. `facts`
    has the same fields as its line in the logs of `qanat run --log-format json`; `failure` has
    those of an error.
    """

    number: int
    time: str
    event: str
    facts: dict[str, Any]


class UpdateEventsDocument(TypedDict):
    """What one update told, in its order; `seconds` is null while it runs."""

    version: int
    update: str
    environment: str
    command: str
    status: str
    started: str
    seconds: float | None
    error: str | None
    events: list[EventDocument]


def update_events_document(told: UpdateEvents) -> UpdateEventsDocument:
    """The document of an update's events."""
    update = told.update
    return {
        "version": VERSION,
        "update": update.id,
        "environment": update.environment,
        "command": update.command,
        "status": update.status.value,
        "started": moment(update.started),
        "seconds": elapsed(update.started, update.ended),
        "error": update.error,
        "events": [_event(r) for r in told.events],
    }


def _event(record: EventRecord) -> EventDocument:
    return {
        "number": record.number,
        "time": moment(record.at),
        "event": kind_of(record.event),
        "facts": facts_of(record.event),
    }
