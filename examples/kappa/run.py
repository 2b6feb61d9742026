"""Kappa: one stream; history is processed again by the same declaration.

A broker keeps all sales. A wrong VAT rate is found out later: the corrected declaration reads
the history from the start, and goes on with what comes.
"""

import json
import os
import shutil
from pathlib import Path

from confluent_kafka import Producer

import qanat
from qanat.testing.kafka import kafka

FOLDER = Path(__file__).parent


def send(brokers: str, ids: range) -> None:
    """Send a sale for each number."""
    producer = Producer({"bootstrap.servers": brokers})
    for n in ids:
        sale = {"id": n, "city": ("Bern", "Rome")[n % 2], "net": 100 * (n % 5)}
        producer.produce("sales", json.dumps(sale))
    producer.flush()


def main() -> None:
    """Process sales, and process them again."""
    shutil.rmtree(FOLDER / "storage", ignore_errors=True)
    with kafka() as broker:
        os.environ["BROKERS"] = broker.address
        broker.create("sales")
        os.environ["VAT"] = "20"
        with qanat.open(FOLDER) as project:
            for day in range(3):
                send(broker.address, range(100 * day, 100 * day + 100))
                project.run()
            print("With a VAT of 20 %:", project.query("FROM revenue"), sep="\n")
        os.environ["VAT"] = "25"
        with qanat.open(FOLDER) as project:
            project.run(full_refresh=["sales"])
            project.run()  # the tables that read it
            print("All of it again, with 25 %:", project.query("FROM revenue"), sep="\n")
            send(broker.address, range(300, 400))
            project.run()
            print("And another day:", project.query("FROM revenue"), sep="\n")
            print(f"{len(project.quarantine('sales'))} sales without a price wait in quarantine.")


if __name__ == "__main__":
    main()
