"""A schema registry with Confluent's API, in this process: as much of it as clients use."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class Shelf:
    """What the registry has.

    Args:
        login: the only `Authorization` that it takes; empty for any.
    """

    def __init__(self, login: str = "") -> None:
        self.login, self.url = login, ""
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.broken = 0  # so many requests are answered with 503
        self.incompatible: set[str] = set()

    def add(self, subject: str, schema: dict[str, Any]) -> int:
        """The number of a schema, which stays what it was if it is there."""
        number = next((n for n, s in self.schemas.items() if s == schema), len(self.schemas) + 1)
        self.schemas[number] = schema
        if number not in self.subjects.setdefault(subject, []):
            self.subjects[subject].append(number)
        return number

    def answer(self, method: str, path: str, body: Any, login: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if self.login and login != self.login:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        if self.broken:
            self.broken -= 1
            return 503, {"error_code": 50301, "message": "starting"}
        if found := re.fullmatch(r"/schemas/ids/(\d+)", path):
            schema = self.schemas.get(int(found[1]))
            missing = {"error_code": 40403, "message": "Schema not found"}
            return (200, schema) if schema else (404, missing)
        if found := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path):
            numbers = self.subjects.get(unquote(found[1]), [])
            if int(found[2]) > len(numbers):
                return 404, {"error_code": 40402, "message": "Version not found"}
            return 200, self.schemas[numbers[int(found[2]) - 1]]
        if found := re.fullmatch(r"/subjects/([^/]+)(/versions)?", path):
            subject = unquote(found[1])
            if subject in self.incompatible:
                return 409, {"error_code": 409, "message": "READER_FIELD_MISSING_DEFAULT"}
            number = self.add(subject, body)
            return 200, {"id": number, "version": self.subjects[subject].index(number) + 1}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}


@contextmanager
def registry(login: str = "") -> Iterator[Shelf]:
    """A registry that serves on a free port of 127.0.0.1."""
    shelf = Shelf(login)

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            login = self.headers.get("Authorization") or ""
            status, answer = shelf.answer(self.command, self.path, body, login)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 - what http.server calls them

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        shelf.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield shelf
        finally:
            server.shutdown()
            thread.join()
