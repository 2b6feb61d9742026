"""A real schema registry on this machine, for tests: Apicurio, which speaks Confluent's API.

It comes from Maven Central (160 MB) and is kept in `$XDG_CACHE_HOME/qanat-servers`. It needs Java
21 and half a minute to start; what is registered is gone at the end.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from qanat.errors import AdapterError
from qanat.testing.java import java, maven
from qanat.testing.server import free_ports, serving

VERSION = "3.3.3"
_LEAST = 21
_API = "/apis/ccompat/v7"


@contextmanager
def apicurio() -> Iterator[str]:
    """The URL of a running registry, for as long as the context is open.

    Raises:
        AdapterError: Java 21 or Maven is missing and cannot be installed, or it does not start.
    """
    folder = unpacked()
    (port,) = free_ports(1)

    def command(_: Path) -> Sequence[str]:
        settings = (f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1")
        return [
            str(java(_LEAST)), "-Xmx400m", "-XX:TieredStopAtLevel=1", *settings,
            "-jar", str(folder / "quarkus-run.jar"),
        ]  # fmt: skip

    def answers() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", f"{_API}/subjects")
            return connection.getresponse().status == 200
        except (HTTPException, OSError):
            return False
        finally:
            connection.close()

    with serving("Apicurio", command, answers):
        yield f"http://127.0.0.1:{port}{_API}"


def unpacked() -> Path:
    """The folder with the program, fetched once.

    Raises:
        AdapterError: Maven is missing, or fails.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    ready = Path(base) / "qanat-servers" / f"apicurio-{VERSION}"
    if not ready.is_dir():
        ready.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ready.parent) as scratch:
            name = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
            goal = ("dependency:copy", f"-Dartifact={name}", f"-DoutputDirectory={scratch}")
            done = subprocess.run(  # noqa: S603 - our own arguments, no shell
                [maven(), "-B", "-q", *goal], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise AdapterError(
                    "Maven could not fetch Apicurio", got=(done.stdout + done.stderr)[-500:]
                )
            (packed,) = Path(scratch).glob("*.tar.gz")
            made = Path(scratch, "app")
            with tarfile.open(packed) as archive:
                archive.extractall(made, filter="data")
            try:
                made.rename(ready)
            except OSError:
                # Another process was quicker.
                if not ready.is_dir():
                    raise
    return ready
