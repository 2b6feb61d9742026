"""An S3 server that ignores the condition of a conditional put, as some old ones do.

A proxy before a real server: it takes the condition away and passes everything else on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from qanat.testing.object_store import ObjectStore
from qanat.testing.proxy import Request, Response, proxy

CONDITIONS = {"if-none-match", "if-match"}


@contextmanager
def unconditional(behind: ObjectStore) -> Iterator[ObjectStore]:
    """Stand before an S3 server that does not check signatures, as moto's does not.

    Yields:
        The same store, as one finds it who goes through the proxy.
    """

    def without(request: Request, forward: Callable[[Request], Response]) -> Response:
        headers = {k: v for k, v in request.headers.items() if k not in CONDITIONS}
        return forward(replace(request, headers=headers))

    with proxy(behind.endpoint, without) as port:
        yield ObjectStore(f"http://127.0.0.1:{port}")
