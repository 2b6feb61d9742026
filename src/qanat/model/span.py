"""Spans of time of a fixed length, as queries have them, in microseconds."""

from __future__ import annotations

import re

_UNITS = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 7 * 86_400_000_000,
}
_SHORT = {"us": "microsecond", "ms": "millisecond", "s": "second", "sec": "second",
          "min": "minute", "m": "minute", "h": "hour", "d": "day", "w": "week"}  # fmt: skip
_PART = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([a-z]+)\s*")

UNITS = tuple(f"{unit.upper()}S" for unit in _UNITS)
"""The units of such spans, for messages."""


def microseconds(text: str) -> int | None:
    """A span of fixed length, as in `10 minutes` or `1 hour 30 seconds`; None if it is none.

    Months and years have no fixed length.

    >>> microseconds("1 minute 500 milliseconds"), microseconds("INTERVAL 2 DAYS")
    (60500000, 172800000000)
    >>> microseconds("1 month") is None
    True
    """
    rest = re.sub(r"^\s*interval\b", "", text.strip().lower()).replace("'", "")
    total, at = 0.0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        unit = _unit(part[2]) if part else None
        if part is None or unit is None:
            return None
        total += float(part[1]) * unit
        at = part.end()
    return int(total) if rest.strip() and total == int(total) else None


def _unit(name: str) -> int | None:
    known = _SHORT.get(name, name)
    return _UNITS.get(known) or _UNITS.get(known.rstrip("s"))
