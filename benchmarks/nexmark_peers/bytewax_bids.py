"""Nexmark's q0, q1, q2 by Bytewax: `bytewax_bids.py ADDRESS TOPIC QUERY`; prints its rows."""

import sys
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

address, topic, query = sys.argv[1:]
rows = 0


class Counted(StatelessSinkPartition[Any]):
    """Counts rows, and forgets them."""

    def write_batch(self, items: list[Any]) -> None:
        """Take rows."""
        global rows
        rows += len(items)


class Discarded(DynamicSink[Any]):
    """Where rows go."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Counted:
        """One for each worker."""
        del step_id, worker_index, worker_count
        return Counted()


flow = Dataflow("nexmark")
source = KafkaSource(
    [address], [topic], tail=False, batch_size=10_000, add_config={"fetch.queue.backoff.ms": "5"}
)
bids: Any = op.map("bids", op.input("kafka", flow, source), lambda m: orjson.loads(m.value))
if query == "q1":
    names = ("auction", "bidder", "date_time")
    bids = op.map("q1", bids, lambda b: {**{n: b[n] for n in names}, "price": 0.908 * b["price"]})
if query == "q2":
    bids = op.filter("odd", bids, lambda b: b["auction"] % 123 == 0)
    bids = op.map("q2", bids, lambda b: {"auction": b["auction"], "price": b["price"]})
op.output("out", bids, Discarded())
run_main(flow)
print(rows)
