"""A broker with the events of Nexmark: `nexmark_broker.py EVENTS`.

Prints its address once the topics are filled, and serves until its standard input ends. There
are two topics of bids, `bids` with EVENTS of them and `few` with so few that reading them costs
what a start does; and `auctions` and `persons`, of which there are 3 and 1 for 46 bids.
A thousand bids make a second of event time; events come up to two seconds out of order.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from qanat.testing.kafka import kafka

FEW = 1000
_START = datetime(2026, 1, 1)  # noqa: DTZ001 - Nexmark's times are without a zone
_CHANNELS = ("Google", "Facebook", "Baidu", "Apple")
_STATES = ("AZ", "CA", "ID", "OR", "WA", "WY")
_OUT_OF_ORDER = 2000
"""Milliseconds."""


def _at(draw: Random, milliseconds: int) -> str:
    late = min(milliseconds, draw.randrange(_OUT_OF_ORDER))
    moment = _START + timedelta(milliseconds=milliseconds - late)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def bids(count: int) -> Iterator[dict[str, Any]]:
    """Bids; a few auctions get most of them."""
    draw = Random(1)
    for n in range(count):
        auction = int(1000 * draw.paretovariate(1.2)) % 100_000
        yield {
            "auction": auction,
            "bidder": draw.randrange(100_000),
            "price": draw.randrange(100, 10_000_000),
            "channel": _CHANNELS[n % 4],
            "url": f"https://www.nexmark.com/{auction:06d}/item.htm?query={n % 977}",
            "date_time": _at(draw, n),
            "extra": "x" * 20,
        }


def auctions(count: int) -> Iterator[dict[str, Any]]:
    """Auctions of `count` bids, each by a person that there is."""
    draw = Random(2)
    for n in range(count * 3 // 46):
        yield {
            "id": n,
            "seller": draw.randrange(max(1, n // 3 + 1)),
            "category": draw.randrange(10, 15),
            "initial_bid": draw.randrange(100, 10_000),
            "date_time": _at(draw, n * 46 // 3),
        }


def persons(count: int) -> Iterator[dict[str, Any]]:
    """Persons among `count` bids."""
    draw = Random(3)
    for n in range(count // 46):
        yield {
            "id": n,
            "name": f"person {n}",
            "city": f"city {n % 50}",
            "state": draw.choice(_STATES),
            "date_time": _at(draw, n * 46),
        }


def main() -> None:
    """Fill the topics, and serve."""
    count = int(sys.argv[1])
    topics = {
        "few": bids(FEW),
        "bids": bids(count),
        "auctions": auctions(count),
        "persons": persons(count),
    }
    with kafka() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        for made in admin.create_topics([NewTopic(t, 1, 1) for t in topics]).values():
            made.result()
        producer = Producer(
            {"bootstrap.servers": broker.address, "linger.ms": 20, "enable.idempotence": True}
        )
        for topic, events in topics.items():
            for event in events:
                while True:
                    try:
                        producer.produce(topic, json.dumps(event, separators=(",", ":")))
                        break
                    except BufferError:
                        producer.poll(0.1)
                producer.poll(0)
        producer.flush()
        print(broker.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
