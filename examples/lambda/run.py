"""Lambda: a batch layer over an archive and a speed layer over a topic, which agree.

Orders come as messages; at the end of a day, all orders of the day are archived as a file.
"""

import json
import os
import shutil
from pathlib import Path

from confluent_kafka import Producer

import qanat
from qanat.testing.kafka import kafka

FOLDER = Path(__file__).parent
ARCHIVE = FOLDER / "archive"


def orders(day: int) -> list[str]:
    """The orders of a day, as JSON."""
    rows = ({"day": day, "city": ("Bern", "Rome")[n % 2], "amount": n + day} for n in range(100))
    return [json.dumps(row) for row in rows]


def main() -> None:
    """Two days and a half."""
    for name in ("storage", "archive"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    ARCHIVE.mkdir()
    with kafka() as broker:
        os.environ["BROKERS"] = broker.address
        broker.create("orders")
        producer = Producer({"bootstrap.servers": broker.address})
        with qanat.open(FOLDER) as project:
            for day in range(3):
                for order in orders(day) if day < 2 else orders(day)[:50]:
                    producer.produce("orders", order)
                producer.flush()
                project.run()
                if day < 2:
                    (ARCHIVE / f"{day}.json").write_text("\n".join(orders(day)), encoding="utf-8")
                    project.run()
            print("Revenue:", project.query("FROM revenue"), sep="\n")
            print(
                "What both layers have counted:",
                project.query("FROM compared ORDER BY ALL"),
                sep="\n",
            )
            # An archive that lacks an order does not go unseen.
            (ARCHIVE / "1.json").write_text("\n".join(orders(1)[1:]), encoding="utf-8")
            failed = project.run().failed
            print(*(f"{d.dataset}: {d.error.message}" for d in failed if d.error), sep="\n")
        del producer  # Otherwise it outlives the broker, and complains about that on stderr.


if __name__ == "__main__":
    main()
