"""How two definitions differ."""

from __future__ import annotations

from difflib import unified_diff


def difference(before: str, after: str) -> str:
    """A unified diff of two canonical texts, empty if they are equal.

    >>> print(difference("a\\nb\\n", "a\\nc\\n"))
     a
    -b
    +c
    """
    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))
    # The first two lines name files, `@@` a place in them: neither is one here.
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))
