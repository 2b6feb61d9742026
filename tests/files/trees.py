"""JSON objects as Python's `json` finds them, digit by digit, and whether others are the same."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from qanat.model.name import Names

_DEEPEST = 120
"""Brackets within brackets: Qanat calls more of them too deep."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object's keys and values."""


def number(rng: random.Random) -> str:
    """A number, written in one of many ways."""
    whole = str(rng.choice([0, 0, 7, 7, 12345, 2**53 + 1, 2**63, 2**64, 10**37, 10**40]))
    ends = ("", "", "", ".10", ".93", ".0", "e5", "E-3", "e+2", ".5e400", "e-400", ".123456789012")
    return rng.choice(["", "", "-"]) + whole + rng.choice(ends)


def parse(raw: bytes) -> dict[str, Any] | None:
    """The values of an object by column; None if it is no row."""
    try:
        pairs = json.loads(
            raw.decode(),
            parse_float=Number,
            parse_int=_whole,
            parse_constant=_refuse,
            object_pairs_hook=Pairs,
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, Pairs) or _depth(pairs) > _DEEPEST or _unusable(pairs):
        return None
    texts = "".join(_strings(pairs))
    if any("\ud800" <= c <= "\udfff" for c in texts):
        return None
    found = {_column(key): value for key, value in pairs}
    return found if len(Names(found)) == len(pairs) else None


def _refuse(text: str) -> None:
    raise ValueError(text)


def _whole(text: str) -> Number:
    # No whole number is -0, and DuckDB writes it without the sign.
    return Number("0" if text == "-0" else text)


def _column(key: str) -> str:
    """Keys that are no names of columns get others."""
    return "key_metadata" if key.lower() == "_metadata" else key or "_"


def _depth(value: Any) -> int:
    inner = [v for _, v in value] if isinstance(value, Pairs) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(inner, list) else 0


def _strings(value: Any) -> list[str]:
    match value:
        case Pairs():
            return [s for key, inner in value for s in (key, *_strings(inner))]
        case list():
            return [s for inner in value for s in _strings(inner)]
    return [value] if isinstance(value, str) else []


def _unusable(value: Any) -> bool:
    """True if an object has a key with a NUL character, or one twice."""
    match value:
        case Pairs():
            keys = [key for key, _ in value]
            mine = len(set(keys)) < len(keys) or any("\0" in key for key in keys)
            return mine or any(_unusable(inner) for _, inner in value)
        case list():
            return any(map(_unusable, value))
    return False


def same(wanted: Any, got: Any) -> bool:
    """True if a value that Qanat has read is `wanted`, or its text."""
    if isinstance(got, str):
        return _same_text(wanted, got)
    match wanted:
        case None | bool():
            return wanted is got
        case Number():
            return _same_number(Decimal(wanted), got)
        case Pairs():
            return isinstance(got, Mapping) and _same_fields(dict(wanted), got)
        case list():
            return (
                isinstance(got, list) and len(got) == len(wanted) and all(map(same, wanted, got))
            )
    return False


def _same_text(wanted: Any, got: str) -> bool:
    if isinstance(wanted, str):
        return str(wanted) == got
    try:
        tree = json.loads(got, parse_float=Number, parse_int=_whole, object_pairs_hook=Pairs)
    except ValueError:
        return False
    return wanted is not None and bool(tree == wanted)


def _same_number(wanted: Decimal, got: Any) -> bool:
    if isinstance(got, bool) or not isinstance(got, (int, float, Decimal)):
        return False
    return wanted == (Decimal(repr(got)) if isinstance(got, float) else got)


def _same_fields(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    """Fields that an object does not have are NULL."""
    return wanted.keys() <= got.keys() and all(same(wanted.get(k), v) for k, v in got.items())
