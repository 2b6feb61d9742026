"""A server as a process of its own, for one test run: free ports, a log, an orderly end."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import create_server
from typing import Protocol

from qanat.errors import AdapterError

_START_SECONDS = 90.0
_STOP_SECONDS = 15.0


class ObjectServer(Protocol):
    """What tests need to know of an object store, whoever made it."""

    @property
    def url(self) -> str:
        """The scheme with which the URL of a bucket begins, such as `s3://`."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which clients find it."""

    def create_bucket(self, name: str) -> None:
        """Create a bucket (a container, in Azure's word), empty."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different.

    >>> len(set(free_ports(3)))
    3
    """
    with ExitStack() as probes:
        sockets = [probes.enter_context(create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def serving(
    name: str,
    command: Callable[[Path], Sequence[str]],
    answers: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server, in a temporary folder, for as long as the context is open.

    Args:
        name: the server's, for messages.
        command: the command line, given the folder, which is gone at the end.
        answers: whether the server serves yet.
        environment: variables that it needs beside those of this process.

    Raises:
        AdapterError: it ends by itself, or does not answer within 90 seconds; with its last words.
    """
    # A killed server may still be writing a file that is to be removed.
    with tempfile.TemporaryDirectory(prefix="qanat-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "server.log")
        with log.open("wb") as output:
            server = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                list(command(Path(folder))),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                env={**os.environ, **(environment or {})},
            )
        try:
            await_answer(name, server, answers, log)
            yield
        finally:
            server.terminate()
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def status(port: int, path: str) -> int | None:
    """The status with which a server of 127.0.0.1 answers a GET; None if it does not answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return response.status


def await_answer(
    name: str, server: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path
) -> None:
    """Wait until a server that was started serves.

    Args:
        name: the server's, for messages.
        log: where it writes.

    Raises:
        AdapterError: it ends by itself, or does not answer within 90 seconds; with its last words.
    """
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        if answers():
            return
        time.sleep(0.05)
    raise AdapterError(
        f"{name} did not start", got=log.read_text(encoding="utf-8", errors="replace")[-500:]
    )
