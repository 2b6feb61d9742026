"""Rows as CSV (RFC 4180), one line at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from qanat.report.shape import Shapes

_SPECIAL = re.compile(r'[",\r\n]')
_PLAIN = Shapes().plain


def csv_header(names: Iterable[str]) -> str:
    """The first line.

    >>> csv_header(["id", "first, last"])
    'id,"first, last"'
    """
    return ",".join(_quoted(name) for name in names)


def csv_lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    r"""Rows, each without its line end.

    Values are written as in JSON documents: decimals with all their digits, times as ISO 8601,
    binary as base64; structs, lists and maps as JSON text. A missing value is nothing at all, an
    empty text is `""`.

    >>> list(csv_lines([(1, None), (2, ""), (3, 'a "b", c')]))
    ['1,', '2,""', '3,"a ""b"", c"']
    """
    for row in rows:
        yield ",".join([_WRITERS.get(type(value), _text)(value) for value in row])


def _text(value: Any) -> str:
    plain = _PLAIN(value)
    if isinstance(plain, dict | list):
        plain = json.dumps(plain, ensure_ascii=False)
    return _quoted(plain if isinstance(plain, str) else repr(plain))


def _quoted(text: str) -> str:
    if text and not _SPECIAL.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


# Most values are of these types, and a large table has many: the rest takes a longer way.
_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda value: "true" if value else "false",
    int: str,
    Decimal: str,
    str: _quoted,
    date: date.isoformat,
}
