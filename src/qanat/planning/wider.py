"""Types for the values of two types: what a column becomes for which its own type is too narrow.

The order is that of Delta's type widening, with text at its end: whole numbers, decimals, doubles,
text; days, timestamps, text. Which of the types hold all values may depend on the values: who asks
takes the first that changes none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest

from qanat.model.name import Named
from qanat.model.schema import (
    DIGITS,
    STRING,
    WIDER,
    Array,
    DataType,
    Decimal,
    Field,
    MapType,
    Primitive,
    Struct,
)

PRECISION = 38
"""Digits of the widest DECIMAL."""

SCALES = (6, 12, 18, 24, 30)
"""Digits that an inferred DECIMAL may have behind its point: few, so that others have room."""

_WHOLE = ("byte", "short", "integer", "long")
_FLOATING = ("float", "double")


def wider(have: DataType, want: DataType) -> tuple[DataType, ...]:
    """The types that may hold the values of a column and of rows that come, best first.

    Empty if there is none: nothing but bytes is a value of BINARY.

    Args:
        have: the column's type.
        want: the type of the rows that come.

    >>> long, double = Primitive("long"), Primitive("double")
    >>> [str(t) for t in wider(long, Decimal(38, 6))]
    ['decimal(38,6)', 'string']
    >>> [str(t) for t in wider(long, double)]
    ['double', 'decimal(38,6)', 'decimal(38,12)', 'decimal(38,18)', 'string']
    >>> [str(t) for t in wider(Array(long), Array(STRING))]
    ['array<string>']
    """
    return tuple(dict.fromkeys(_wider(have, want)))


def _wider(have: DataType, want: DataType) -> Iterator[DataType]:
    if have == want:
        yield have
        return
    match have, want:
        case Array(mine, nulls), Array(theirs):
            yield from (Array(t, nulls) for t in _wider(mine, theirs))
        case MapType(key, mine, nulls), MapType(other, theirs) if key == other:
            yield from (MapType(key, t, nulls) for t in _wider(mine, theirs))
        case Struct(mine), Struct(theirs):
            yield from _structs(mine, theirs)
        case ((Primitive() | Decimal()), (Primitive() | Decimal())):
            if Primitive("binary") not in (have, want):
                yield from _leaves(have, want)
                yield STRING


def _structs(mine: tuple[Field, ...], theirs: tuple[Field, ...]) -> Iterator[Struct]:
    """Both types' fields; where several differ, all of them take their next type together."""
    coming = Named((f.name, f) for f in theirs)
    fields = [(f, coming.pop(f.name, None)) for f in mine]
    choices = [tuple(_wider(f.type, new.type)) if new else (f.type,) for f, new in fields]
    if not all(choices):
        return
    rest = tuple(replace(f, nullable=True) for f in coming.values())
    for types in zip_longest(*choices):
        chosen = (t or c[-1] for t, c in zip(types, choices, strict=True))
        kept = (replace(f, type=t) for (f, _), t in zip(fields, chosen, strict=True))
        yield Struct((*kept, *rest))


def _leaves(have: DataType, want: DataType) -> Iterator[DataType]:
    match have, want:
        case Primitive(a), Primitive(b) if {a, b} <= {*_WHOLE, *_FLOATING}:
            yield from _numbers(a, b)
        case Primitive(a), Primitive(b):
            # A day is also a timestamp; two kinds of timestamps have no type in common.
            yield from (t for t, n in ((want, a), (have, b)) if n in WIDER.get(_named(t), ()))
        case ((Decimal() | Primitive()), (Decimal() | Primitive())):
            yield from _decimals(have, want)


def _named(type_: DataType) -> str:
    """The name of a primitive type; empty for others."""
    return type_.name if isinstance(type_, Primitive) else ""


def _numbers(a: str, b: str) -> Iterator[DataType]:
    if {a, b} <= {*_WHOLE}:
        yield Primitive(max(a, b, key=_WHOLE.index))
        return
    if {a, b} <= {*_FLOATING}:
        yield Primitive("double")
        return
    # A double has not every whole number of 64 bits.
    yield Primitive("double")
    yield from (Decimal(PRECISION, s) for s in SCALES if PRECISION - s >= DIGITS["long"])


def _decimals(have: DataType, want: DataType) -> Iterator[DataType]:
    """The types of a decimal and another number."""
    pairs = [_digits(t) for t in (have, want)]
    known = [pair for pair in pairs if pair is not None]
    if len(known) == len(pairs):
        whole, scale = max(w for w, _ in known), max(s for _, s in known)
        yield Decimal(min(PRECISION, whole + scale), scale)
        return
    others = [t for t in (have, want) if not isinstance(t, Decimal)]
    if _named(others[0]) in _FLOATING:
        yield from (t for t in (have, want) if isinstance(t, Decimal))
        yield from (Decimal(PRECISION, s) for s in SCALES if s > known[0][1])
        yield Primitive("double")


def _digits(type_: DataType) -> tuple[int, int] | None:
    """How many digits numbers of a type have before the point and behind it, at most."""
    match type_:
        case Decimal(precision, scale):
            return precision - scale, scale
        case Primitive(name) if name in DIGITS:
            return DIGITS[name], 0
    return None
