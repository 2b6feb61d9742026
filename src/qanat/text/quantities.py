"""Sizes and durations as people write them: one parser for each, for every setting and option."""

from __future__ import annotations

import re
from decimal import Decimal

SIZE = "a size such as 2GB or 512MiB"
"""What an error says was wanted."""
DURATION = "a duration such as 30s, 5 minutes or 1h 30m"
"""What an error says was wanted."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(i?)(b?)|bytes?)", re.IGNORECASE | re.ASCII)
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "w": Decimal(604_800),
}
_UNITS = {
    "millisecond": "ms",
    "second": "s",
    "sec": "s",
    "minute": "m",
    "min": "m",
    "hour": "h",
    "hr": "h",
    "day": "d",
    "week": "w",
}


def parse_size(text: str) -> int:
    """Bytes of a size.

    `kB`, `MB`, `GB` and `TB` are powers of 1000, `KiB`, `MiB`, `GiB` and `TiB` powers of 1024. A
    letter alone (`10g`) is a power of 1024, as Spark's options have it. A number without a unit
    is bytes. Case and spaces do not matter; a fraction of a byte is cut off.

    Raises:
        ValueError: it is none; the message says what is wanted.

    >>> parse_size("512MiB"), parse_size("1.5 GB"), parse_size("10g"), parse_size("4096")
    (536870912, 1500000000, 10737418240, 4096)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(SIZE)
    number, letter, binary, byte = match.groups(default="")
    if binary and not (letter and byte):
        raise ValueError(SIZE)
    alone = bool(letter) and not byte
    power = _POWERS[letter.lower()]
    return int(Decimal(number) * (1024 if binary or alone else 1000) ** power)


def parse_duration(text: str) -> float:
    """Seconds of a duration.

    One or more numbers, each with a unit: `ms`, `s`, `m`, `h`, `d`, `w` or the word for it
    (`30 seconds`, `5 min`, `1 hour`). A single number without a unit is seconds.

    Raises:
        ValueError: it is none; the message says what is wanted.

    >>> parse_duration("500ms"), parse_duration("1h 30m"), parse_duration("10 seconds")
    (0.5, 5400.0, 10.0)
    """
    stripped = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", stripped, re.ASCII):
        return float(stripped)
    seconds, end = Decimal(0), 0
    for part in _PART.finditer(stripped):
        unit = _unit(part[2].lower())
        if part.start() != end or unit is None:
            raise ValueError(DURATION)
        seconds += Decimal(part[1]) * _SECONDS[unit]
        end = part.end()
    if end == 0 or end != len(stripped):
        raise ValueError(DURATION)
    return float(seconds)


def _unit(word: str) -> str | None:
    if word in _SECONDS:
        return word
    return _UNITS.get(word.removesuffix("s"))
