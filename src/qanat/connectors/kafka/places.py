"""Where topics are, as catalogs name it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qanat.model.portrait import Place

_PORT = 9092


def place(written: str, options: Mapping[str, Any], root: Path) -> Place:
    """The place of topics; several brokers are one place, that of the first.

    >>> place("orders", {"bootstrap_servers": "a:9093,b:9093"}, Path("/shop"))
    Place(namespace='kafka://a:9093', name='orders')
    """
    del root
    broker = str(options.get("bootstrap_servers", "")).split(",")[0].strip()
    host = broker.rpartition("://")[2]
    port = "" if ":" in host.rpartition("]")[2] else f":{_PORT}"
    return Place(f"kafka://{host}{port}", written or str(options.get("topic", "")))
