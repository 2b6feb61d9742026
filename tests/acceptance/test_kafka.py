"""A project that reads from Kafka and sends to it, run through the public functions.

Processes die at steps that are drawn by a seed, which a failing test prints.
`QANAT_CRASH_STEPS=all` tries every step instead, and `QANAT_CRASH_SEED` repeats a draw.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from qanat.connectors.kafka import sink
from qanat.connectors.kafka.books import Books
from qanat.connectors.kafka.consume import Reader
from qanat.connectors.kafka.produce import Sending
from qanat.connectors.kafka.sink import KafkaSink
from qanat.errors import NotAppendOnlyError
from qanat.run.plan import plan
from qanat.run.quarantine import replay
from qanat.run.session import Session
from qanat.storage.delta.store import DeltaStore
from qanat.testing.kafka import kafka
from tests.acceptance.crashing import count_steps, die_at, operate
from tests.acceptance.projects import Shop
from tests.conformance.kafka_topics import Topics, values

pytestmark = pytest.mark.services

SEED = int(os.environ.get("QANAT_CRASH_SEED", random.SystemRandom().randrange(10**6)))
STEPS = os.environ.get("QANAT_CRASH_STEPS", "6")
SPEC = "name: shop\nthreads: 1\nconfiguration: {brokers: '%s', topic: '%s'}\n"
SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount, _metadata.offset AS place FROM STREAM read_kafka(
  bootstrapServers => '${brokers}', subscribe => '${topic}', format => 'json',
  schema => 'id BIGINT, amount {type}');
"""
PYTHON = """\
dp.create_sink("report", "kafka", {{
    "kafka.bootstrap.servers": "{brokers}", "topic": "{topic}-out",
    "value_format": "json", "key": "id",
}})


@dp.append_flow(target="report")
def reported():
    return "SELECT id FROM STREAM bronze"
"""


class KafkaShop(Shop):
    """The shop, whose orders come from a topic and go into another one."""

    def __init__(self, folder: Path, topics: Topics) -> None:
        super().__init__(folder)
        self.topics = topics
        self.topic = topics.create()
        self.out = topics.create(name=f"{self.topic}-out")
        self.file("qanat.yml", SPEC % (topics.address, self.topic))
        self.sql(SQL.replace("{type}", "BIGINT"))
        self.python(PYTHON.format(brokers=topics.address, topic=self.topic))

    def order(self, *ids: int) -> None:
        rows = ({"id": id_, "amount": 1} for id_ in ids)
        self.topics.send(self.topic, *(json.dumps(row).encode() for row in rows))

    def told(self, dataset: str) -> list[dict[str, Any]]:
        rows = DeltaTable(self.table(dataset)).to_pyarrow_table().to_pylist()
        return sorted(
            rows,
            key=lambda r: r["_quarantine_source"]["row"] if "_quarantine_source" in r else r["id"],
        )

    @property
    def bronze(self) -> list[Any]:
        return sorted(row["id"] for row in self.told("bronze"))

    @property
    def reported(self) -> list[Any]:
        return [json.loads(v or b"null")["id"] for v in values(self.topics.messages(self.out))]


@pytest.fixture(scope="module")
def topics() -> Iterator[Topics]:
    with kafka() as broker:
        yield Topics(broker)


@pytest.fixture
def shop(topics: Topics, tmp_path: Path) -> KafkaShop:
    return KafkaShop(tmp_path, topics)


def test_messages_go_through_once(shop: KafkaShop) -> None:
    shop.order(1, 2)
    with Session.open(shop.folder) as session:
        waiting = [w for d in plan(session).datasets for w in d.waiting]
    assert (waiting[0].source, waiting[0].amount.rows) == (shop.topic, 2)
    shop.run()
    shop.run()
    assert shop.bronze == shop.reported == [1, 2]
    shop.topics.broker.kill()
    shop.topics.broker.start()
    shop.order(3)
    shop.run()
    assert shop.bronze == shop.reported == [1, 2, 3]


def test_messages_that_cannot_be_decoded_wait_and_come_back(shop: KafkaShop) -> None:
    shop.order(1)
    shop.topics.send(
        shop.topic, b'{"id": 2, "amount": 1.5}', b"{", b"\xff", b'{"id": 3, "amount": 0}'
    )
    shop.run()
    assert shop.reported == [1]
    waiting = shop.told("bronze__quarantine")
    place = f"{shop.topic}/0"
    assert sorted(
        (r["_quarantine_source"]["row"], r["_quarantine_raw"], list(dict(r["_quarantine_rules"])))
        for r in waiting
    ) == [
        (1, '{"id": 2, "amount": 1.5}', ["_malformed"]),
        (2, "{", ["_malformed"]),
        (3, "/w==", ["_malformed"]),
        (4, None, ["positive"]),
    ]
    assert {r["_quarantine_source"]["file"] for r in waiting} == {place}
    # Brokers need not have them any more.
    shop.topics.expire(shop.topic, 0, 5)
    shop.sql(
        SQL.replace("{type}", "DOUBLE").replace(
            "amount,", "CAST(ceil(amount) AS BIGINT) AS amount,"
        )
    )
    with Session.open(shop.folder) as session:
        replay(session)
    assert {r["id"]: r["place"] for r in shop.told("bronze")} == {1: 0, 2: 1}
    assert [r["_quarantine_source"]["row"] for r in shop.told("bronze__quarantine")] == [2, 3, 4]


def test_unique_keeps_the_first_message_however_it_was_read(shop: KafkaShop) -> None:
    """From 2,000 messages on, those that are written plainly are read apart from the others."""
    strange, plainly = b'{ "id" : %d , "amount" : 1 }', b'{"id":%d,"amount":1}'
    shop.topics.send(shop.topic, *(strange % n for n in range(50)))
    shop.topics.send(shop.topic, *(plainly % n for n in range(2_100)))
    shop.sql(
        SQL.replace("{type}", "BIGINT") + "CREATE OR REFRESH STREAMING TABLE silver (\n"
        "  CONSTRAINT once EXPECT UNIQUE (id) ON VIOLATION DROP ROW\n"
        ") AS SELECT * FROM STREAM bronze;\n"
    )
    shop.run()
    assert [r["place"] for r in shop.told("silver")] == [*range(50), *range(100, 2_150)]


def test_messages_that_were_deleted_before_they_were_read(shop: KafkaShop) -> None:
    shop.order(1)
    shop.run()
    shop.order(2, 3)
    shop.topics.expire(shop.topic, 0, 2)
    assert isinstance(shop.failures()["bronze"], NotAppendOnlyError)
    assert shop.bronze == [1]
    shop.sql(SQL.replace("{type}'", "BIGINT', fail_on_data_loss => false"))
    told = shop.run()["bronze"].notes
    assert "1 offset of partition 0" in " ".join(told)
    assert shop.bronze == shop.reported == [1, 3]


@pytest.mark.parametrize("when", ["read", "commit"])
def test_a_broker_that_dies_while_an_update_runs(
    shop: KafkaShop, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    shop.order(1)
    shop.run()
    shop.order(2, 3)
    owner, name = {"read": (Reader, "spool"), "commit": (sink, "_commit")}[when]
    act: Any = getattr(owner, name)
    died: list[bool] = []

    def dying(*args: Any) -> Any:
        if not died:
            died.append(True)
            shop.topics.broker.kill()
            shop.topics.broker.start()
        return act(*args)

    monkeypatch.setattr(owner, name, dying)
    # Whether this update can go on or not, nothing is lost and nothing comes twice.
    shop.update()
    shop.run()
    assert died
    assert shop.bronze == shop.reported == [1, 2, 3]


# -- exactly once --------------------------------------------------------------------------------


def kafka_steps(around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """What is done to a broker, and what lies between, are steps, too."""
    for owner, name in (
        (Reader, "spool"),
        (DeltaStore, "publish"),
        (KafkaSink, "output"),
        (KafkaSink, "publish"),
        (Sending, "send"),
        (Books, "last"),
        (Books, "write"),
        (sink, "_commit"),
    ):
        setattr(owner, name, around(getattr(owner, name)))


def test_an_update_that_is_killed_sends_each_message_once(shop: KafkaShop) -> None:
    shop.order(0)
    operate(shop.folder, "run")
    shop.order(1)
    steps = count_steps(shop.folder, "run", kafka_steps)
    every = range(1, steps + 1)
    draw = random.Random(SEED)  # noqa: S311
    drawn = every if STEPS == "all" else sorted(draw.sample(every, int(STEPS)))
    sent = [0, 1]
    for step in drawn:
        ids = [10 * step, 10 * step + 1]
        shop.order(ids[0])
        with shop.topics.transaction(shop.topic, b'{"id": -1, "amount": 1}', commit=False):
            pass
        shop.order(ids[1])
        sent += ids
        die_at(shop.folder, "run", step, kafka_steps)
        operate(shop.folder, "run")
        assert (shop.bronze, sorted(shop.reported)) == (sent, sent), (SEED, step)
