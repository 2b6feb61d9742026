"""Starts and stops the servers of an orchestrator, and asks them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.error import URLError
from urllib.request import Request, urlopen

T = TypeVar("T")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Servers:
    """Processes that end with the block; what they print is in files of the folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder, self.environ = folder, environ
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a server in a session of its own, so that its children end with it."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            for kind in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, kind)
                except ProcessLookupError:
                    break
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    continue

    def logs(self) -> str:
        """The ends of what the servers have printed."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{f.name}: {f.read_text(errors='replace')[-3000:]}" for f in files)


def until(what: str, seconds: float, look: Callable[[], T | None]) -> T:
    """The first answer that is not None.

    Raises:
        TimeoutError: there was none in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = look()
        except (URLError, ConnectionError):
            found = None
        if found is not None:
            return found
        time.sleep(0.5)
    raise TimeoutError(what)


def ask(
    url: str,
    document: Any = None,
    method: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Any:
    """The JSON that a server answers."""
    data = None if document is None else json.dumps(document).encode()
    request = Request(url, data, dict(headers), method=method)  # noqa: S310 - a local server
    request.add_header("Content-Type", "application/json")
    request.add_header("Accept", "application/json")
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)
