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
from tests.conformance.kafka_topics import Topics, values
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


SINK = """\
dp.create_sink("report", "kafka", {{
    "kafka.bootstrap.servers": "{brokers}", "topic": "{topic}-out", "key": "id",
    "schema_registry": "{registry}", {more}
}})


@dp.append_flow(target="report")
def reported():
    return "SELECT id, name, tags, amount, moment FROM STREAM rows_in"
"""
ROWS = """\
CREATE STREAMING TABLE rows_in AS
SELECT id, name, [name, NULL] AS tags, CAST(id AS DECIMAL(10, 2)) AS amount,
  TIMESTAMPTZ '2026-01-02 03:04:05.678+00' AS moment
FROM STREAM read_files('data/*.csv');
"""


def send(shop: Formats, more: str) -> list[bytes | None]:
    """The values of the topic that a sink sends two rows to."""
    shop.topics.create(name=f"{shop.topic}-out")
    shop.file("data/1.csv", "id,name\n1,Ada\n2,\n")
    shop.sql(ROWS)
    names = {"brokers": shop.topics.address, "topic": shop.topic, "registry": shop.shelf.url}
    shop.python(SINK.format(**names, more=more))
    shop.run()
    return values(shop.topics.messages(f"{shop.topic}-out"))


def test_a_sink_in_avro(shop: Formats) -> None:
    found = send(shop, '"value_format": "avro"')
    [(number, schema)] = shop.shelf.schemas.items()
    assert shop.shelf.subjects == {f"{shop.topic}-out-value": [number]}
    parsed = fastavro.parse_schema(json.loads(schema["schema"]))
    rows = [fastavro.schemaless_reader(io.BytesIO(v[5:]), parsed) for v in found if v]
    assert [v[:5] for v in found if v] == [header(number)] * 2
    assert [(r["id"], r["name"], r["tags"], str(r["amount"])) for r in rows] == [
        (1, "Ada", ["Ada", None], "1.00"),
        (2, None, [None, None], "2.00"),
    ]
    assert rows[0]["moment"].isoformat() == "2026-01-02T03:04:05.678000+00:00"
    # What was sent is read again.
    shop.sql(ROWS + READ.replace("${topic}", "${topic}-out").replace("id, name,", "*,") % (
        "format => 'avro', schemaRegistry => '${registry}'"
    ))  # fmt: skip
    shop.run()
    assert sorted((r["id"], str(r["amount"])) for r in shop.rows()) == [(1, "1.00"), (2, "2.00")]


def test_a_sink_in_json_with_a_schema(shop: Formats) -> None:
    found = send(shop, '"value_format": "json", "subject_name_strategy": "topic_record"')
    [(number, schema)] = shop.shelf.schemas.items()
    assert schema["schemaType"] == "JSON"
    properties = json.loads(schema["schema"])["properties"]
    assert list(properties) == ["id", "name", "tags", "amount", "moment"]
    [subject] = shop.shelf.subjects
    assert subject.startswith(f"{shop.topic}-out-")
    assert [(v[:5], json.loads(v[5:])["id"]) for v in found if v] == [
        (header(number), 1),
        (header(number), 2),
    ]


def test_a_sink_in_protobuf(shop: Formats) -> None:
    pytest.importorskip("ptars")
    shop.file(
        "out.proto",
        'syntax = "proto3"; import "google/protobuf/timestamp.proto";'
        " message Other { int32 x = 1; } message Row { int64 id = 1; optional string name = 2;"
        " google.protobuf.Timestamp moment = 5; string left = 6; }",
    )
    shop.file("data/1.csv", "id,name\n1,Ada\n2,\n")
    names = {"brokers": shop.topics.address, "topic": shop.topic, "registry": shop.shelf.url}
    more = '"value_format": "protobuf", "value_schema": "out.proto", "message": "Row"'
    shop.topics.create(name=f"{shop.topic}-out")
    shop.sql(ROWS)
    shop.python(SINK.format(**names, more=more).replace("tags, amount, ", ""))
    shop.run()
    found = values(shop.topics.messages(f"{shop.topic}-out"))
    [number] = shop.shelf.schemas
    assert [v[:7] for v in found if v] == [header(number) + b"\2\2"] * 2
    shop.sql(ROWS + READ.replace("${topic}", "${topic}-out").replace("id, name,", "*,") % (
        "format => 'protobuf', schemaRegistry => '${registry}'"
    ))  # fmt: skip
    shop.run()
    assert sorted((r["id"], r["name"], r["left"]) for r in shop.rows()) == [
        (1, "Ada", ""),
        (2, None, ""),
    ]


def test_a_schema_that_the_registry_refuses(shop: Formats) -> None:
    shop.shelf.incompatible.add(f"{shop.topic}-out-value")
    with pytest.raises(AssertionError, match="the schema registry refuses"):
        send(shop, '"value_format": "avro"')
