"""Columns by what can be asked of them: numbers, moments, texts, nested values and others."""

from __future__ import annotations

from enum import Enum

from qanat.frozen import Frozen
from qanat.model.schema import Array, Decimal, Field, MapType, Primitive, Struct
from qanat.text import quote

_WHOLE = frozenset({"long", "integer", "short", "byte"})
_REAL = frozenset({"float", "double"})
_MOMENTS = frozenset({"date", "timestamp", "timestamp_ntz"})

# Squares of larger numbers do not fit into a DOUBLE, and DuckDB refuses to compute with them.
# NaN is greater than any number there, so that this leaves out NaN and infinities as well.
LARGEST = "1e150"


class Kind(Enum):
    """What a column holds."""

    WHOLE = "whole numbers"
    DECIMAL = "decimal numbers"
    REAL = "floating-point numbers"
    MOMENT = "dates or times"
    TEXT = "text"
    NESTED = "lists, maps or structs"
    OTHER = "booleans or bytes"


class Column(Frozen):
    """A column, and the SQL that stands for its value.

    Args:
        at: its number, which names what is asked about it.
    """

    at: int
    field: Field
    kind: Kind

    @property
    def name(self) -> str:
        """Quoted."""
        return quote(self.field.name)

    @property
    def value(self) -> str:
        """What is compared and counted: nested values by their text."""
        return f"CAST({self.name} AS VARCHAR)" if self.kind is Kind.NESTED else self.name

    @property
    def numeric(self) -> bool:
        """True of numbers."""
        return self.kind in (Kind.WHOLE, Kind.DECIMAL, Kind.REAL)

    @property
    def measured(self) -> bool:
        """True if values have distances: of numbers and moments."""
        return self.numeric or self.kind is Kind.MOMENT

    @property
    def ordered(self) -> bool:
        """True if there are a lowest and a highest value worth showing."""
        return self.kind is not Kind.NESTED

    def number(self, value: str) -> str:
        """A value of the column as a finite DOUBLE, or NULL: moments as seconds since 1970."""
        if self.kind is Kind.MOMENT:
            return f"CASE WHEN isfinite({value}) THEN epoch({value}) END"
        number = f"CAST({value} AS DOUBLE)"
        if self.kind is Kind.REAL:
            return f"CASE WHEN abs({number}) < {LARGEST} THEN {number} END"
        return number


def column_of(at: int, field: Field) -> Column:
    """A column of a schema."""
    return Column(at, field, _kind(field))


def _kind(field: Field) -> Kind:
    type_ = field.type
    if isinstance(type_, Decimal):
        return Kind.DECIMAL if type_.scale else Kind.WHOLE
    if isinstance(type_, Array | MapType | Struct):
        return Kind.NESTED
    return _kind_of(type_)


def _kind_of(type_: Primitive) -> Kind:
    if type_.name in _WHOLE:
        return Kind.WHOLE
    if type_.name in _REAL:
        return Kind.REAL
    if type_.name in _MOMENTS:
        return Kind.MOMENT
    return Kind.TEXT if type_.name == "string" else Kind.OTHER
