"""A registry's client, by the stub of other tests and by a real registry: both answer alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from qanat.connectors.kafka.registry import Access, RegistryClient
from qanat.errors import AdapterError, SchemaMismatchError
from qanat.model.written import Written
from qanat.testing.apicurio import apicurio
from tests.registries import registry

FIELDS = [{"name": "id", "type": "long"}]
ORDER = {"type": "record", "name": "Order", "fields": FIELDS}
PART = 'syntax = "proto3"; message Part { int32 x = 1; }'
WHOLE = 'syntax = "proto3"; import "part.proto"; message Whole { Part p = 1; }'
OBJECT = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}


@pytest.fixture(
    scope="module", params=["stub", pytest.param("apicurio", marks=pytest.mark.services)]
)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "apicurio":
        with apicurio() as found:
            yield found
    else:
        with registry() as shelf:
            shelf.incompatible.add("refused")
            yield shelf.url


def client(url: str) -> RegistryClient:
    access = Access.of({"schema_registry": url})
    assert access is not None
    return RegistryClient(access)


@pytest.mark.parametrize(
    "written",
    [
        Written("AVRO", json.dumps(ORDER)),
        Written("PROTOBUF", WHOLE, {"part.proto": PART}),
        Written("JSON", json.dumps(OBJECT)),
    ],
    ids=["avro", "protobuf", "json"],
)
def test_what_is_registered_is_found(url: str, written: Written) -> None:
    number = client(url).register(f"{written.kind}-value", written)
    assert client(url).register(f"{written.kind}-value", written) == number
    found = client(url).schema(number)
    assert found is not None
    assert (found.kind, found.references) == (written.kind, written.references)
    if written.kind == "PROTOBUF":
        assert found.text == written.text
    else:
        assert json.loads(found.text) == json.loads(written.text)


def test_what_is_not_there(url: str) -> None:
    assert client(url).schema(99_999) is None
    with pytest.raises(AdapterError, match="not Confluent's API"):
        client(f"{url}/elsewhere").schema(1)


def test_what_is_not_compatible(url: str) -> None:
    client(url).register("kept", Written("AVRO", json.dumps(ORDER)))
    if "ccompat" in url:
        client(url).register("refused", Written("AVRO", json.dumps(ORDER)))
        body = b'{"compatibility": "BACKWARD"}'
        headers = {"Content-Type": "application/json"}
        asked = Request(f"{url}/config/refused", body, headers, method="PUT")  # noqa: S310
        urlopen(asked).close()  # noqa: S310 - a URL of our own
    other = {**ORDER, "fields": [{"name": "id", "type": "string"}]}
    with pytest.raises(SchemaMismatchError, match="refuses the schema"):
        client(url).register("refused", Written("AVRO", json.dumps(other)))
