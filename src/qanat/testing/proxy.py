"""A server that passes requests on to another and changes them on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from qanat.frozen import Frozen

_OWN = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
"""Headers of one connection, or that each server writes itself."""


class Request(Frozen):
    """A request on its way.

    Args:
        method: such as `PUT`.
        path: with the query, percent-encoded as it came.
        headers: by their names in lower case.
        body: all of it.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Response(Frozen):
    """What answers a request.

    Args:
        status: such as 200.
        headers: by their names in lower case.
        body: all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""


@contextmanager
def proxy(
    endpoint: str, change: Callable[[Request, Callable[[Request], Response]], Response]
) -> Iterator[int]:
    """Stand before a server.

    Args:
        endpoint: the server's, such as `http://127.0.0.1:5000`.
        change: answers a request, mostly by a call of the function that it is given with it, which
            asks the server. It is called from several threads.

    Yields:
        The port of 127.0.0.1 where the proxy listens.
    """
    behind = endpoint.removeprefix("http://")

    def forward(request: Request) -> Response:
        connection = HTTPConnection(behind, timeout=60)
        try:
            headers = {**request.headers, "content-length": str(len(request.body))}
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, headers, answer.read())
        finally:
            connection.close()

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # Head and body leave together: alone, each waits 40 ms for the other's ACK.

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept = {name: value for name, value in headers.items() if name not in _OWN}
            answer = change(Request(self.command, self.path, kept, body), forward)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name not in _OWN:
                    self.send_header(name, value)
            # The answer to HEAD has no body, and yet tells the length of the object.
            head = self.command == "HEAD" and answer.headers.get("content-length")
            self.send_header("content-length", head or str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Say nothing: tests read their own standard error."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # Clients keep idle connections, which need not be waited for.
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Passing) as server:
        thread = threading.Thread(target=server.serve_forever, name="proxy")
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
