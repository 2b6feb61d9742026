"""A real S3 server on this machine, for tests: moto's, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from socket import create_server
from urllib.parse import quote

from qanat.frozen import Frozen

_START_SECONDS = 30.0
# The server lets a stranger create objects but not replace them. It never checks signatures.
_HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0",
    "Content-Type": "application/octet-stream",
}


class ObjectStore(Frozen):
    """A running S3 server.

    Args:
        endpoint: its URL, such as `http://127.0.0.1:5000`.
    """

    endpoint: str

    @property
    def url(self) -> str:
        """The scheme of its URLs."""
        return "s3://"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def create_bucket(self, name: str) -> None:
        """Create a bucket, empty; nothing happens if it exists."""
        self._request("PUT", f"/{quote(name)}")

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        self._request("PUT", f"/{quote(bucket)}/{quote(key)}", content)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        self._request("DELETE", f"/{quote(bucket)}/{quote(key)}")

    def require_credentials(self) -> None:
        """From now on refuse every request: none is signed by an IAM user's keys. moto only."""
        self._request("POST", "/moto-api/reset-auth", b"0")

    def _request(self, method: str, path: str, body: bytes = b"") -> None:
        connection = HTTPConnection(self.endpoint.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, path, body, _HEADERS)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:500]!r}")


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Start an S3 server on a free port and stop it at the end.

    Use it in a fixture: ``with object_store() as s3: …``. Needs the package `moto[server]`.

    Raises:
        RuntimeError: it did not start.
    """
    with create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "qanat.testing.moto_server", str(port)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter, nothing from outside
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _await(server, port)
            yield ObjectStore(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/moto-api/")
            connection.getresponse().read()
        except (OSError, HTTPException):
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError("the S3 server did not start; is moto[server] installed?")
