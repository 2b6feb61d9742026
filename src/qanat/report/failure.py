"""Errors as documents, and the text of any document; imported by every command."""

from __future__ import annotations

import json
import re
from typing import Any

from qanat.errors import QanatError
from qanat.report.version import VERSION

_UNSAFE = "[\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"


def failure(error: QanatError) -> dict[str, Any]:
    """The document of an error."""
    told: dict[str, Any] = {"version": VERSION, "error": error.facts()}
    if error.problems != (error,):
        told["problems"] = [p.facts() for p in error.problems]
    return told


def dumps(document: Any) -> str:
    r"""JSON text of a document, in Unicode; characters that steer a terminal are escaped.

    >>> dumps({"name": "caf\u00e9\x9b"})
    '{\n  "name": "café\\u009b"\n}'
    """
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return re.sub(_UNSAFE, lambda m: f"\\u{ord(m.group()):04x}", text)
