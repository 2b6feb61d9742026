"""A real web server that writes down what is posted to it, and answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any


@dataclass
class Request:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


Answer = tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """The server.

    Args:
        answer: gives status and headers for the number of a request (1, 2, 3, …) and the request;
            it may wait.
    """

    answer: Callable[[int, Request], Answer] = lambda number, request: (204, {})
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The bodies of requests that were answered with 2xx."""
        return [r.json for r in self.accepted]

    accepted: list[Request] = field(default_factory=list)

    def take(self, request: Request) -> Answer:
        with self.lock:
            self.requests.append(request)
            number = len(self.requests)
        answer = self.answer(number, request)
        if 200 <= answer[0] < 300:
            with self.lock:
                self.accepted.append(request)
        return answer


@contextmanager
def receiving(
    receiver: Receiver | None = None, tls: SSLContext | None = None, idle: float | None = None
) -> Iterator[Receiver]:
    """Run a server on a free port (or on that which the receiver has) while the block lasts.

    Args:
        idle: seconds after which it closes a connection that nobody uses; None: never.
    """
    taker = receiver or Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = idle

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, self.rfile.read(length))
            status, more = taker.take(request)
            self.send_response(status)
            for name, value in {"Content-Length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", taker.port), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        taker.scheme = "https"
    taker.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield taker
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
