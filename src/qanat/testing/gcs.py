"""Google Cloud Storage for tests: its XML API before MiniStack's S3.

Clients such as obstore and delta-rs speak the XML API, which is the protocol of S3 with headers
of other names; this gives them their names. Conditions, lists and uploads are MiniStack's. No
emulator has the XML API: fake-gcs-server refuses its puts, and lets two creations of one object
through.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from qanat.frozen import Frozen
from qanat.testing.ministack import ministack
from qanat.testing.object_store import ObjectStore
from qanat.testing.proxy import Request, Response, proxy

_SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
_CONDITION = "x-goog-if-generation-match"
_GONE = Response(
    404, {"content-type": "application/xml"}, b"<Error><Code>NoSuchKey</Code></Error>"
)


class GoogleStore(Frozen):
    """A running Google Cloud Storage.

    Args:
        endpoint: its URL, such as `http://127.0.0.1:5000`.
        behind: the S3 server that keeps the objects.
    """

    endpoint: str
    behind: ObjectStore

    @property
    def url(self) -> str:
        """The scheme of its URLs."""
        return "gs://"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which clients find it; there are no credentials."""
        account = {
            "gcs_base_url": self.endpoint,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)}

    def create_bucket(self, name: str) -> None:
        """Create a bucket, empty; nothing happens if it exists."""
        self.behind.create_bucket(name)


@contextmanager
def gcs() -> Iterator[GoogleStore]:
    """Start a Google Cloud Storage on a free port of 127.0.0.1; stop it at the end.

    Use it in a fixture: ``with gcs() as google: …``. Needs the package `ministack`.

    Raises:
        AdapterError: the server behind it did not start.
    """
    with ministack() as s3, proxy(s3.endpoint, _Translation()) as port:
        yield GoogleStore(f"http://127.0.0.1:{port}", s3)


class _Translation:
    """From the XML API to S3 and back.

    Generations are numbers for ETags, in the order in which they were first seen: the same content
    has the same generation, other than at Google.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: list[str] = []

    def __call__(self, request: Request, forward: Callable[[Request], Response]) -> Response:
        key = "?" not in request.path
        if request.method == "DELETE" and key:
            # S3 does not say that there was nothing to delete; Google does.
            present = forward(Request("HEAD", request.path, {"authorization": _SIGNATURE}))
            if present.status == 404:
                return _GONE
        if "x-goog-copy-source" in request.headers and _CONDITION in request.headers:
            copied = self._read(request, forward)
            if copied.status != 200:
                return copied
            request = replace(request, body=copied.body, headers=_kept(request.headers))
        response = forward(replace(request, headers=self._translated(request.headers)))
        tag = response.headers.get("etag")
        if tag is None:
            return response
        generation = str(self._generation(tag))
        return replace(response, headers={**response.headers, "x-goog-generation": generation})

    def _read(self, request: Request, forward: Callable[[Request], Response]) -> Response:
        """The source of a conditional copy, to be put: MiniStack's copies know no condition."""
        source = "/" + request.headers["x-goog-copy-source"].lstrip("/")
        return forward(Request("GET", source, {"authorization": _SIGNATURE}))

    def _translated(self, headers: dict[str, str]) -> dict[str, str]:
        headers = {**headers, "authorization": _SIGNATURE}
        if source := headers.pop("x-goog-copy-source", None):
            headers["x-amz-copy-source"] = source
        generation = headers.pop(_CONDITION, None)
        if generation == "0":
            headers["if-none-match"] = "*"
        elif generation is not None:
            headers["if-match"] = self._tag(int(generation))
        return headers

    def _generation(self, tag: str) -> int:
        with self._lock:
            if tag not in self._tags:
                self._tags.append(tag)
            return self._tags.index(tag) + 1

    def _tag(self, generation: int) -> str:
        with self._lock:
            known = generation <= len(self._tags)
            return self._tags[generation - 1] if known else '"unknown"'


def _kept(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "x-goog-copy-source"}
