"""Converts typed values to other types without loss, and finds the common type of two."""

from __future__ import annotations

from qanat.engines.duckdb.files.cast import from_text
from qanat.engines.duckdb.typenames import is_finer, to_duckdb
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

_FLOATING = {Primitive("float"), Primitive("double")}


def holds(wide: DataType, narrow: DataType) -> bool:
    """True if every value of `narrow` is also a value of `wide`.

    >>> holds(Primitive("double"), Primitive("integer"))
    True
    >>> holds(Primitive("double"), Primitive("long"))
    False
    """
    if wide == narrow:
        return True
    match wide, narrow:
        case Primitive("string"), _:
            return narrow != Primitive("binary")
        case Primitive(a), Primitive(b):
            return b in WIDER.get(a, ())
        case Decimal(precision, scale), Primitive(name):
            return name in DIGITS and precision - scale >= DIGITS[name]
        case Decimal(p, s), Decimal(q, t):
            return s >= t and p - s >= q - t
        case Array(a_element), Array(b_element):
            return holds(a_element, b_element)
        case MapType(a_key, a_value), MapType(b_key, b_value):
            return a_key == b_key and holds(a_value, b_value)
        case Struct(a_fields), Struct(b_fields):
            mine = Named((f.name, f.type) for f in a_fields)
            return all(f.name in mine and holds(mine[f.name], f.type) for f in b_fields)
    return False


def common(a: DataType, b: DataType) -> DataType:
    """The narrowest type for the values of two types; string if there is no other.

    Whole numbers and doubles become double, though it cannot hold every long: `convert` finds the
    few values that it cannot hold.
    """
    if holds(a, b) and not (a == STRING != b):
        return a
    if holds(b, a) and not (b == STRING != a):
        return b
    match a, b:
        case Primitive(x), Primitive(y) if {x, y} <= {*DIGITS, "float", "double"}:
            return Primitive("double")
        case Decimal(p, s), Decimal(q, t):
            scale, whole = max(s, t), max(p - s, q - t)
            if scale + whole <= 38:
                return Decimal(scale + whole, scale)
        case Array(x_), Array(y_):
            return Array(common(x_, y_))
        case Struct(), Struct():
            return extend(a, b, widen=True)
    return STRING


def extend(a: DataType, b: DataType, *, widen: bool = False) -> DataType:
    """Type `a`, with the struct fields that only `b` has, at any depth.

    Args:
        widen: True gives fields of both types their common type; False keeps the type in `a`.
    """
    match a, b:
        case Struct(mine), Struct(theirs):
            by_name = Named((f.name, f) for f in theirs)
            fields = []
            for f in mine:
                other = by_name.pop(f.name, None)
                if other is None:
                    fields.append(f)
                else:
                    joined = common(f.type, other.type) if widen else extend(f.type, other.type)
                    fields.append(Field(f.name, joined, comment=f.comment))
            return Struct((*fields, *by_name.values()))
        case Array(x), Array(y):
            return Array(common(x, y) if widen else extend(x, y))
    return a


def as_wider(value: str, source: str, have: DataType, want: DataType) -> tuple[str, bool]:
    """SQL for a value of a column that gets a wider type, as `convert`.

    A number becomes the text that people write for it: the zeros behind its point come from the
    type, and a file would have said `10`.
    """
    if want == STRING and (isinstance(have, Decimal) or have in _FLOATING):
        text = f"CAST({value} AS VARCHAR)"
        return f"regexp_replace({text}, '(\\.[0-9]*[1-9])0+$|\\.0*$', '\\1')", False
    if want in _FLOATING and isinstance(have, Decimal):
        # `convert` is content with the nearest double.
        there = f"TRY_CAST({value} AS {to_duckdb(want)})"
        return f"CASE WHEN TRY_CAST({there} AS {source}) = {value} THEN {there} END", True
    return convert(value, source, have, want)


def convert(value: str, source: str, have: DataType, want: DataType) -> tuple[str, bool]:
    """SQL for a value in another type, and True if it is NULL for values that do not fit.

    Args:
        value: SQL of the value.
        source: its DuckDB type.
        have: its type in the model.
        want: the target type.
    """
    target = to_duckdb(want)
    if source == target:
        return value, False
    exact = have == want and not is_finer(source) and "HUGEINT" not in source
    if exact or (have != want and holds(want, have) and source == to_duckdb(have)):
        return f"CAST({value} AS {target})", False
    if source == "VARCHAR":
        return from_text(value, want), True
    if {type(have), type(want)} == {Decimal, Primitive} and {have, want} & _FLOATING:
        # The shortest text of a double is the number that was meant: 0.1, and not what is nearest.
        return from_text(f"CAST({value} AS VARCHAR)", want), True
    if want == Primitive("binary"):
        return f"TRY_CAST({value} AS {target})", True
    there = f"TRY_CAST({value} AS {target})"
    return f"CASE WHEN TRY_CAST({there} AS {source}) = {value} THEN {there} END", True
