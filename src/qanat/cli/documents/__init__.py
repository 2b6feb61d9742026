"""The documents of `--output json`: one object per command, stable within `"version": 1`.

Later releases may add keys; they rename or remove none without a new version. Times are
ISO 8601 in UTC, durations seconds, sizes bytes. An error is
`{"version": 1, "error": {…}, "problems": [{…}]}` with the facts of `ErrorFacts`; a command that
fails after it had a result prints the result.

`update` is for `qanat run`, `plan` for what it would do; `table` for whatever shows rows,
`history`, `events` (what one update told) and `lineage` for these, `crash` for
`qanat doctor --crash-test`, `project` for the other commands.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict

from qanat.errors import ProblemsError, QanatError

VERSION = 1

_UNSAFE = re.compile("[\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


class ErrorFacts(TypedDict):
    """What is known of an error. `code` is stable; `line` and `column` count from 1."""

    code: str
    error: str
    message: str
    file: str | None
    line: int | None
    column: int | None
    wanted: str | None
    got: str | None
    nearest: str | None
    hint: str | None


class FailureDocument(TypedDict):
    """A command that could not do its work. `problems` has all errors, `error` the first."""

    version: int
    error: dict[str, Any]
    problems: NotRequired[list[dict[str, Any]]]


def failure(error: QanatError) -> FailureDocument:
    """The document of an error."""
    if isinstance(error, ProblemsError) and error.problems:
        first, *_ = error.problems
        return {
            "version": VERSION,
            "error": first.facts(),
            "problems": [p.facts() for p in error.problems],
        }
    return {"version": VERSION, "error": error.facts()}


def moment(seconds: float) -> str:
    """A time since 1970 as ISO 8601 in UTC.

    >>> moment(0)
    '1970-01-01T00:00:00.000Z'
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def dumps(document: Any) -> str:
    r"""JSON text of a document, in Unicode; characters that steer a terminal are escaped.

    >>> dumps({"name": "caf\u00e9\x9b"})
    '{\n  "name": "café\\u009b"\n}'
    """
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return _UNSAFE.sub(lambda m: f"\\u{ord(m.group()):04x}", text)
