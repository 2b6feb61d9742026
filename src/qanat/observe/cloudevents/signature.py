"""Signatures of Standard Webhooks (https://www.standardwebhooks.com), by a shared secret."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256

_PREFIX = "whsec_"
_LEAST, _MOST = 24, 64


def secrets_of(text: str) -> tuple[bytes, ...]:
    """The secrets of an option, which are separated by spaces.

    Raises:
        ValueError: one is not base64, or too short or too long to be a secret.

    >>> [len(secret) for secret in secrets_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    [24]
    """
    found = []
    for word in text.split():
        try:
            secret = b64decode(word.removeprefix(_PREFIX), validate=True)
        except ValueError as error:
            raise ValueError("not base64") from error
        if not _LEAST <= len(secret) <= _MOST:
            raise ValueError(f"{len(secret)} bytes")
        found.append(secret)
    return tuple(found)


def signed(secrets: Sequence[bytes], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that sign a message, with one signature for each secret.

    Args:
        id: of the message, the same each time that it is sent.
        timestamp: when it is sent, seconds since 1970 (UTC).
    """
    head = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    if not secrets:
        return head
    content = f"{id}.{timestamp}.".encode() + body
    marks = (hmac.new(secret, content, sha256).digest() for secret in secrets)
    return head | {"webhook-signature": " ".join(f"v1,{b64encode(m).decode()}" for m in marks)}
