"""Topics in Avro, Protobuf, CSV and JSON of a registry, read by projects and written by them."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from qanat.run.quarantine import replay
from qanat.run.session import Session
from qanat.testing.kafka import kafka
from tests.acceptance.projects import Shop
from tests.conformance.kafka_topics import Topics
from tests.registries import Shelf, registry

fastavro = pytest.importorskip("fastavro")
pytestmark = pytest.mark.services

ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}],
}
PROTO = 'syntax = "proto3"; package shop; message Order { int64 id = 1; string name = 2; }'
SPEC = "name: shop\nthreads: 1\nconfiguration: {brokers: '%s', topic: '%s', registry: '%s'}\n"
READ = """\
CREATE OR REFRESH STREAMING TABLE bronze AS SELECT id, name, _metadata.offset AS place
FROM STREAM read_kafka(bootstrapServers => '${brokers}', subscribe => '${topic}', %s);
"""


class Formats(Shop):
    """A shop with a topic and a registry."""

    def __init__(self, folder: Path, topics: Topics, shelf: Shelf) -> None:
        super().__init__(folder)
        self.topics, self.shelf = topics, shelf
        self.topic = topics.create()
        self.file("qanat.yml", SPEC % (topics.address, self.topic, shelf.url))

    def read(self, options: str) -> None:
        self.sql(READ % options)

    def rows(self, dataset: str = "bronze") -> list[dict[str, Any]]:
        return DeltaTable(self.table(dataset)).to_pyarrow_table().to_pylist()

    @property
    def found(self) -> list[tuple[Any, ...]]:
        return sorted((r["place"], r["id"], r["name"]) for r in self.rows())


@pytest.fixture(scope="module")
def topics() -> Iterator[Topics]:
    with kafka() as broker:
        yield Topics(broker)


@pytest.fixture
def shop(topics: Topics, tmp_path: Path) -> Iterator[Formats]:
    with registry() as shelf:
        yield Formats(tmp_path, topics, shelf)


def body(value: dict[str, Any], schema: Any = ORDER) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def header(number: int) -> bytes:
    return b"\0" + struct.pack(">I", number)


def test_avro_by_a_registry_and_a_schema_that_comes_later(shop: Formats) -> None:
    number = shop.shelf.add(f"{shop.topic}-value", {"schema": json.dumps(ORDER)})
    shop.topics.send(
        shop.topic,
        header(number) + body({"id": 1, "name": "Ada"}),
        header(number) + body({"id": 2, "name": None}) + b"!",
        header(number + 1) + body({"id": 3, "name": "Bob"}),
        b"{}",
    )
    shop.read("format => 'avro', schemaRegistry => '${registry}'")
    shop.run()
    assert shop.found == [(0, 1, "Ada")]
    waiting = {r["_quarantine_source"]["row"]: r for r in shop.rows("bronze__quarantine")}
    assert {r["_quarantine_source"]["file"] for r in waiting.values()} == {f"{shop.topic}/0"}
    assert waiting[3]["_quarantine_raw"] == "e30="
    assert set(waiting) == {1, 2, 3}
    # The schema is registered, and brokers need not have the messages any more.
    shop.topics.expire(shop.topic, 0, 4)
    assert shop.shelf.add("other", {"schema": json.dumps({**ORDER, "doc": "2"})}) == number + 1
    with Session.open(shop.folder) as session:
        replay(session)
    assert shop.found == [(0, 1, "Ada"), (2, 3, "Bob")]
    left = [r["_quarantine_source"]["row"] for r in shop.rows("bronze__quarantine")]
    assert sorted(left) == [1, 3]


def test_avro_by_a_file_that_is_mended(shop: Formats) -> None:
    shop.file("order.avsc", json.dumps({**ORDER, "fields": ORDER["fields"][::-1]}))
    shop.topics.send(shop.topic, body({"id": 1, "name": "Ada"}))
    shop.read("format => 'avro', valueSchema => 'order.avsc'")
    shop.run()
    assert [r["_quarantine_source"]["row"] for r in shop.rows("bronze__quarantine")] == [0]
    shop.file("order.avsc", json.dumps(ORDER))
    with Session.open(shop.folder) as session:
        replay(session)
    assert shop.found == [(0, 1, "Ada")]
    assert not shop.rows("bronze__quarantine")


def test_protobuf_by_a_file(shop: Formats) -> None:
    pytest.importorskip("ptars")
    shop.file("schemas/order.proto", PROTO)
    shop.topics.send(shop.topic, b"\x08\x05\x12\x03Ada", b"\x08", b"")
    shop.read(
        "format => 'protobuf', valueSchema => 'schemas/order.proto', message => 'shop.Order'"
    )
    shop.run()
    assert shop.found == [(0, 5, "Ada"), (2, 0, "")]
    [waiting] = shop.rows("bronze__quarantine")
    assert (waiting["_quarantine_source"]["row"], waiting["_quarantine_raw"]) == (1, "CA==")


def test_lines_of_csv(shop: Formats) -> None:
    shop.topics.send(shop.topic, b"1;Ada", b"x;Bob", b"3;")
    shop.read("format => 'csv', delimiter => ';', schema => 'id BIGINT, name STRING'")
    shop.run()
    assert shop.found == [(0, 1, "Ada"), (2, 3, None)]
    [waiting] = shop.rows("bronze__quarantine")
    assert (waiting["_quarantine_source"]["row"], waiting["_quarantine_raw"]) == (1, "x;Bob")


def test_json_with_the_number_of_its_schema(shop: Formats) -> None:
    shop.topics.send(shop.topic, header(1) + b'{"id": 1, "name": "Ada"}')
    shop.read("format => 'json', schemaRegistry => '${registry}'")
    shop.run()
    assert shop.found == [(0, 1, "Ada")]
