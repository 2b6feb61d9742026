"""What one update told, in its order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from qanat.model.event import EventRecord, facts_of, kind_of
from qanat.model.observer import Told
from qanat.observe.cloudevents.event import SCHEMA
from qanat.report.history import update_line
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY, elapsed, moment
from qanat.report.narrative import narrate
from qanat.report.schema import schema_of
from qanat.report.shape import Key, Shape, Shapes
from qanat.run.results import UpdateEvents
from qanat.text import PLAIN, Layout

EVENT = Shape(
    "Event",
    EventRecord,
    (
        "number",
        Key("time", of=str, make=lambda record: moment(record.at)),
        Key("event", of=str, make=lambda record: kind_of(record.event)),
        Key("facts", of=dict[str, Any], make=lambda record: facts_of(record.event)),
    ),
    "One event; `number` grows within the update.\n\n"
    "`event` is `update_started`, `dataset_started`, `epoch_committed`, `table_checked`,\n"
    "`dataset_ended`, `dataset_paused`, `recovered`, `retried`, `warned`, `update_ended`, or\n"
    "what a newer version may tell. `facts` has the same fields as its line in the logs of\n"
    "`qanat run --log-format json`; `failure` has those of an error.",
)
EVENTS = Shape(
    "UpdateEventsDocument",
    UpdateEvents,
    (
        VERSION_KEY,
        Key("update", "update.id"),
        *(Key(name, f"update.{name}") for name in ("environment", "command", "status")),
        Key("started", of=str, make=lambda told: moment(told.update.started)),
        Key(
            "seconds",
            of=float | None,
            make=lambda told: elapsed(told.update.started, told.update.ended),
        ),
        Key("error", "update.error"),
        "events",
    ),
    "What one update told, in its order; `seconds` is null while it runs.",
)
PARTS = (EVENT,)
TOLD = Shape(
    "EventData",
    Told,
    (
        VERSION_KEY,
        Key("update", "update.id"),
        *(Key(name, f"update.{name}") for name in ("environment", "command", "origin")),
        Key("number", "record.number"),
        Key("event", of=str, make=lambda told: kind_of(told.record.event)),
        Key("facts", of=dict[str, Any], make=lambda told: facts_of(told.record.event)),
    ),
    "The data of a CloudEvent that an observer gets: one event of an update, as in\n"
    "`EventsDocument`. `origin` is what started the update, null for a person; `number` is 0 for\n"
    "the end of an update whose process could not tell of it.",
)


def told_schema() -> dict[str, Any]:
    """The JSON schema of the data of a CloudEvent, by the name that events give it."""
    schema = schema_of(TOLD, Shapes(TOLD), EVENT)
    return {"$schema": schema.pop("$schema"), "$id": SCHEMA, **schema}


_NOTHING = "No event was kept of it."


def events_text(told: UpdateEvents, layout: Layout = PLAIN) -> str:
    """An update, and below it its events with their times."""
    lines = [line for record in told.events for line in _event(record, layout)]
    return "\n".join([update_line(told.update, layout), *(lines or [f"  {_NOTHING}"])])


def events_html(told: UpdateEvents) -> str:
    """The same for a notebook."""
    first = heading(update_line(told.update))
    if not told.events:
        return page(first, heading(_NOTHING))
    rows = [[_time(record), "; ".join(narrate(record.event))] for record in told.events]
    return page(first, table(("Time", "Event"), rows))


def _time(record: EventRecord) -> str:
    return datetime.fromtimestamp(record.at, UTC).time().isoformat("milliseconds")


def _event(record: EventRecord, layout: Layout) -> list[str]:
    first, *details = narrate(record.event)
    at = _time(record)
    margin = " " * (len(at) + 6)
    return [f"  {layout.paint(at, 'dim')}  {first}", *(margin + line for line in details)]
