"""moto's server with one request that writes at a time: python -m qanat.testing.moto_server PORT.

Without that, of two requests that create one object unless there is one, both may succeed: moto
looks and writes in two steps.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple
from werkzeug.wsgi import get_input_stream


class OneWriter(DomainDispatcherApplication):
    """moto, which answers requests that only read at any time, and others one after the other."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self.debug = True
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._answer(environ, start_response)
        # Before the lock is taken: who is slow to send keeps nobody waiting.
        environ["wsgi.input"] = BytesIO(get_input_stream(environ).read())
        with self._writing:
            return self._answer(environ, start_response)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return list(super().__call__(environ, start_response))


if __name__ == "__main__":
    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        OneWriter(),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
