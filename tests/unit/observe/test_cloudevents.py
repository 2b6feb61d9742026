"""Events as other people's libraries read them: CloudEvents and Standard Webhooks."""

from __future__ import annotations

import json
import select
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook as Verifier, WebhookVerificationError

from qanat import plugins
from qanat.model.event import (
    DatasetEnded,
    DatasetStarted,
    Event,
    EventRecord,
    Failure,
    UnknownEvent,
    UpdateStarted,
    kept_kinds,
)
from qanat.model.observer import CRASHED, Told
from qanat.model.portrait import Portrait
from qanat.model.record import UpdateRecord
from qanat.observe.cloudevents.event import SCHEMA, binary, data, source_of, structured, type_of
from qanat.observe.cloudevents.signature import secrets_of
from qanat.observe.cloudevents.webhook import Webhook
from qanat.report.events import TOLD, told_schema
from tests.receivers import receiving

UPDATE = UpdateRecord("20261130T010315-f4eed8", "dev", "run", 1796000595.0, origin="schedule x")
SECRETS = [f"whsec_{b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 3)]


class Shop:
    """A project that nobody asks anything."""

    project, environment, root = "größe/1", "dev", Path("/")

    def events(self, update: str) -> list[EventRecord]:
        return []

    def portrait(
        self, dataset: str, update: str | None = None, lineage: bool = True
    ) -> Portrait | None:
        return None


def told(event: Event | UnknownEvent, number: int = 3) -> Told:
    return Told(UPDATE, EventRecord(number, 1796000596.25, event))


EVENTS = (
    UpdateStarted(UPDATE.id, "dev", ("a", "b")),
    DatasetStarted('größe "x" 100 %', "streaming table"),
    DatasetEnded("a", "failed", "no", 0.5, Failure("Q2001", "E", "no\nline 2")),
    UnknownEvent("table_compacted", {"dataset": "a"}),
)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("mode", [structured, binary])
def test_the_sdk_reads_what_is_sent(
    event: Event, mode: Callable[[Told, str], tuple[bytes, dict[str, str]]]
) -> None:
    source = source_of(Shop(), None)
    body, headers = mode(told(event), source)
    assert all(value.isascii() and "\n" not in value for value in headers.values())
    read = from_http_event(HTTPMessage(headers, body))
    assert read.get_id() == f"{UPDATE.id}/3"
    assert read.get_source() == "qanat:gr%C3%B6%C3%9Fe%2F1/dev"
    assert read.get_specversion() == "1.0"
    assert read.get_dataschema() == SCHEMA
    assert read.get_datacontenttype() == "application/json"
    time = read.get_time()
    assert time is not None
    assert time.timestamp() == 1796000596.25
    found: Any = read.get_data()
    assert found == json.loads(json.dumps(data(told(event))))
    expected = found["facts"].get("dataset", UPDATE.id)
    assert read.get_subject() == expected


@pytest.mark.parametrize("event", EVENTS)
def test_data_keep_to_the_documented_schema(event: Event) -> None:
    schema = told_schema()
    assert schema["$id"] == SCHEMA
    jsonschema.Draft202012Validator.check_schema(schema)
    found = json.loads(json.dumps(data(told(event))))
    jsonschema.validate(found, schema)
    assert set(found) == {key.name for key in TOLD.columns}


def test_types_are_distinct() -> None:
    types = {type_of(kind) for kind in kept_kinds()}
    assert len(types) == len(kept_kinds())
    assert "dev.qanat.update.ended" in types


def test_the_end_of_a_crash_has_an_identifier_of_its_own() -> None:
    assert told(EVENTS[0], CRASHED).id == f"{UPDATE.id}/crashed"


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("secret", [SECRETS[0], f"{SECRETS[1]} {SECRETS[0]}"])
def test_a_receiver_verifies_signatures(mode: str, secret: str) -> None:
    kind = plugins.observer_kind("webhook")
    with receiving() as receiver:
        given = {"url": receiver.url, "secret": secret, "mode": mode}
        options = kind.options.check_all(given.items())
        hook = Webhook("hook", options, Shop())
        for number, event in enumerate(EVENTS, 1):
            hook.deliver(told(event, number))
        hook.close()
    assert [r.headers["webhook-id"] for r in receiver.requests] == [
        f"{UPDATE.id}/{n}" for n in range(1, len(EVENTS) + 1)
    ]
    for request in receiver.requests:
        Verifier(SECRETS[0]).verify(request.body, request.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRETS[2]).verify(request.body, request.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRETS[0]).verify(request.body + b" ", request.headers)


def test_one_connection_is_used_for_all() -> None:
    with receiving() as receiver:
        hook = Webhook("hook", {"url": receiver.url}, Shop())
        for _ in range(3):
            hook.deliver(told(EVENTS[0]))
        connection = hook._poster._connection
        hook.deliver(told(EVENTS[0]))
        assert connection is not None
        assert hook._poster._connection is connection
        hook.close()


def test_a_connection_that_the_server_has_closed_is_opened_again() -> None:
    with receiving(idle=0.05) as receiver:
        hook = Webhook("hook", {"url": receiver.url}, Shop())
        hook.deliver(told(EVENTS[0]))
        connection = hook._poster._connection
        assert connection is not None
        # Once it can be read, the server has closed it.
        assert select.select([connection.sock], [], [], 60)[0]
        hook.deliver(told(EVENTS[1]))
        hook.close()
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("text", ["whsec_x", "c2hvcnQ=", f"{SECRETS[0]} whsec_", "ü"])
def test_what_cannot_be_a_secret(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|bytes"):
        secrets_of(text)
