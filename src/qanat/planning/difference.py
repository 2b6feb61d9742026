"""The difference between two definitions of a dataset."""

from __future__ import annotations

import re
from difflib import unified_diff

_READ = re.compile(
    r"""
    '(?:[^']|'')*'                                      # a text: nothing in it is a name
    | (?P<before>\b(?:FROM|JOIN)\s+)?
      (?P<quote>["`])(?P<name>(?:(?!(?P=quote)).|(?P=quote){2})+)(?P=quote)
      (?:\ AS\ (?P<alias>\w+|(?P=quote)[^"`]+(?P=quote)))?
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(r"[\w.]+|.*[(`].*", re.DOTALL)


def difference(before: str, after: str) -> str:
    """A unified diff of two canonical texts, without headers; empty if they are equal.

    >>> print(difference("a\\nb\\n", "a\\nc\\n"))
     a
    -b
    +c
    """
    old, new = (as_written(text).splitlines() for text in (before, after))
    lines = list(unified_diff(old, new, lineterm="", n=3))
    # Drop the file names (two lines) and the `@@` line numbers: canonical texts are no files.
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))


def as_written(text: str) -> str:
    """A canonical text with what queries read spelled as authors do.

    Fingerprints are of the canonical text, so that itself has to keep its form.

    >>> as_written('FROM "STREAM bronze" AS bronze JOIN "STREAM a b" AS x')
    'FROM STREAM bronze JOIN STREAM "a b" AS x'
    """
    return _READ.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    quoted, before = found["name"], found["before"] or ""
    if quoted is None or not (before or quoted.startswith("STREAM ")):
        return found[0]
    quote, alias = found["quote"], found["alias"]
    name = quoted.replace(quote * 2, quote)
    stream = "STREAM " if name.startswith("STREAM ") else ""
    name = name.removeprefix(stream)
    called = "" if alias is None or alias.strip(quote) == name else f" AS {alias}"
    shown = name if _PLAIN.fullmatch(name) else f"{quote}{name}{quote}"
    return f"{before}{stream}{shown}{called}"
