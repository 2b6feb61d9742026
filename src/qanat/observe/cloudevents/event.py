"""An event as CloudEvents 1.0 has it, in the structured and in the binary mode of HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from qanat.model.event import facts_of, kind_of
from qanat.model.observer import Told, about
from qanat.ports.observer import Observed

SCHEMA = "urn:qanat:schema:event:1"
"""The `$id` of the schema of `data`: docs/reference/schemas/v1/event.json."""
_TYPE = "dev.qanat."
_STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
_BINARY = {"Content-Type": "application/json"}
_HEADER = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')
"""The characters that the value of a header has as they are."""

# `json.dumps` makes a new encoder at each call that has options.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


def source_of(observed: Observed, given: str | None) -> str:
    """The attribute `source` of all events of a project and environment."""
    if given:
        return given
    names = (quote(name, safe="") for name in (observed.project, observed.environment))
    return f"qanat:{'/'.join(names)}"


def type_of(kind: str) -> str:
    """The attribute `type` of a kind of event.

    >>> type_of("update_started"), type_of("epoch_committed"), type_of("warned")
    ('dev.qanat.update.started', 'dev.qanat.epoch.committed', 'dev.qanat.warned')
    """
    return _TYPE + kind.replace("_", ".", 1)


def attributes(told: Told, source: str) -> dict[str, str]:
    """The context attributes of an event."""
    moment = datetime.fromtimestamp(told.record.at, UTC).isoformat(timespec="milliseconds")
    return {
        "specversion": "1.0",
        "id": told.id,
        "source": source,
        "type": type_of(kind_of(told.record.event)),
        "subject": about(told.record.event) or told.update.id,
        "time": moment.replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": SCHEMA,
    }


def data(told: Told) -> dict[str, Any]:
    """What an event tells."""
    update = told.update
    return {
        "version": 1,
        "update": update.id,
        "environment": update.environment,
        "command": update.command,
        "origin": update.origin,
        "number": told.record.number,
        "event": kind_of(told.record.event),
        "facts": facts_of(told.record.event),
    }


def line(told: Told, source: str) -> str:
    """An event as one line of JSON, without its end."""
    return _encode({**attributes(told, source), "data": data(told)})


def structured(told: Told, source: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request that has the whole event in its body."""
    return line(told, source).encode(), _STRUCTURED


def binary(told: Told, source: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request that has the attributes in headers."""
    known = attributes(told, source)
    del known["datacontenttype"]
    headers = {f"ce-{name}": quote(value, safe=_HEADER) for name, value in known.items()}
    return _encode(data(told)).encode(), {**headers, **_BINARY}
