"""Medallion: messages become bronze, silver and gold while they come."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

from confluent_kafka import Producer

import qanat
from qanat.model.event import EpochCommitted, Event
from qanat.testing.kafka import kafka

FOLDER = Path(__file__).parent
TRIPS = 1000


class Progress:
    """An observer that knows how many rows have come to silver, or into its quarantine."""

    def __init__(self) -> None:
        self.rows = 0

    def on(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, EpochCommitted) and event.dataset == "silver":
            self.rows += event.counts.out


def message(n: int) -> str:
    """A trip; some are broken, or go backwards."""
    if n % 100 == 99:
        return '{"id": '
    return json.dumps({"id": n, "city": ("Bern", "Oslo", "Rome")[n % 3], "km": n % 50 - 1})


def main() -> None:
    """Keep the tables up to date while trips come."""
    shutil.rmtree(FOLDER / "storage", ignore_errors=True)
    with kafka() as broker:
        os.environ["BROKERS"] = broker.address
        broker.create("trips", partitions=3)
        producer, stop, progress = (
            Producer({"bootstrap.servers": broker.address}),
            threading.Event(),
            Progress(),
        )
        with qanat.open(FOLDER) as project:
            pipeline = threading.Thread(
                target=project.run_continuously, kwargs={"stop": stop, "observers": [progress]}
            )
            pipeline.start()
            for n in range(TRIPS):
                producer.produce("trips", message(n))
                producer.poll(0)
                time.sleep(0.002)
            producer.flush()
            del producer  # Otherwise it outlives the broker, and complains about that on stderr.
            while pipeline.is_alive() and progress.rows < TRIPS:
                time.sleep(0.1)
            stop.set()
            pipeline.join()
            project.run()  # gold may have rested
            bronze = "SELECT count(*) FROM bronze"
            counts = f"SELECT ({bronze}) AS bronze, count(*) AS silver FROM silver"
            print(project.query(counts))
            print(project.query("FROM gold"))
            waiting = (
                "SELECT list_sort(map_keys(_quarantine_rules)) AS rules, count(*) AS rows"
                " FROM silver__quarantine GROUP BY ALL ORDER BY ALL"
            )
            print(project.query(waiting))


if __name__ == "__main__":
    main()
