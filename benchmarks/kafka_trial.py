"""Sends 1,000 messages a second for twenty seconds; prints how long they took, as JSON.

A row is visible once the commit of its epoch is. All messages are of one partition, so those of an
epoch are the next ones in order.

    python benchmarks/kafka_trial.py FOLDER
"""

from __future__ import annotations

import json
import sys
import threading
import time
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

import qanat
from qanat.model.event import EpochCommitted, Event
from qanat.testing.kafka import kafka

RATE, SECONDS, WARM = 1000, 20, 5
TOTAL = RATE * SECONDS
_RULES = ",\n".join(
    f"  CONSTRAINT r{n} EXPECT (amount >= {-n} AND id % 1000003 >= 0) ON VIOLATION QUARANTINE ROW"
    for n in range(10)
)
_SQL = f"""\
CREATE OR REFRESH STREAMING TABLE events (
{_RULES}
) AS SELECT id, kind, amount FROM STREAM read_kafka(
  bootstrapServers => '${{broker}}', subscribe => 'events', format => 'json',
  schema => 'id BIGINT, kind STRING, amount DOUBLE');
"""


class Epochs:
    """An observer that notes when which epochs were committed."""

    def __init__(self) -> None:
        self.found: list[tuple[float, int]] = []

    def on(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, EpochCommitted):
            self.found.append((time.time(), event.counts.out))

    @property
    def rows(self) -> int:
        """How many rows they have."""
        return sum(rows for _, rows in self.found)

    def seen(self, number: int) -> float:
        """When a row was visible, by its place in the order of all."""
        bounds = list(accumulate(rows for _, rows in self.found))
        return self.found[bisect_right(bounds, number)][0]


def lay_out(folder: Path, address: str) -> None:
    """A project with one table."""
    (folder / "transformations").mkdir(parents=True)
    (folder / "transformations" / "events.sql").write_text(_SQL, encoding="utf-8")
    spec = f"name: events\nconfiguration:\n  broker: '{address}'\n"
    (folder / "qanat.yml").write_text(spec, encoding="utf-8")


def consume(address: str, received: list[float]) -> None:
    """Receive all messages, and note when."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "bare",
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
        }
    )
    consumer.subscribe(["events"])
    while len(received) < TOTAL:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            received.append(time.time())
    consumer.close()


def produce(address: str) -> list[float]:
    """Send all messages, each at its time; when they were sent."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
    began, sent = time.time(), list[float]()
    for number in range(TOTAL):
        time.sleep(max(0.0, began + number / RATE - time.time()))
        value = {"id": number, "kind": "k", "amount": number / 100}
        sent.append(time.time())
        producer.produce("events", json.dumps(value).encode())
        producer.poll(0)
    producer.flush()
    return sent


def told(seconds: list[float]) -> list[float]:
    """The median and the 99th percentile, in milliseconds."""
    return [1000 * median(seconds), 1000 * quantiles(seconds, n=100)[98]]


def main(folder: Path) -> None:
    """Run it all, and print what it gave."""
    epochs, received, stop = Epochs(), list[float](), threading.Event()

    def run() -> None:
        with qanat.open(folder) as project:
            project.run_continuously(stop=stop, observers=[epochs])

    with kafka() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        for made in admin.create_topics([NewTopic("events", 1)]).values():
            made.result()
        lay_out(folder, broker.address)
        threads = [
            threading.Thread(target=run),
            threading.Thread(target=consume, args=(broker.address, received)),
        ]
        for thread in threads:
            thread.start()
        time.sleep(2)
        sent = produce(broker.address)
        end = time.time() + 60
        while epochs.rows < TOTAL and time.time() < end:
            time.sleep(0.1)
        stop.set()
        for thread in threads:
            thread.join()
    judged = range(RATE * WARM, TOTAL)
    table = [epochs.seen(n) - sent[n] for n in judged]
    bare = [received[n] - sent[n] for n in judged]
    print(json.dumps({"table": told(table), "consumer": told(bare), "epochs": len(epochs.found)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
