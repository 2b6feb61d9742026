"""What is asked of a schema registry, and what its answers mean."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from qanat.connectors.kafka import READ
from qanat.connectors.kafka.options import Secret
from qanat.connectors.kafka.registry import Access, RegistryClient
from qanat.errors import AdapterError, OptionError, SchemaMismatchError, SourceUnavailableError
from qanat.model.written import Written
from tests.registries import registry


def client(url: str, **options: Any) -> RegistryClient:
    found = READ.check_all(
        {"bootstrapServers": "a:1", "subscribe": "t", "schemaRegistry": url, **options}.items()
    )
    access = Access.of(found)
    assert access is not None
    return RegistryClient(access)


def test_a_number_is_asked_for_once() -> None:
    with registry() as shelf:
        number = shelf.add("t-value", {"schema": '"string"'})
        found = client(shelf.url)
        assert found.schema(number) == found.schema(number) == Written("AVRO", '"string"')
        assert found.schema(99) is None
        assert found.schema(99) is None
    asked = [f"GET /schemas/ids/{n}" for n in (number, 99, 99)]
    assert shelf.asked == asked


def test_references_come_in_their_order() -> None:
    with registry() as shelf:
        shelf.add("inner", {"schema": "I", "schemaType": "PROTOBUF"})
        refers = [{"name": "i.proto", "subject": "inner", "version": 1}]
        shelf.add("outer/x", {"schema": "O", "schemaType": "PROTOBUF", "references": refers})
        refers = [{"name": "o.proto", "subject": "outer/x", "version": 1}]
        number = shelf.add("t", {"schema": "T", "schemaType": "PROTOBUF", "references": refers})
        found = client(shelf.url).schema(number)
    assert found == Written("PROTOBUF", "T", {"i.proto": "I", "o.proto": "O"})
    assert list(found.references) == ["i.proto", "o.proto"]


@pytest.mark.parametrize(
    ("login", "options"),
    [
        (
            "Basic " + b64encode(b"ada:s3cret!").decode(),
            {"schemaRegistryUser": "ada", "schemaRegistryPassword": "s3cret!"},
        ),
        ("Bearer t0ken!", {"schemaRegistryToken": "t0ken!"}),
    ],
)
def test_logins(login: str, options: dict[str, str]) -> None:
    with registry(login) as shelf:
        shelf.add("t", {"schema": "x"})
        assert client(shelf.url, **options).schema(1) is not None
        with pytest.raises(AdapterError, match="does not let us in") as caught:
            client(shelf.url, schemaRegistryToken="wrong-one").schema(1)
    assert "wrong-one" not in str(caught.value)
    given = READ.check_all(
        {
            "bootstrapServers": "a",
            "subscribe": "t",
            "schemaRegistry": "http://r",
            **options,
        }.items()
    )
    assert not any(secret in repr(given) for secret in ("s3cret!", "t0ken!"))
    assert any(isinstance(v, Secret) for v in given.values())


def test_servers_are_asked_in_turn() -> None:
    with registry() as shelf:
        shelf.add("t", {"schema": "x"})
        found = client(f"http://127.0.0.1:1,{shelf.url}")
        assert found.schema(1) is not None
        shelf.broken = 1
        with pytest.raises(SourceUnavailableError, match="does not answer"):
            client(shelf.url).schema(1)
        with pytest.raises(AdapterError, match="not Confluent's API") as caught:
            client(f"{shelf.url}/elsewhere").schema(1)
    assert "/apis/ccompat/v7" in (caught.value.hint or "")


def test_what_is_not_compatible_is_told() -> None:
    with registry() as shelf:
        found = client(shelf.url)
        assert found.register("t-value", Written("AVRO", "x")) == 1
        assert found.register("t-value", Written("AVRO", "x")) == 1
        assert shelf.asked == ["POST /subjects/t-value/versions"]
        shelf.incompatible.add("other")
        with pytest.raises(SchemaMismatchError, match="refuses the schema"):
            found.register("other", Written("AVRO", "y"))


@pytest.mark.parametrize(
    "options",
    [
        {"schemaRegistry": "registry:8081"},
        {"schemaRegistry": "http://ada:pass@registry"},
        {"schemaRegistryUser": "ada"},
        {"schemaRegistry": "http://r", "schemaRegistryUser": "a", "schemaRegistryToken": "t"},
    ],
)
def test_options_that_do_not_fit(options: dict[str, str]) -> None:
    with pytest.raises(OptionError) as caught:
        Access.of(READ.check_all({"bootstrapServers": "a", "subscribe": "t", **options}.items()))
    assert "pass@" not in str(caught.value)
