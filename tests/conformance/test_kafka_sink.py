"""What a Kafka sink promises, against a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from pyarrow import parquet

from qanat.connectors.kafka import books
from qanat.connectors.kafka.sink import KafkaSink
from qanat.errors import (
    AdapterError,
    CommitConflictError,
    FileVanishedError,
    HistoryMismatchError,
    InvariantError,
    OptionError,
    SchemaMismatchError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from qanat.model.pipeline import SinkTarget
from qanat.model.schema import Array, DataType, Field, Primitive, Schema, Struct
from qanat.model.staged import DataFile, StagedTable
from qanat.ports.sink import Delivery
from qanat.testing.kafka import kafka
from qanat.testing.reading import surroundings
from tests.conformance.kafka_topics import Topics, values

pytestmark = pytest.mark.services

LONG, TEXT, BYTES = Primitive("long"), Primitive("string"), Primitive("binary")
VALUE = Schema((Field("value", TEXT),))


@pytest.fixture(scope="module")
def topics() -> Iterator[Topics]:
    with kafka() as broker:
        yield Topics(broker)


class Outlet:
    """A flow into a topic, as one process sees it."""

    def __init__(self, topics: Topics, topic: str, scratch: Path, **options: Any) -> None:
        self.topics, self.topic, self.scratch = topics, topic, scratch
        self.sink = KafkaSink(surroundings(scratch))
        given = {"bootstrap_servers": topics.address, "topic": topic, **options}
        self.target = SinkTarget("kafka", tuple(given.items()), "kafka")

    def delivery(self, epoch: int, flow: str = "f") -> Delivery:
        return Delivery(self.target, flow, epoch, self.scratch)

    def stage(self, delivery: Delivery, *rows: str) -> tuple[Path, StagedTable]:
        """What an engine does: a file with the rows."""
        return self.staged(delivery, pa.table({"value": pa.array(rows, pa.string())}), VALUE)

    def staged(
        self, delivery: Delivery, rows: pa.Table, schema: Schema
    ) -> tuple[Path, StagedTable]:
        output = self.sink.output(delivery)
        name = f"{output.prefix}-{uuid4().hex}.parquet"
        parquet.write_table(rows, output.folder / name)
        file = DataFile(name, 1, rows.num_rows)
        return output.folder, StagedTable(schema, (file,) if rows.num_rows else ())

    def send(self, epoch: int, *rows: str, flow: str = "f", again: bool = False) -> None:
        delivery = self.delivery(epoch, flow)
        self.sink.publish(delivery, *self.stage(delivery, *rows), again)

    @property
    def sent(self) -> list[bytes | None]:
        return values(self.topics.messages(self.topic))


@pytest.fixture
def outlet(topics: Topics, tmp_path: Path) -> Outlet:
    return Outlet(topics, topics.create(), tmp_path)


def another(outlet: Outlet) -> Outlet:
    """The same flow, in another process."""
    return Outlet(outlet.topics, outlet.topic, outlet.scratch)


def test_epochs_are_sent_once(outlet: Outlet) -> None:
    assert outlet.sink.last(outlet.target, "f") == 0
    outlet.send(1, "a", "b")
    outlet.send(2)
    outlet.send(3, "c")
    assert outlet.sent == [b"a", b"b", b"c"]
    # As recovery does, which does not know whether it was published.
    other = another(outlet)
    other.send(3, "other rows", again=True)
    assert other.sent == [b"a", b"b", b"c"]
    assert [other.sink.carries(other.target, "f", n) for n in (2, 3, 4)] == [True, True, False]
    assert (other.sink.last(other.target, "f"), other.sink.last(other.target, "g")) == (3, 0)
    assert not list(outlet.scratch.glob("*/rows-*"))


def test_what_is_committed_is_known_at_once(outlet: Outlet) -> None:
    reader = another(outlet)
    for epoch in range(1, 21):
        outlet.send(epoch, "a")
        assert reader.sink.last(outlet.target, "f") == epoch


def test_publishing_twice_is_the_same_as_once(outlet: Outlet) -> None:
    delivery = outlet.delivery(1)
    staging, staged = outlet.stage(delivery, "a")
    outlet.sink.publish(delivery, staging, staged, False)
    staging.mkdir()
    parquet.write_table(pa.table({"value": ["a"]}), staging / staged.files[0].path)
    outlet.sink.publish(delivery, staging, staged, False)
    assert outlet.sent == [b"a"]


def test_an_epoch_that_somebody_else_has_sent(outlet: Outlet) -> None:
    another(outlet).send(1, "a")
    with pytest.raises(HistoryMismatchError, match="has epoch 1 of flow f already"):
        outlet.send(1, "b")
    assert outlet.sent == [b"a"]


def test_flows_into_one_topic_have_numbers_of_their_own(outlet: Outlet) -> None:
    outlet.send(1, "a")
    outlet.send(1, "b", flow="g")
    assert outlet.sent == [b"a", b"b"]


@pytest.mark.parametrize("taking", ["output", "carries"])
def test_a_process_that_was_asleep_sends_nothing(outlet: Outlet, taking: str) -> None:
    outlet.send(1, "a")
    delivery = outlet.delivery(2)
    sleeper = outlet.stage(delivery, "late")
    other = another(outlet)
    if taking == "output":
        other.send(2, "b")
    else:
        assert not other.sink.carries(other.target, "f", 2)
    for _ in range(2):
        # It may try again, with a producer of its own that is new, and is not the one to send.
        with pytest.raises(CommitConflictError, match="another update has taken over"):
            outlet.sink.publish(delivery, *sleeper, False)
    other.send(3, "c")
    assert other.sent == ([b"a", b"b", b"c"] if taking == "output" else [b"a", b"c"])


def test_what_a_crash_has_left_open_is_given_up(outlet: Outlet) -> None:
    outlet.send(1, "a")
    sink, delivery = outlet.sink, outlet.delivery(2)
    staging, staged = outlet.stage(delivery, "half", "gone")
    wrong = StagedTable(VALUE, (*staged.files, DataFile(staged.files[0].path, 1, 9)))
    with pytest.raises(InvariantError, match="11 rows were staged"):
        sink.publish(delivery, staging, wrong, False)
    outlet.send(2, "b", again=True)
    assert outlet.sent == [b"a", b"b"]


def test_books_go_along_with_a_new_name(outlet: Outlet) -> None:
    outlet.send(1, "a")
    outlet.send(2, "b")
    for _ in range(2):
        outlet.sink.rename(outlet.target, "f", "g")
        assert outlet.sink.last(outlet.target, "g") == 2
        assert outlet.sink.last(outlet.target, "f") == 0
    outlet.sink.rename(outlet.target, "none", "other")
    outlet.send(3, "c", flow="g")
    assert outlet.sent == [b"a", b"b", b"c"]


def test_keys_headers_and_partitions(topics: Topics, tmp_path: Path) -> None:
    outlet = Outlet(topics, topics.create(), tmp_path)
    delivery = outlet.delivery(1)
    headers = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    rows = pa.table(
        {
            "key": pa.array([b"\xff", None], pa.binary()),
            "Value": pa.array(["é", None]),
            "headers": pa.array([[{"key": "h", "value": b"\x00"}], None], headers),
            "partition": pa.array([0, None], pa.int32()),
        }
    )
    schema = Schema(
        (
            Field("key", BYTES),
            Field("Value", TEXT),
            Field("headers", Array(Struct((Field("key", TEXT), Field("value", BYTES))))),
            Field("partition", Primitive("integer")),
        )
    )
    outlet.sink.publish(delivery, *outlet.staged(delivery, rows, schema), False)
    found = [(m.key(), m.value(), m.headers()) for m in topics.messages(outlet.topic)]
    assert found == [(b"\xff", "é".encode(), [("h", b"\x00")]), (None, None, None)]


def test_whole_rows(topics: Topics, tmp_path: Path) -> None:
    outlet = Outlet(topics, topics.create(), tmp_path, value_format="json", key="ID")
    delivery = outlet.delivery(1)
    output = outlet.sink.output(delivery)
    assert output.format == "json"
    rows = b'{"id":9007199254740993.10,"n":"\\n"}\n{"id":null}\n{"id":"x"}\n{"id":true}\n'
    (output.folder / "rows-0.json").write_bytes(rows)
    staged = StagedTable(Schema((Field("id", LONG),)), (DataFile("rows-0.json", 1, 4),))
    outlet.sink.publish(delivery, output.folder, staged, False)
    found = [(m.key(), m.value()) for m in topics.messages(outlet.topic)]
    keys = [b"9007199254740993.10", None, b"x", b"true"]
    assert found == list(zip(keys, rows.splitlines(), strict=True))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": TEXT}, "a message has no 'id'"),
        ({"key": TEXT}, "needs a column 'value'"),
        ({"value": LONG}, "'value' is nothing that a message has"),
        ({"value": TEXT, "headers": TEXT}, "'headers' is nothing that a message has"),
        ({"value": TEXT, "partition": TEXT}, "'partition' is nothing that a message has"),
    ],
)
def test_rows_that_are_no_messages(
    outlet: Outlet, columns: dict[str, DataType], message: str
) -> None:
    schema = Schema(tuple(Field(n, t) for n, t in columns.items()))
    delivery = outlet.delivery(1)
    staging = outlet.sink.output(delivery).folder
    with pytest.raises(SchemaMismatchError, match=message):
        outlet.sink.publish(delivery, staging, StagedTable(schema, ()), False)
    assert outlet.sink.last(outlet.target, "f") == 0


def test_staged_rows_that_are_gone(outlet: Outlet) -> None:
    delivery = outlet.delivery(1)
    staging, staged = outlet.stage(delivery, "a")
    (staging / staged.files[0].path).unlink()
    with pytest.raises(FileVanishedError):
        outlet.sink.publish(delivery, staging, staged, False)


def test_a_message_that_is_too_large(topics: Topics, tmp_path: Path) -> None:
    outlet = Outlet(topics, topics.create(), tmp_path)
    with pytest.raises(AdapterError, match="too large"):
        outlet.send(1, "a", "x" * 2_000_000)
    outlet.send(1, "a", again=True)
    assert outlet.sent == [b"a"]


def test_a_message_that_is_too_large_for_the_topic(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create(**{"max.message.bytes": "1000"})
    outlet = Outlet(topics, topic, tmp_path)
    with pytest.raises(AdapterError, match="a message is too large") as told:
        outlet.send(1, "a", "x" * 5_000)
    assert topic in str(told.value.got)
    assert "max.message.bytes" in str(told.value.hint)
    outlet.send(1, "a", again=True)
    assert outlet.sent == [b"a"]


def test_a_topic_that_is_not_there(topics: Topics, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="there is no topic 'nowhere'"):
        Outlet(topics, "nowhere", tmp_path).send(1, "a")


def test_a_broker_that_is_away(topics: Topics, tmp_path: Path) -> None:
    outlet = Outlet(topics, "t", tmp_path, bootstrap_servers="127.0.0.1:1")
    with pytest.raises(SourceUnavailableError):
        outlet.sink.output(outlet.delivery(1))


@pytest.mark.parametrize("missing", ["topic", "bootstrap_servers"])
def test_options_that_are_needed(topics: Topics, tmp_path: Path, missing: str) -> None:
    outlet = Outlet(topics, "t", tmp_path)
    options = tuple((k, v) for k, v in outlet.target.options if k != missing)
    with pytest.raises(OptionError, match=missing):
        outlet.sink.check(SinkTarget("kafka", options, "kafka"))


def test_a_broker_that_dies_between_epochs(tmp_path: Path) -> None:
    with kafka() as broker:
        topics = Topics(broker)
        outlet = Outlet(topics, topics.create(), tmp_path)
        outlet.send(1, "a")
        broker.kill()
        broker.start()
        outlet.send(2, "b")
        assert outlet.sent == [b"a", b"b"]
        assert books.TOPIC in topics.admin.list_topics(timeout=10).topics
