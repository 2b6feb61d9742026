"""Nexmark's q0, q1, q2 by Pathway: `pathway_bids.py ADDRESS TOPIC QUERY`; prints its rows."""

import sys
import uuid
from typing import Any

import pathway as pw

address, topic, query = sys.argv[1:]
rows = 0


class Bid(pw.Schema):
    """A bid."""

    auction: int
    bidder: int
    price: int
    channel: str
    url: str
    date_time: str
    extra: str


def count(key: Any, row: Any, time: int, is_addition: bool) -> None:
    """Count a row, and forget it."""
    global rows
    del key, row, time, is_addition
    rows += 1


bids = pw.io.kafka.read(
    {"bootstrap.servers": address, "group.id": str(uuid.uuid4()), "auto.offset.reset": "earliest"},
    topic=topic,
    format="json",
    schema=Bid,
    mode="static",
)
if query == "q1":
    bids = bids.select(bids.auction, bids.bidder, bids.date_time, price=0.908 * bids.price)
if query == "q2":
    bids = bids.filter(bids.auction % 123 == 0).select(pw.this.auction, pw.this.price)
if query == "q2":
    pw.io.subscribe(bids, on_change=count)
else:
    # To call a Python function for each row would cost most of the time.
    pw.io.null.write(bids)
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
print(rows)
