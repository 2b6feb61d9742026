"""What fits a declared type, and becomes which value: the definition, written down once more.

A value fits if the type has exactly this value: for a double it is enough to be the nearest one,
except for whole numbers, which it has exactly or writes with the same digits. Texts are numbers
and moments as people write them.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, localcontext
from typing import Any


class _Mark(str):
    __slots__ = ()


MISFIT = _Mark("MISFIT")
"""Stands for a value that the type does not have."""
BEYOND = _Mark("BEYOND")
"""Stands for a moment that no type has: of other years than 1 to 9999, or too fine."""

_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_BOUNDS = {"long": 63, "integer": 31, "short": 15}
_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_MAX = Decimal(sys.float_info.max)


def fitted(value: Any, type_: str) -> Any:
    """A value in a type, by the type's name; MISFIT if it does not fit.

    Args:
        type_: as the model calls it; empty for the value's own.
    """
    if not type_ or value is None:
        return MISFIT if _misfits(value) else value
    if value is BEYOND:
        return BEYOND if type_ == "string" else MISFIT
    digits = re.fullmatch(r"decimal\(([0-9]+),([0-9]+)\)", type_)
    if digits:
        return _decimal(_number(value), int(digits[1]), int(digits[2]))
    return _TYPES[type_](value)


def _misfits(value: Any) -> bool:
    match value:
        case Mapping():
            return any(map(_misfits, value.values()))
        case list():
            return any(map(_misfits, value))
    return value is BEYOND


def _number(value: Any) -> Any:
    """The number that a value is or says; MISFIT for none, a float if it is not finite."""
    match value:
        case bool():
            return Decimal(value)
        case int() | Decimal():
            return Decimal(value)
        case Single():
            return _number(value.short)
        case float():
            return Decimal(repr(value)) if math.isfinite(value) else value
        case str() if _NUMBER.fullmatch(value):
            return Decimal(value.strip())
    return MISFIT


def _decimal(number: Any, precision: int, scale: int) -> Any:
    if not isinstance(number, Decimal):
        return MISFIT
    with localcontext(prec=400):
        scaled = number.scaleb(scale)
        whole = scaled == scaled.to_integral_value()
        return number if whole and abs(scaled) < 10**precision else MISFIT


def _whole(bits: int) -> Callable[[Any], Any]:
    def fit(value: Any) -> Any:
        number = _number(value)
        if not isinstance(number, Decimal) or number != number.to_integral_value():
            return MISFIT
        return int(number) if -(2**bits) <= number < 2**bits else MISFIT

    return fit


def _double(value: Any) -> Any:
    number = _number(value)
    if not isinstance(number, Decimal):
        return number
    if abs(number) > _MAX:
        return MISFIT
    nearest = float(number)
    if number and not nearest:
        return MISFIT
    kept = number in (Decimal(nearest), Decimal(repr(nearest)))
    if number == number.to_integral_value() and not kept:
        # A double is what it was; a whole number that is written is often a key.
        return value if isinstance(value, float) else MISFIT
    return value if isinstance(value, float) else nearest


def _string(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return value
        case datetime():
            text = value.replace(tzinfo=None).isoformat(" ")
            short = text.rstrip("0") if value.microsecond else text
            return short + ("+00" if value.tzinfo else "")
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case Single():
            return Spelled(value.short)
        case float():
            return Spelled(value)
    return str(value)


class Single(float):
    """A number of 32 bits."""

    @property
    def short(self) -> float:
        """The double with the shortest text that means this number."""
        texts = (f"{float(self):.{digits}g}" for digits in range(1, 10))
        return next((float(t) for t in texts if _as_single(t) == self), float(self))


def _as_single(text: str) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", float(text)))[0])
    except OverflowError:
        return math.inf


class Spelled(float):
    """A double whose text is wanted, however it is written."""


_SHORT = re.compile(r"^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)")
"""A day as people write it, maybe without the zeros that Python asks for."""


def _padded(day: re.Match[str]) -> str:
    return f"{day[1]}-{day[2]:0>2}-{day[3]:0>2}"


def _moment(value: Any, zoned: bool) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(_SHORT.sub(_padded, value))
        except ValueError:
            return MISFIT
    elif type(value) is date:
        value = datetime.combine(value, time())
    elif not isinstance(value, datetime):
        return MISFIT
    if value.tzinfo and not zoned:
        return MISFIT
    found = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return found if zoned else found.replace(tzinfo=None)


def _day(value: Any) -> Any:
    moment = _moment(value, False)
    if moment is MISFIT or moment.time() != time():
        return MISFIT
    return moment.date()


def _boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _TRUTH.get(value.lower(), MISFIT)
    number = _number(value)
    return bool(number) if number in (0, 1) else MISFIT


_TYPES: Mapping[str, Callable[[Any], Any]] = {
    **{name: _whole(bits) for name, bits in (("long", 63), ("integer", 31), ("short", 15))},
    "bigint": _whole(63),
    "int": _whole(31),
    "smallint": _whole(15),
    "double": _double,
    "string": _string,
    "date": _day,
    "timestamp_ntz": lambda value: _moment(value, False),
    "timestamp": lambda value: _moment(value, True),
    "boolean": _boolean,
}
