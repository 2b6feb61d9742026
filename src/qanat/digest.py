"""A digest of contents, for what must be told apart and not be shown."""

from __future__ import annotations

# Kept apart from `text`: with it comes OpenSSL, which `qanat --help` has no use for.
from hashlib import blake2b


def digest(*parts: str | bytes) -> str:
    """A digest of some contents in their order: equal only if each of them is.

    >>> digest("a", "b") == digest("ab")
    False
    """
    found = blake2b(digest_size=16)
    for part in parts:
        data = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()


def number(text: str) -> int:
    """A digest of a text as a number of 64 bits, with a sign.

    >>> number("a") == number("a"), -(2**63) <= number("b") < 2**63
    (True, True)
    """
    found = blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(found, "big", signed=True)
