"""Whoever listens to the topic of alerts hears of what is too hot."""

import os

from qanat import pipelines as dp

dp.create_sink(
    "alerts",
    format="kafka",
    options={
        "kafka.bootstrap.servers": os.environ["BROKERS"],
        "topic": "alerts",
        "value_format": "json",
        "key": "sensor",
    },
)


@dp.append_flow(target="alerts")
def too_hot() -> str:
    """Readings of more than 90 degrees."""
    return "SELECT sensor, degrees FROM STREAM readings WHERE degrees > 90"
