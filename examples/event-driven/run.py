"""Event-driven: a pipeline that waits, and reacts to a file or to a message with a message."""

import json
import os
import shutil
import threading
from pathlib import Path

from confluent_kafka import Consumer, Producer

import qanat
from qanat.testing.kafka import kafka

FOLDER = Path(__file__).parent


def reading(sensor: str, degrees: int) -> str:
    """A reading, as JSON."""
    return json.dumps({"sensor": sensor, "degrees": degrees})


def heard(alerts: Consumer) -> str:
    """Wait for the next alert."""
    while (message := alerts.poll(60)) is None or message.error():
        pass
    return str((message.value() or b"").decode())


def main() -> None:
    """Start the pipeline, and let things happen."""
    for name in ("storage", "in"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    (FOLDER / "in").mkdir()
    with kafka() as broker:
        os.environ["BROKERS"] = broker.address
        broker.create("readings", "alerts")
        alerts = Consumer(
            {
                "bootstrap.servers": broker.address,
                "group.id": "people",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        alerts.subscribe(["alerts"])
        producer, stop = Producer({"bootstrap.servers": broker.address}), threading.Event()
        with qanat.open(FOLDER) as project:
            pipeline = threading.Thread(target=project.run_continuously, kwargs={"stop": stop})
            pipeline.start()
            # A file appears whole: it is written under a hidden name, and renamed.
            written = FOLDER / "in/.hot.json"
            written.write_text("\n".join((reading("oven", 20), reading("kiln", 120))), "utf-8")
            written.rename(FOLDER / "in/hot.json")
            print("a file came, and then the alert", heard(alerts))
            for degrees in (21, 95, 9999):
                producer.produce("readings", reading("press", degrees))
            producer.flush()
            print("messages came, and then the alert", heard(alerts))
            stop.set()
            pipeline.join()
            print("Readings:", project.query("FROM readings ORDER BY ALL"), sep="\n")
            print("In quarantine:", len(project.quarantine("readings")))
        alerts.close()
        del producer  # Otherwise it outlives the broker, and complains about that on stderr.


if __name__ == "__main__":
    main()
