"""The difference between two definitions of a dataset."""

from __future__ import annotations

from difflib import unified_diff


def difference(before: str, after: str) -> str:
    """A unified diff of two canonical texts, without headers; empty if they are equal.

    >>> print(difference("a\\nb\\n", "a\\nc\\n"))
     a
    -b
    +c
    """
    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))
    # Drop the file names (two lines) and the `@@` line numbers: canonical texts are no files.
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))
