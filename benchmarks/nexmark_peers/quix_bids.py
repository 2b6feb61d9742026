"""Nexmark's q0, q1, q2 by Quix Streams: `quix_bids.py ADDRESS TOPIC QUERY EVENTS`; prints rows."""

import sys
import tempfile
import uuid
from typing import Any

from quixstreams import Application

address, topic, query, events = sys.argv[1:]
rows = 0


def count(row: Any) -> None:
    """Count a row, and forget it."""
    global rows
    del row
    rows += 1


with tempfile.TemporaryDirectory() as state:
    app = Application(
        broker_address=address,
        consumer_group=str(uuid.uuid4()),
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        consumer_extra_config={"fetch.queue.backoff.ms": 5},
        state_dir=state,
        loglevel="ERROR",
    )
    bids = app.dataframe(app.topic(topic, value_deserializer="json"))
    if query == "q1":
        names = ("auction", "bidder", "date_time")
        bids = bids.apply(lambda b: {**{n: b[n] for n in names}, "price": 0.908 * b["price"]})
    if query == "q2":
        bids = bids.filter(lambda b: b["auction"] % 123 == 0)[["auction", "price"]]
    bids.update(count)
    app.run(count=int(events), timeout=10)
print(rows)
