"""A broker for the suites of Kafka, with topics of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from qanat.testing.kafka import Broker

_NUMBERS = count()


class Topics:
    """What is done to a broker, beside what is tested."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
        self._open = 0

    @property
    def address(self) -> str:
        return self.broker.address

    def create(self, partitions: int = 1, name: str = "", **settings: str) -> str:
        """A topic that nobody else uses."""
        name = name or f"topic-{next(_NUMBERS)}"
        self._wait(self.admin.create_topics([NewTopic(name, partitions, 1, config=settings)]))
        return name

    def delete(self, name: str) -> None:
        self._wait(self.admin.delete_topics([name]))
        _until(lambda: name not in self.admin.list_topics(timeout=10).topics)

    def grow(self, name: str, partitions: int) -> None:
        self._wait(self.admin.create_partitions([NewPartitions(name, partitions)]))
        listed = self.admin.list_topics
        _until(lambda: len(listed(timeout=10).topics[name].partitions) >= partitions)

    def expire(self, name: str, partition: int, before: int) -> None:
        """Delete messages, as a broker does that keeps them for some days."""
        self._wait(self.admin.delete_records([TopicPartition(name, partition, before)]))

    def send(self, name: str, *values: bytes | None, partition: int = 0, **more: Any) -> None:
        producer = Producer({"bootstrap.servers": self.address, "log_level": 0})
        for value in values:
            producer.produce(name, value, partition=partition, **more)
        assert producer.flush(20) == 0

    @contextmanager
    def transaction(self, name: str, *values: bytes, commit: bool = True) -> Iterator[None]:
        """Messages that are there, and not committed, for as long as the block lasts."""
        identity = f"test-{next(_NUMBERS)}"
        settings = {"transactional.id": identity, "log_level": 0}
        producer = Producer({"bootstrap.servers": self.address, **settings})
        producer.init_transactions(20)
        producer.begin_transaction()
        for value in values:
            producer.produce(name, value, partition=0)
        producer.flush(20)
        self._open += 1
        yield
        (producer.commit_transaction if commit else producer.abort_transaction)(20)
        self._open -= 1
        self._settle(name)

    def messages(self, name: str) -> list[Any]:
        """The committed messages of a topic with one partition."""
        self._settle(name)
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "test",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(name, 0, 0)])
        found: list[Any] = []
        while (message := consumer.poll(20)) is not None and message.error() is None:
            found.append(message)
        assert message is not None
        consumer.close()
        return found

    def _settle(self, name: str) -> None:
        """Wait until readers know that the transactions in the first partition have ended.

        The producer is told so before them. Nothing is waited for while one of ours is open.
        """
        if self._open:
            return
        place = TopicPartition(name, 0)
        ends = []
        for isolation in ("read_committed", "read_uncommitted"):
            settings = {"group.id": "test", "isolation.level": isolation, "log_level": 0}
            ends.append(Consumer({"bootstrap.servers": self.address, **settings}))
        _until(lambda: len({c.get_watermark_offsets(place, 10)[1] for c in ends}) == 1)
        for consumer in ends:
            consumer.close()

    @staticmethod
    def _wait(futures: Any) -> None:
        for future in futures.values():
            future.result(20)


def _until(happened: Callable[[], bool]) -> None:
    """Wait for something, for a minute at most."""
    end = time.monotonic() + 60
    while not happened() and time.monotonic() < end:
        time.sleep(0.005)


def values(messages: Iterable[Any]) -> list[bytes | None]:
    return [m.value() for m in messages]
