"""Posts to a web server over one connection that stays open, with what its answers mean."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from qanat.errors import Again, UndeliveredError

_TOO_EARLY = 425
_MISPLACED = frozenset((401, 403, 404, 405, 407, 410, 421))
"""Answers about the request as such: no other event would be taken, until somebody mends that."""
_SHOWN = 200
"""Characters of an answer that a message shows."""
_SHORTEST = 4
"""Characters of a secret: what is shorter tells little, and is in too many words."""
_REUSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""What a connection raises that the server has closed since the last request."""


class Poster:
    """Posts to one URL. Not safe for several threads.

    Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`). Redirects are not followed:
    an event must not go where its author has not sent it.

    Args:
        url: `http://…` or `https://…`; a name and password in it are sent as basic authorization.
        timeout: seconds for the connection, and for each answer.
        ca_file: certificates to trust instead of the system's, in PEM.
        headers: of every request.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        ca_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._parts = parts
        self.shown = shown(url)
        self._timeout = timeout
        self._ca_file = ca_file
        self._headers = {"Host": parts.netloc.rpartition("@")[2], **(headers or {})}
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        self._path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        self._connection: http.client.HTTPConnection | None = None
        self._answers: list[http.client.HTTPResponse] = []
        self._secrets = _secrets(parts, self._headers.get("Authorization", ""))

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post once.

        Raises:
            UndeliveredError: the server cannot be reached, or does not answer with 2xx.
        """
        try:
            status, reason, retry_after, text = self._exchanged(body, {**self._headers, **headers})
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise UndeliveredError(
                f"the certificate of {self.shown} is not trusted",
                Again.LATER,
                got=error.verify_message,
                hint="name the certificates to trust: `ca_file: …`",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise UndeliveredError(
                f"{self.shown} cannot be reached", got=self._hidden(_reason(error))
            ) from error
        except ValueError:
            self.close()
            # What it says, or comes from, may show a token.
            raise UndeliveredError(
                f"{self.shown} cannot be asked",
                Again.LATER,
                got="a header with characters that none may have, such as a line break",
            ) from None
        if not 200 <= status < 300:
            got = self._hidden(f"{status} {reason}" + (f": {text}" if text else ""))[:_SHOWN]
            raise UndeliveredError(
                f"{self.shown} does not take an event",
                _again(status),
                after=seconds_of(retry_after) if retry_after else None,
                got=got,
            )

    def _hidden(self, text: str) -> str:
        """A text of the server without the secrets that it was sent: some repeat the path."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        for answer in self._answers:
            # An answer that has only begun keeps the socket open.
            answer.close()
        self._answers.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchanged(
        self, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str, str | None, str]:
        reused = self._connection is not None
        try:
            return self._exchange(body, headers)
        except _REUSED:
            # Servers close connections that nobody has used for a while.
            self.close()
            if not reused:
                raise
            return self._exchange(body, headers)

    def _exchange(
        self, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str, str | None, str]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._opened()
            connection.response_class = self._begun  # type: ignore[assignment]
        self._answers.clear()
        if connection.sock is None:
            connection.connect()
        with _limited(connection.sock, self._timeout):
            connection.request("POST", self._target, body, dict(headers))
            answer = connection.getresponse()
            # All of a short answer has to be read before the connection can be used again.
            content = answer.read(1 << 16)
        if answer.will_close or not answer.isclosed():
            self.close()
        text = " ".join(content.decode(errors="replace").split())
        return answer.status, answer.reason, answer.headers.get("Retry-After"), text

    def _begun(self, *values: Any, **named: Any) -> http.client.HTTPResponse:
        answer = http.client.HTTPResponse(*values, **named)
        self._answers.append(answer)
        return answer

    @property
    def _target(self) -> str:
        secure = self._parts.scheme == "https"
        if secure or self._proxy is None:
            return self._path
        return f"http://{self._headers['Host']}{self._path}"

    @property
    def _proxy(self) -> SplitResult | None:
        found = getproxies().get(self._parts.scheme)
        if not found or proxy_bypass(self._parts.hostname or ""):
            return None
        return urlsplit(found if "://" in found else f"http://{found}")

    def _opened(self) -> http.client.HTTPConnection:
        parts, proxy = self._parts, self._proxy
        to = parts if proxy is None else proxy
        host, port = to.hostname or "", to.port
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        context = ssl.create_default_context(cafile=self._ca_file)
        secure = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
        if proxy is not None:
            secure.set_tunnel(parts.hostname or "", parts.port or 443)
        return secure


@contextmanager
def _limited(connected: socket.socket, seconds: float) -> Iterator[None]:
    """Let what is done by a socket take no longer than so many seconds.

    A socket's own timeout is that of each read: a server that sends byte by byte has none.

    Raises:
        TimeoutError: it took longer.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            # Not as `SSLSocket` does it: that is for the thread that reads.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if late.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if late.is_set():
        # What was read may be the half of an answer.
        raise TimeoutError


def _secrets(parts: SplitResult, authorization: str) -> list[str]:
    """What no message may show of a URL and a header, the longest first."""
    query = [value for _, value in parse_qsl(parts.query)]
    pieces = [parts.path, parts.query, *query, *parts.path.split("/"), authorization]
    pieces += [parts.username or "", parts.password or "", authorization.partition(" ")[2]]
    found = {each for piece in pieces for each in (piece, unquote(piece), escape(piece))}
    return sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True)


def shown(url: str) -> str:
    """A URL without what may be secret: user, password, query; and paths of hooks are secrets.

    >>> shown("https://bot:hunter2@hooks.example:8443/services/T0/B0/xyz?token=1")
    'https://hooks.example:8443'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def seconds_of(retry_after: str, now: float | None = None) -> float | None:
    """The seconds that a header `Retry-After` says, as a number or as a date; None if it is none.

    >>> seconds_of("120"), seconds_of("Mon, 30 Nov 2026 08:00:10 GMT", 1796025600.0)
    (120.0, 10.0)
    """
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    with suppress(TypeError, ValueError):
        until = email.utils.parsedate_to_datetime(text).timestamp()
        return max(0.0, until - (time.time() if now is None else now))
    return None


def _again(status: int) -> Again:
    """Whether the same request may be answered otherwise later."""
    if status in (408, _TOO_EARLY, 429) or status >= 500:
        return Again.SOON
    if status in _MISPLACED or status < 400:
        return Again.LATER
    return Again.NEVER


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
