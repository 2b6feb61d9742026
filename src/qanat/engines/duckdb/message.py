"""What DuckDB says, in the words of the author's SQL."""

from __future__ import annotations

import json
import re

_PREFIX = re.compile(r"^(?:[A-Z][A-Za-z]*(?: [A-Za-z]+){0,3} Error: )+")
_TYPES = {
    "INTEGER_LITERAL": "INTEGER",
    "STRING_LITERAL": "VARCHAR",
    "INT8": "TINYINT",
    "INT16": "SMALLINT",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "INT128": "HUGEINT",
}
_TYPE = re.compile(rf"\b(?:{'|'.join(_TYPES)})\b")
# Advice to change DuckDB's settings is no way out: they are Qanat's.
_SETTING = re.compile(r",? or SET \w+\s*=.*|\s*Use \"SET .*", re.DOTALL)
_FULL = re.compile(
    r"no space left on device|disk full|disk quota exceeded|file too large"
    r"|failed to offload|max_temp_directory_size",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """The first thing that a message of DuckDB says, without what only DuckDB's authors need.

    >>> plain("Conversion Error: Could not convert string 'x' to INT32\\n\\nLINE 1: SELECT …")
    "could not convert string 'x' to INTEGER"
    """
    first = _inner(text).split("\n", 1)[0].strip()
    first = _SETTING.sub("", _PREFIX.sub("", first)).rstrip("!.")
    if first[:1].isupper() and first[1:2].islower():
        first = first[0].lower() + first[1:]
    return _TYPE.sub(lambda found: _TYPES[found.group()], first)


def is_full(text: str) -> bool:
    """Whether a message means that no more can be written (also: a limit on file sizes)."""
    return _FULL.search(text) is not None


def _inner(text: str) -> str:
    """The message inside the JSON that errors of background writes come as."""
    start = text.find('{"exception_type"')
    if start < 0:
        return text
    try:
        document = json.JSONDecoder().raw_decode(text[start:])[0]
    except ValueError:
        return text
    return str(document.get("exception_message", text))
