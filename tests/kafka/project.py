"""A project that reads a topic into a table and sends that to another topic."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from qanat.connectors.kafka import sink
from qanat.connectors.kafka.books import Books
from qanat.connectors.kafka.consume import Reader
from qanat.connectors.kafka.produce import Sending
from qanat.connectors.kafka.sink import KafkaSink
from qanat.frozen import Frozen
from qanat.storage.delta.store import DeltaStore
from tests.conformance.kafka_topics import Topics, values

SPEC = """\
name: shop
threads: 1
retries: 0
configuration: {{brokers: '{brokers}', topic: '{topic}'}}
"""
SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount FROM STREAM read_kafka(
  bootstrapServers => '${brokers}', subscribe => '${topic}', format => 'json',
  schema => 'id BIGINT, amount BIGINT');
"""
PYTHON = """\
from qanat import pipelines as dp

dp.create_sink("report", "kafka", {{
    "kafka.bootstrap.servers": "{brokers}", "topic": "{topic}-out",
    "value_format": "json", "key": "id",
}})


@dp.append_flow(target="report")
def reported():
    return "SELECT id FROM STREAM bronze"
"""


class Found(Frozen):
    """How often each row is in the table, in its quarantine, and in the other topic."""

    table: Counter[int]
    quarantine: Counter[int]
    topic: Counter[int]


class Project:
    """The project, with topics of its own.

    Args:
        folder: for its files; made here.
        brokers: where it looks for the broker.
    """

    def __init__(self, folder: Path, topics: Topics, brokers: str) -> None:
        self.folder, self._topics = folder, topics
        self.topic = topics.create()
        self._out = topics.create(name=f"{self.topic}-out")
        files = {
            "qanat.yml": SPEC.format(brokers=brokers, topic=self.topic),
            "transformations/orders.sql": SQL,
            "transformations/report.py": PYTHON.format(brokers=brokers, topic=self.topic),
        }
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def send(self, good: Iterable[int], bad: Iterable[int]) -> None:
        """Send orders; bad ones go to quarantine."""
        rows = [(i, 1) for i in good] + [(i, 0) for i in bad]
        self._topics.send(self.topic, *(message(i, amount) for i, amount in rows))

    def found(self) -> Found:
        """What is there now."""
        topic = [json.loads(v or b"null")["id"] for v in values(self._topics.messages(self._out))]
        return Found(self._ids("bronze"), self._ids("bronze__quarantine"), Counter(topic))

    def _ids(self, table: str) -> Counter[int]:
        path = self.folder / "storage/tables" / table
        if not (path / "_delta_log").exists():
            return Counter()
        return Counter(DeltaTable(path).to_pyarrow_table(columns=["id"])["id"].to_pylist())


def message(id_: int, amount: int) -> bytes:
    """An order."""
    return json.dumps({"id": id_, "amount": amount}).encode()


def kafka_steps(around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Make what is done to a broker, and what lies between, steps, too."""
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
