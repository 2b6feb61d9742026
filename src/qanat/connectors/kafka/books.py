"""Which epochs of a flow a topic has: numbers that are committed with the messages themselves.

The transaction of an epoch also commits its number as the offset of a group, which is quick to
read. Brokers forget offsets that nobody has committed for a week, so it writes the number into a
compacted topic as well, `_qanat_epochs`, which is read where the group has none.
"""

from __future__ import annotations

import json
import time
from typing import Any

from qanat.connectors.kafka.consume import Reader
from qanat.connectors.kafka.drivers import (
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)
from qanat.connectors.kafka.faults import COORDINATING, explained
from qanat.connectors.kafka.settings import Settings
from qanat.connectors.kafka.topics import Cluster
from qanat.frozen import Frozen

TOPIC = "_qanat_epochs"
_SECONDS = 30.0
_COMPACTED = {
    "cleanup.policy": "compact",
    # The segment that is written to is never compacted: let it end soon, so that the topic stays
    # as small as the number of flows.
    "segment.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.1",
}


class Mark(Frozen):
    """The newest epoch that a topic has of a flow.

    Args:
        epoch: its number; 0 if there is none.
        attempt: what has sent it.
        holder: who may send the next one.
    """

    epoch: int = 0
    attempt: str = ""
    holder: str = ""


class Books:
    """What a cluster knows of one flow into one topic.

    Args:
        settings: how to reach it.
        name: of the flow there: of its transactions, its group and its key in the topic.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.cluster = Cluster(settings)
        self._consumer: Consumer | None = None

    @property
    def group(self) -> Any:
        """The group, as a transaction needs it."""
        return self._grouped().consumer_group_metadata()

    def last(self) -> Mark:
        """The newest epoch that is committed.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        with explained(self.settings):
            found = self._committed()
        return _read(found.metadata) if found.offset >= 0 else self._kept()

    def create(self) -> None:
        """Create the topic that keeps the numbers, if it does not exist.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        if TOPIC not in self.cluster.partitions():
            self.cluster.create(TOPIC, _COMPACTED)

    def write(self, producer: Producer, mark: Mark | None) -> None:
        """Make the newest epoch part of the producer's transaction; None: there is none."""
        text = _written(mark or Mark())
        producer.produce(TOPIC, text if mark else None, key=self.name, partition=0)
        offset = TopicPartition(TOPIC, 0, mark.epoch if mark else 0, metadata=text)
        producer.send_offsets_to_transaction([offset], self.group, _SECONDS)

    def _committed(self) -> TopicPartition:
        """The offset of the group."""
        end = time.monotonic() + _SECONDS
        while True:
            try:
                [found] = self._grouped().committed([TopicPartition(TOPIC, 0)], _SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in COORDINATING or time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return found

    def _kept(self) -> Mark:
        """What the compacted topic has: the last message with the flow's key."""
        part = (TOPIC, 0)
        if TOPIC not in self.cluster.partitions():
            return Mark()
        begin, end = self.cluster.earliest([part])[part], self.cluster.stable([part])[part]
        found = Mark()
        if begin < end:
            for _, messages in Reader(self.settings).messages({part: (begin, end)}):
                for message in messages:
                    if message.key() == self.name.encode():
                        found = _read(message.value())
        return found

    def _grouped(self) -> Consumer:
        if self._consumer is None:
            own = {"group.id": self.name, "enable.auto.commit": False}
            self._consumer = Consumer(self.settings.configuration(own))
        return self._consumer


def _written(mark: Mark) -> str:
    return json.dumps({"epoch": mark.epoch, "attempt": mark.attempt, "holder": mark.holder})


def _read(text: str | bytes | None) -> Mark:
    return Mark(**json.loads(text)) if text else Mark()
