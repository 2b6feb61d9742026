"""Which epochs of a flow a topic has: numbers that are committed with the messages themselves.

The transaction of an epoch writes the epoch's number into a compacted topic, `_qanat_epochs`, with
the flow as the key. The offsets of a group, which a transaction can commit as well, would not do:
brokers forget them after a week without a commit, and librdkafka 2.16 waits for ever to commit
them if the broker was started again meanwhile.
"""

from __future__ import annotations

import json
import time

from qanat.connectors.kafka.consume import Reader
from qanat.connectors.kafka.drivers import Producer
from qanat.connectors.kafka.settings import Settings
from qanat.connectors.kafka.topics import Cluster, Partition
from qanat.frozen import Frozen

TOPIC = "_qanat_epochs"
_SETTLED = 5.0
"""Seconds to wait for transactions that are open: those of books last for milliseconds."""
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
        name: of the flow there: of its transactions, and its key in the topic.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.cluster = Cluster(settings)

    def last(self) -> Mark:
        """The newest epoch that is committed.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        part, found = (TOPIC, 0), Mark()
        if TOPIC not in self.cluster.partitions():
            return found
        begin, end = self.cluster.earliest([part])[part], self._end(part)
        if begin < end:
            for _, messages in Reader(self.settings).messages({part: (begin, end)}):
                for message in messages:
                    if message.key() == self.name.encode():
                        found = _read(message.value())
        return found

    def _end(self, part: Partition) -> int:
        """The end of what is committed, with all commits that brokers have taken by now.

        They say so as soon as it is certain, and a little later write it into each partition.
        """
        written, until = self.cluster.written([part])[part], time.monotonic() + _SETTLED
        while (end := self.cluster.stable([part])[part]) < written and time.monotonic() < until:
            time.sleep(0.01)
        return end

    def create(self) -> None:
        """Create the topic that keeps the numbers, if it does not exist.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        if TOPIC not in self.cluster.partitions():
            self.cluster.create(TOPIC, _COMPACTED)

    def write(self, producer: Producer, mark: Mark | None) -> None:
        """Make the newest epoch part of the producer's transaction; None: there is none."""
        value = None
        if mark is not None:
            told = {"epoch": mark.epoch, "attempt": mark.attempt, "holder": mark.holder}
            value = json.dumps(told)
        producer.produce(TOPIC, value, key=self.name, partition=0)


def _read(text: bytes | None) -> Mark:
    return Mark(**json.loads(text)) if text else Mark()
