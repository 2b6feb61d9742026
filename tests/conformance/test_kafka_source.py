"""What a Kafka source promises, against a real broker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from qanat.connectors.kafka import KAFKA, READ
from qanat.connectors.kafka.position import Position
from qanat.connectors.kafka.source import KafkaSource
from qanat.engines.duckdb.files import bind_files
from qanat.errors import (
    AdapterError,
    NotAppendOnlyError,
    OptionError,
    QanatError,
    SchemaDriftError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from qanat.model.pipeline import Drift
from qanat.model.query import SourceRef
from qanat.model.record import Range
from qanat.model.schema import NO_COLUMNS, Field, Primitive, Schema
from qanat.model.work import FilesBatch
from qanat.testing.kafka import PASSWORD, USER, kafka
from qanat.testing.reading import RememberedPast, surroundings
from tests.conformance.kafka_topics import Topics

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def topics() -> Iterator[Topics]:
    with kafka(tls=True) as broker:
        yield Topics(broker)


class Flow:
    """A reader that goes on from where it was."""

    def __init__(self, topics: Topics, scratch: Path, **options: Any) -> None:
        self.topics, self.scratch = topics, scratch
        self.source = KafkaSource(surroundings(scratch))
        self.past = RememberedPast()
        self.ref = self.refer(**options)
        self.con = duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'")

    def refer(self, **options: Any) -> SourceRef:
        given = READ.check_all({"bootstrap_servers": self.topics.address, **options}.items())
        place = next(
            str(given[k]) for k in ("subscribe", "subscribe_pattern", "assign") if k in given
        )
        return KAFKA.refer(place, given)

    def range(self) -> Range | None:
        unread = self.source.plan(self.ref, self.past)
        if unread is None:
            return None
        return Range(json.loads(json.dumps(unread.range.value)), positioned=True)

    def rows(
        self, range: Range | None, columns: str = "*", known: Schema = NO_COLUMNS,
        drift: Drift = Drift.EVOLVE,
    ) -> list[Any]:  # fmt: skip
        """The rows of a range, in their order, and those that cannot be decoded."""
        batch = self.source.bind(self.ref, range, known, drift, self.scratch).batch
        assert isinstance(batch, FilesBatch)
        bound = bind_files(self.con, "b", batch, self.scratch)
        self.malformed = self.con.execute(bound.malformed).fetchall() if bound.malformed else []
        rows = self.con.execute(f"SELECT {columns} FROM ({bound.relation})").fetchall()
        assert bound.rows == len(rows)
        return rows

    def take(self, columns: str = "value") -> list[Any]:
        """The next epoch."""
        range = self.range()
        if range is None:
            return []
        rows = self.rows(range, columns)
        assert self.rows(range, columns) == rows
        self.past.settle(range)
        return [row[0] for row in rows] if columns == "value" else rows


def text(n: int) -> bytes:
    return f"m{n}".encode()


def test_each_message_is_read_once_with_all_that_it_has(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create(2)
    topics.send(
        topic, b"a", None, key=b"k", headers=[("h", b"\xff"), ("h", None)], timestamp=1_500
    )
    topics.send(topic, b"\x00", partition=1)
    flow = Flow(topics, tmp_path, subscribe=topic, include_headers=True)
    when = datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    headers = [{"key": "h", "value": b"\xff"}, {"key": "h", "value": None}]
    columns = 'key, value, topic, partition, "offset", timestamp, timestampType, headers'
    found = flow.take(columns)
    assert found[:2] == [
        (b"k", b"a", topic, 0, 0, when, 0, headers),
        (b"k", None, topic, 0, 1, when, 0, headers),
    ]
    assert found[2][:5] == (None, b"\x00", topic, 1, 0)
    assert found[2][7] is None
    assert flow.take() == []
    topics.send(topic, b"b", partition=1)
    assert flow.take("value, _metadata.offset, __qanat_file, __qanat_row") == [
        (b"b", 1, f"{topic}/1", 1)
    ]


class Counting:
    """Notes what is asked of a client."""

    def __init__(self, client: Any, asked: list[str]) -> None:
        self._client, self._asked = client, asked

    def __getattr__(self, name: str) -> Any:
        self._asked.append(name)
        return getattr(self._client, name)


def test_where_nothing_has_come_brokers_are_asked_twice(topics: Topics, tmp_path: Path) -> None:
    flow = Flow(topics, tmp_path, subscribe=topics.create(2))
    topics.send(str(flow.ref.place), b"1")
    assert flow.take() == [b"1"]
    (cluster,) = flow.source._clusters.values()
    asked: list[str] = []
    cluster._admin = Counting(cluster._admin, asked)  # type: ignore[assignment]
    assert flow.range() is None
    assert asked == ["describe_topics", "list_offsets"]
    misspelt = Flow(topics, tmp_path, subscribe=f"{flow.ref.place}s")
    with pytest.raises(SourceNotFoundError, match="did you mean"):
        misspelt.range()


def test_a_range_is_read_again_as_it_was(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, b"a", b"b")
    flow = Flow(topics, tmp_path, subscribe=topic)
    range_ = flow.range()
    assert range_ is not None
    topics.send(topic, b"c")
    # As after a crash: nothing but the range is left.
    again = Flow(topics, tmp_path, subscribe=topic)
    assert again.rows(range_, "value") == [(b"a",), (b"b",)]
    again.past.settle(range_)
    assert again.take() == [b"c"]


def test_only_what_is_committed_is_read(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    flow = Flow(topics, tmp_path, subscribe=topic)
    with topics.transaction(topic, b"gone", b"gone", commit=False):
        pass
    topics.send(topic, b"a")
    with topics.transaction(topic, b"t"):
        topics.send(topic, b"behind")
        # A range ends before what somebody may still take back.
        assert flow.take() == [b"a"]
        assert flow.take() == []
    assert flow.take() == [b"t", b"behind"]
    with topics.transaction(topic, b"gone", commit=False):
        pass
    # These offsets have no message: the epoch ends, and the next one goes on behind them.
    assert flow.take() == []
    topics.send(topic, b"b")
    assert flow.take() == [b"b"]
    with topics.transaction(topic, b"gone", commit=False):
        pass
    with topics.transaction(topic, b"late"):
        # Nor does anything come behind them that could be read.
        assert flow.range() is not None
        assert flow.take() == []
    assert flow.take() == [b"late"]


def test_an_epoch_takes_no_more_than_it_may(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create(2)
    topics.send(topic, *map(text, range(8)))
    topics.send(topic, *map(text, range(10, 12)), partition=1)
    flow = Flow(topics, tmp_path, subscribe=topic, max_offsets_per_trigger=5)
    unread = flow.source.plan(flow.ref, flow.past)
    assert unread is not None
    assert (unread.waiting.rows, unread.range.amount.rows, unread.more) == (10, 5, True)
    parts = [flow.take(), flow.take(), flow.take()]
    assert list(map(len, parts)) == [5, 5, 0]
    assert sorted(v for part in parts for v in part) == sorted(
        [*map(text, range(8)), *map(text, (10, 11))]
    )


def test_partitions_and_topics_that_are_new_are_found(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create(name="pattern-a")
    topics.send(topic, b"a")
    flow = Flow(topics, tmp_path, subscribe_pattern="pattern-.*")
    assert flow.take() == [b"a"]
    topics.grow(topic, 3)
    topics.send(topic, b"b", partition=2)
    topics.send(topics.create(name="pattern-b"), b"c")
    topics.send(topics.create(name="other-pattern-b"), b"d")
    assert flow.take() == [b"b", b"c"]


def test_some_partitions_alone(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create(3)
    for n in range(3):
        topics.send(topic, text(n), partition=n)
    flow = Flow(topics, tmp_path, assign=json.dumps({topic: [2, 0]}))
    assert flow.take() == [b"m0", b"m2"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"starting_offsets": "earliest"}, [0, 1, 2, 3]),
        ({"starting_offsets": '{"%s": {"0": 2}}'}, [2, 3]),
        ({"starting_offsets": '{"%s": {"0": -2}}'}, [0, 1, 2, 3]),
        ({"startingTimestamp": 2000}, [2, 3]),
        ({"starting_timestamp": 9000}, []),
        ({"starting_offsets_by_timestamp": '{"%s": {"0": 1500}}'}, [2, 3]),
        ({"ending_offsets": '{"%s": {"0": 1}}'}, [0]),
        ({"ending_timestamp": 1000}, [0]),
        ({"starting_timestamp": 1000, "ending_timestamp": "3000"}, [1, 2]),
        ({"ending_offsets_by_timestamp": '{"%s": {"0": 0}}'}, []),
    ],
)
def test_begin_and_end(
    topics: Topics, tmp_path: Path, options: dict[str, Any], expected: list[int]
) -> None:
    topic = topics.create()
    for n in range(4):
        topics.send(topic, text(n), timestamp=max(n * 1000, 1))
    options = {k: v % topic if "%" in str(v) else v for k, v in options.items()}
    flow = Flow(topics, tmp_path, subscribe=topic, **options)
    found = flow.source.everything(flow.ref)
    assert found is not None
    assert [v for (v,) in flow.rows(found, "value")] == list(map(text, expected))
    if not any(k.startswith("ending") for k in options):
        assert flow.take() == list(map(text, expected))
    else:
        with pytest.raises(OptionError, match="a stream has no end"):
            flow.take()


def test_a_stream_that_begins_with_the_latest_message_remembers_it(
    topics: Topics, tmp_path: Path
) -> None:
    topic = topics.create()
    topics.send(topic, b"before")
    flow = Flow(topics, tmp_path, subscribe=topic, starting_offsets="latest")
    assert flow.take() == []
    topics.send(topic, b"after")
    assert flow.take() == [b"after"]


def test_messages_that_were_deleted_are_no_gap(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, *map(text, range(5)))
    flow = Flow(topics, tmp_path, subscribe=topic, max_offsets_per_trigger=2)
    assert len(flow.take()) == 2
    range_ = flow.range()
    assert range_ is not None
    topics.expire(topic, 0, 4)
    with pytest.raises(NotAppendOnlyError, match=r"2 offsets of partition 0 .* were deleted"):
        flow.take()
    # An epoch that a crash has left open cannot be read again.
    with pytest.raises(NotAppendOnlyError, match="were deleted before they were read"):
        flow.rows(range_)
    flow.ref = flow.refer(subscribe=topic, fail_on_data_loss=False)
    unread = flow.source.plan(flow.ref, flow.past)
    assert unread is not None
    assert unread.range.value["lost"] == {topic: {"0": 2}}
    assert flow.take() == [text(4)]
    # What was deleted before anything was read is nothing lost.
    assert Flow(topics, tmp_path, subscribe=topic).take() == [text(4)]


def test_a_topic_of_the_same_name_is_another(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, *map(text, range(3)))
    flow = Flow(topics, tmp_path, subscribe=topic)
    range_ = flow.range()
    assert range_ is not None
    assert len(flow.take()) == 3
    topics.delete(topic)
    with pytest.raises(SourceNotFoundError, match="there is no topic"):
        flow.take()
    topics.create(name=topic)
    topics.send(topic, *map(text, range(10, 15)))
    with pytest.raises(NotAppendOnlyError, match="deleted and created again"):
        flow.take()
    with pytest.raises(NotAppendOnlyError, match="deleted and created again"):
        flow.rows(range_)
    flow.ref = flow.refer(subscribe=topic, fail_on_data_loss=False)
    assert flow.take() == list(map(text, range(10, 15)))


# -- what values are -----------------------------------------------------------------------------


def test_json(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    rows = [b'{"id": 1, "price": 12345678901234567890.12}', b'{"id": 2,\n "tags": ["a"]}']
    topics.send(topic, *rows, b"{", b"\xff", b"  ", b"[1]", None, key=b"k")
    flow = Flow(topics, tmp_path, subscribe=topic, format="json")
    found = flow.take("id, price, tags, _metadata.key, _metadata.topic, _metadata.offset")
    assert found == [
        (1, Decimal("12345678901234567890.12"), None, b"k", topic, 0),
        (2, None, ["a"], b"k", topic, 1),
        (None, None, None, b"k", topic, 6),
    ]
    assert sorted((row, raw, error.split(":")[0]) for _, row, raw, error in flow.malformed) == [
        (2, "{", "not valid JSON"),
        (3, "/w==", "not UTF-8 (kept as base64)"),
        (4, "  ", "not valid JSON"),
        (5, "[1]", "not an object but array"),
    ]
    assert {file for file, *_ in flow.malformed} == {f"{topic}/0"}


def test_json_with_many_keys_keeps_what_messages_have(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create(2)
    wide = json.dumps({f"k{n}": n for n in range(300)}).encode()
    for n in range(2):
        topics.send(topic, wide, key=b"\xff", headers=[("h", b"\x00")], timestamp=5, partition=n)
    flow = Flow(topics, tmp_path, subscribe=topic, format="json", include_headers=True)
    found = flow.take("k0 + k299, _metadata.key, _metadata.headers, _metadata.partition")
    assert found == [(299, b"\xff", [{"key": "h", "value": b"\x00"}], n) for n in range(2)]


def test_declared_types_change_no_value(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, b'{"n": 1}', b'{"n": 1.5}', b'{"n": "x"}', b'{"n": 9007199254740993}')
    flow = Flow(topics, tmp_path, subscribe=topic, format="json", schema="n BIGINT")
    assert flow.take("n") == [(1,), (9007199254740993,)]
    assert [raw for _, _, raw, _ in flow.malformed] == ['{"n": 1.5}', '{"n": "x"}']


def test_drift(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, b'{"a": 1, "b": 2}')
    flow = Flow(topics, tmp_path, subscribe=topic, format="json")
    range_, known = flow.range(), Schema((Field("a", Primitive("long")),))
    assert flow.rows(range_, "a, b", known) == [(1, 2)]
    assert flow.rows(range_, "a, _rescued_data", known, Drift.RESCUE) == [(1, _rescued(topic))]
    with pytest.raises(SchemaDriftError):
        flow.rows(range_, "a", known, Drift.FREEZE)


def _rescued(topic: str) -> str:
    return f'{{"b":2,"_file_path":"{topic}/0"}}'


def test_debezium(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    change = {"before": None, "after": {"id": 1}, "op": "c", "ts_ms": 5, "source": {"lsn": 7}}
    topics.send(topic, json.dumps(change).encode(), None, b"{}", key=b"k")
    flow = Flow(topics, tmp_path, subscribe=topic, format="json", envelope="debezium")
    assert flow.take("id, __op, _metadata.key, _metadata.offset") == [(1, "c", b"k", 0)]
    assert [row for _, row, _, _ in flow.malformed] == [2]


def test_text(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, "é".encode(), b"\xff", None)
    flow = Flow(topics, tmp_path, subscribe=topic, format="text")
    assert flow.take("*, __qanat_row")[0][0] == "é"
    assert flow.rows(flow.source.everything(flow.ref), "value") == [("é",), (None,)]
    assert flow.malformed == [(f"{topic}/0", 1, "/w==", "not UTF-8 (kept as base64)")]


def test_columns_are_known_without_an_epoch(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    flow = Flow(topics, tmp_path, subscribe=topic)
    batch = flow.source.sample(flow.ref, NO_COLUMNS, Drift.EVOLVE, tmp_path)
    assert isinstance(batch, FilesBatch)
    names = bind_files(flow.con, "s", batch, tmp_path).schema.names
    assert names == ("key", "value", "topic", "partition", "offset", "timestamp", "timestampType")
    flow.ref = flow.refer(subscribe=topic, format="json")
    assert flow.source.sample(flow.ref, NO_COLUMNS, Drift.EVOLVE, tmp_path) is None
    topics.send(topic, *(json.dumps({"a": n}).encode() for n in range(3)))
    batch = flow.source.sample(flow.ref, NO_COLUMNS, Drift.EVOLVE, tmp_path)
    assert isinstance(batch, FilesBatch)
    assert bind_files(flow.con, "t", batch, tmp_path).schema.names == ("a",)
    assert len(flow.take("a")) == 3


# -- how brokers are reached ---------------------------------------------------------------------


def test_tls(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, b"a")
    secure = {
        "kafka.bootstrap.servers": topics.broker.tls_address,
        "kafka.security.protocol": "SSL",
        "kafka.ssl.truststore.location": str(topics.broker.certificate),
        "kafka.ssl.truststore.type": "PEM",
    }
    flow = Flow(topics, tmp_path, subscribe=topic)
    flow.ref = _refer(topic, **secure)
    assert flow.take() == [b"a"]
    del secure["kafka.ssl.truststore.location"]
    with pytest.raises(AdapterError, match=r"does not answer|refuses"):
        Flow(topics, tmp_path, subscribe=topic).source.everything(_refer(topic, **secure))


def test_a_login(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create()
    topics.send(topic, b"a")
    given = {
        "bootstrapServers": topics.broker.sasl_address,
        "kafka.security.protocol": "SASL_SSL",
        "kafka.ssl.ca.location": str(topics.broker.certificate),
        "kafka.sasl.mechanism": "PLAIN",
        "kafka.sasl.username": USER,
        "kafka.sasl.password": PASSWORD,
    }
    flow = Flow(topics, tmp_path, subscribe=topic)
    flow.ref = _refer(topic, **given)
    assert flow.take() == [b"a"]
    assert PASSWORD not in repr(flow.ref)
    assert PASSWORD not in flow.ref.text
    wrong = _refer(topic, **given | {"kafka.sasl.password": "no"})
    with pytest.raises(QanatError) as told:
        flow.source.everything(wrong)
    assert "uthentication" in str(told.value.got)


def test_a_range_does_not_wait_for_more_than_it_has(topics: Topics, tmp_path: Path) -> None:
    topic = topics.create(1)
    topics.send(topic, *(text(n) for n in range(60)))
    flow = Flow(topics, tmp_path, subscribe=topic)
    begun = time.monotonic()
    for n in range(60):
        range_ = Range(Position({(topic, 0): (n, n + 1)}).value(), positioned=True)
        assert flow.rows(range_, "value") == [(text(n),)]
    # Half a second each, which is how long a client waits by default, would be thirty.
    assert time.monotonic() - begun < 20


def test_a_broker_that_is_away(topics: Topics, tmp_path: Path) -> None:
    del topics
    ref = _refer("orders", bootstrap_servers="127.0.0.1:1")
    with pytest.raises(SourceUnavailableError, match=r"127\.0\.0\.1:1 does not answer"):
        KafkaSource(surroundings(tmp_path)).everything(ref)


def test_a_setting_that_no_client_has(topics: Topics, tmp_path: Path) -> None:
    ref = _refer("orders", bootstrap_servers=topics.address, **{"kafka.no.such": "1"})
    with pytest.raises(OptionError, match="does not take its settings") as told:
        KafkaSource(surroundings(tmp_path)).everything(ref)
    assert "no.such" in str(told.value.got)


def _refer(topic: str, **options: Any) -> SourceRef:
    return KAFKA.refer(topic, READ.check_all([("subscribe", topic), *options.items()]))
