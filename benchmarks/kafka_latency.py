"""How long a message takes from `produce` to the table: a continuous update with ten rules.

Beside it, in the same run, a bare consumer of confluent-kafka that only receives them.
"""

from __future__ import annotations

import json
from pathlib import Path

from figure import Against, Figure
from measure import spend
from place import PYTHON, scratch


def measure() -> list[Figure]:
    """The median, and the 99th percentile, of all messages behind the first five seconds."""
    trial = Path(__file__).with_name("kafka_trial.py")
    with scratch("kafka-latency") as folder:
        found = json.loads(spend([PYTHON, trial, folder], trial.parent).output)
    (ours, late), (bare, bare_late) = found["table"], found["consumer"]
    name = "kafka_latency: produce to table"
    return [
        Figure(f"{name}, median", ours, "consumed", bare, "ms", Against.VALUE, 40),
        Figure(f"{name}, 99 %", late, "consumed", bare_late, "ms", Against.VALUE, 250),
    ]
