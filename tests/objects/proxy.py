"""A proxy before an S3 server that lets a fault meet each request of a client.

What is signed (method, target, host, headers, body) is passed on as it came, so it works with any
server. Every answer is whole before the client gets any of it.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from io import BufferedReader
from typing import Self
from urllib.parse import unquote, urlsplit

_SECONDS = 120.0
_DRAWN = re.compile(r"[0-9a-f]{8,}(-[0-9a-f]{4,})*")
_LOG_ENTRY = re.compile(r"/_delta_log/\d{20}\.json$")
_NOT_PASSED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True)
class Request:
    """A request as it came from the client.

    Args:
        number: 1 for the first request of the client, retries included.
        target: path and query, as they were sent.
    """

    number: int
    method: str
    target: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """The object's key, without the bucket."""
        path = unquote(urlsplit(self.target).path)
        return path.lstrip("/").partition("/")[2]

    @property
    def commits(self) -> bool:
        """True if it writes a log entry of a Delta table."""
        return self.method == "PUT" and _LOG_ENTRY.search(self.key) is not None

    @property
    def site(self) -> str:
        """What it does, without what differs from run to run.

        >>> Request(1, "PUT", "/lake/t/part-0b3e6b8e-8f4f-4f4e-9d6e-2f4c0f1f7a11.parquet",
        ...         (), b"").site
        'PUT t/part-*.parquet'
        """
        query = ",".join(sorted(q.partition("=")[0] for q in self._query() if q))
        name = _DRAWN.sub("*", self.key)
        if not name:
            prefix = next((q for q in self._query() if q.startswith("prefix=")), "prefix=")
            name = f"below {unquote(prefix.partition('=')[2])}"
        return f"{self.method} {name}" + (f" ?{query}" if query and self.key else "")

    def _query(self) -> list[str]:
        return urlsplit(self.target).query.split("&")


@dataclass(frozen=True)
class Response:
    """A whole answer."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = field(default=b"", repr=False)


class Exchange:
    """A request and what becomes of it.

    Args:
        connection: to the client.
        server: host and port.
    """

    def __init__(self, request: Request, connection: socket.socket, server: str) -> None:
        self.request = request
        self.open = True
        self._connection = connection
        self._server = server

    def forward(self) -> Response:
        """Have the server carry out the request."""
        request = self.request
        with closing(HTTPConnection(self._server, timeout=_SECONDS)) as server:
            server.putrequest(
                request.method, request.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers:
                if name.lower() != "connection":
                    server.putheader(name, value)
            server.endheaders(request.body)
            found = server.getresponse()
            kept = [h for h in found.getheaders() if h[0].lower() not in _NOT_PASSED_ON]
            body = found.read()
            length = str(len(body))
            if request.method == "HEAD" or found.status in (204, 304):
                length = found.getheader("Content-Length") or "0"
            if found.status != 204:
                kept.append(("Content-Length", length))
            return Response(found.status, kept, body)

    def answer(self, response: Response) -> None:
        """Send an answer to the client."""
        lines = [f"HTTP/1.1 {response.status} -", *(f"{n}: {v}" for n, v in response.headers)]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        # The client may be dead.
        with suppress(OSError):
            self._connection.sendall(head + response.body)

    def refuse(self, status: int, code: str) -> None:
        """Answer with an error of S3's own, without the server."""
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        body = text.encode()
        headers = (("Content-Type", "application/xml"), ("Content-Length", str(len(body))))
        self.answer(Response(status, headers, body))

    def answer_half(self, response: Response) -> None:
        """Send a part of an answer, and close the connection."""
        half = Response(
            response.status, response.headers, response.body[: len(response.body) // 2]
        )
        self.answer(half)
        self.open = False

    def cut(self) -> None:
        """Close the connection without an answer."""
        self.open = False

    def reset(self) -> None:
        """Reset the connection: the client hears of an error at once."""
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.open = False


Meet = Callable[[Exchange], None]


def passed_on(exchange: Exchange) -> None:
    """Nothing goes wrong."""
    exchange.answer(exchange.forward())


class Proxy:
    """A proxy on a free port. Use it as a context manager.

    Args:
        server: the URL of the server.
        meet: is given each exchange, in the thread of its connection, and has to answer it or to
            cut the connection.
    """

    def __init__(self, server: str, meet: Meet = passed_on) -> None:
        self.requests: list[Request] = []
        self._server = urlsplit(server).netloc
        self._meet = meet
        self._counting = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._connections: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    @property
    def endpoint(self) -> str:
        """The URL that clients are told."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *error: object) -> None:
        # Closing a socket does not wake the thread that waits for a connection.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Serve one connection of the client, request by request, until either side closes it."""
        with connection, connection.makefile("rb") as stream:
            while (received := _received(stream)) is not None:
                with self._counting:
                    request = Request(len(self.requests) + 1, *received)
                    self.requests.append(request)
                exchange = Exchange(request, connection, self._server)
                try:
                    self._meet(exchange)
                except (OSError, HTTPException):
                    break  # the server is gone: the test has ended
                if not exchange.open:
                    break
            self._connections.discard(connection)


def _received(
    stream: BufferedReader,
) -> tuple[str, str, list[tuple[str, str]], bytes] | None:
    """The parts of the next request; None if the client has closed the connection."""
    try:
        first = stream.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        headers, length = [], 0
        while line := stream.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
            if name.lower() == "content-length":
                length = int(value)
        body = stream.read(length)
    except OSError:
        return None
    return (first[0], first[1], headers, body) if len(body) == length else None
