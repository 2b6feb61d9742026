"""A second S3 server for tests: MiniStack's, from PyPI (`ministack`).

It handles one request after the other, so that it enforces the condition of a conditional put
also when requests race.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from qanat.testing.object_store import ObjectStore
from qanat.testing.server import free_ports, serving, status


@contextmanager
def ministack() -> Iterator[ObjectStore]:
    """Start MiniStack's S3 on a free port of 127.0.0.1, in memory; stop it at the end.

    Use it in a fixture: ``with ministack() as s3: …``. Needs the package `ministack`.

    Raises:
        AdapterError: it did not start.
    """
    (port,) = free_ports(1)
    environment = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3"}
    with serving(
        "MiniStack",
        lambda _: [sys.executable, "-m", "ministack"],
        lambda: status(port, "/_ministack/health") == 200,
        environment,
    ):
        yield ObjectStore(f"http://127.0.0.1:{port}")
