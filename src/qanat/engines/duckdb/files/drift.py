"""Wider types for columns whose new values do not fit the type that earlier files gave them.

A number takes a column of numbers to the next type that holds it: BIGINT, DECIMAL, DOUBLE, text;
a timestamp makes a column of days one of timestamps. Anything else makes the column text only if
that is what its new values are: more than half of them. A few such values are dirt, and wait in
quarantine as before. What decides is every value that does not fit, and not a sample.
"""

from __future__ import annotations

from collections.abc import Mapping

from qanat.engines.duckdb.files.infer import Seen
from qanat.frozen import Frozen
from qanat.model.inference import OWN, Inference
from qanat.model.name import Named
from qanat.model.schema import DIGITS, STRING, DataType, Decimal, Primitive, Schema
from qanat.planning.wider import PRECISION, SCALES

_FLOATING = (Primitive("double"), Primitive("float"))
_WHOLE = tuple(Primitive(name) for name in DIGITS)
_OTHERS = tuple(Primitive(name) for name in ("boolean", "timestamp", "timestamp_ntz"))


class Misfits(Frozen):
    """What a column's new values are like.

    Args:
        seen: those that do not fit.
        fitting: how many fit.
    """

    seen: Seen
    fitting: int

    @property
    def mostly(self) -> bool:
        """True if more than half of the values do not fit."""
        return self.seen.values > self.fitting


def wider_types(
    known: Schema, found: Mapping[str, Misfits], inference: Inference
) -> Named[DataType]:
    """The types that columns get, for those of them that get another.

    Args:
        known: the columns with their types.
        found: by name, what does not fit.
        inference: which types columns get that nobody declared.
    """
    columns = Named((f.name, f.type) for f in known.fields)
    types = (
        (name, wider_type(columns[name], misfits, inference)) for name, misfits in found.items()
    )
    return Named((name, type_) for name, type_ in types if type_ is not None)


def wider_type(have: DataType, misfits: Misfits, inference: Inference = OWN) -> DataType | None:
    """The type that a column gets for its new values; None if it keeps its own.

    >>> half = Seen(values=1, fixed=1, numbers=1, doubles=1, before=2, behind=1)
    >>> str(wider_type(Primitive("long"), Misfits(half, 3)))
    'decimal(38,6)'
    >>> wider_type(Primitive("long"), Misfits(Seen(values=1), 3)) is None
    True
    >>> str(wider_type(Primitive("long"), Misfits(Seen(values=4), 3)))
    'string'
    """
    seen = misfits.seen
    match have:
        case _ if have in (*_WHOLE, *_FLOATING) or isinstance(have, Decimal):
            alike = seen.numbers + seen.odd
            new = _number(have, seen) if alike else None
        case Primitive("date"):
            alike = seen.moments_by(inference).get(inference.local, 0)
            new = inference.local if alike else None
        case _ if have in _OTHERS:
            alike, new = 0, None
        case _:
            return None
    others = seen.values - alike
    if others > misfits.fitting + alike:
        return STRING
    return new


def _number(have: DataType, seen: Seen) -> DataType:
    """The type for numbers that a type of numbers does not hold."""
    if have in _WHOLE and seen.longs == seen.numbers and not seen.odd:
        return Primitive("long")
    if have == Primitive("float") and seen.doubles == seen.numbers + seen.odd:
        return Primitive("double")
    if seen.fixed == seen.numbers and not seen.odd:
        return _decimal(have, seen)
    # With an exponent, or `NaN`: a double, unless it would round.
    exact = seen.doubles == seen.numbers + seen.odd and have not in _FLOATING
    return Primitive("double") if exact else STRING


def _decimal(have: DataType, seen: Seen) -> DataType:
    """A DECIMAL for numbers without an exponent; text if none holds them."""
    before, behind = seen.before, seen.behind
    match have:
        case Decimal(_, scale):
            behind = max(behind, scale)
        case Primitive(name) if name in DIGITS:
            before = max(before, DIGITS[name])
    if behind == 0 and have not in _FLOATING:
        return Decimal(PRECISION, 0) if before <= PRECISION else STRING
    for scale in (*SCALES, behind):
        if behind <= scale <= PRECISION - before:
            return Decimal(PRECISION, scale)
    return STRING
