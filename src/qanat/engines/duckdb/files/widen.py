"""Converts typed values to other types without loss, and finds the common type of two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

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
from qanat.text import literal, quote

_LOCAL = (Primitive("date"), Primitive("timestamp_ntz"))
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
        text = _text(value, have)
        return f"regexp_replace({text}, '(\\.[0-9]*[1-9])0+$|\\.0*$', '\\1')", False
    if (inside := _inside(value, source, have, want, as_wider)) is not None:
        return inside
    if want in _FLOATING and isinstance(have, Decimal):
        # `convert` is content with the nearest double.
        there = f"TRY_CAST({value} AS {to_duckdb(want)})"
        return f"CASE WHEN TRY_CAST({there} AS {source}) = {value} THEN {there} END", True
    return convert(value, source, have, want)


def _text(value: str, have: DataType) -> str:
    """SQL for the text of a number; what is none is spelled as in JSON and most CSV files."""
    text = f"CAST({value} AS VARCHAR)"
    if have not in _FLOATING:
        return text
    spelled = "WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'"
    return f"CASE {text} {spelled} ELSE {text} END"


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
    if want == STRING and have in _FLOATING and source == to_duckdb(have):
        return _text(value, have), False
    if exact or (have != want and holds(want, have) and source == to_duckdb(have)):
        return f"CAST({value} AS {target})", False
    if source == "VARCHAR":
        return from_text(value, want), True
    if have == Primitive("timestamp") and want in _LOCAL:
        # A moment is no day or time of an unknown place: as in texts, an offset fits neither.
        return f"CAST(NULL AS {target})", True
    if {type(have), type(want)} == {Decimal, Primitive} and {have, want} & _FLOATING:
        # The shortest text of a double is the number that was meant: 0.1, and not what is nearest.
        return from_text(f"CAST({value} AS VARCHAR)", want), True
    if want == Primitive("binary"):
        return f"TRY_CAST({value} AS {target})", True
    if (inside := _inside(value, source, have, want, convert)) is not None:
        return inside
    there = f"TRY_CAST({value} AS {target})"
    return f"CASE WHEN TRY_CAST({there} AS {source}) = {value} THEN {there} END", True


_Leaf: TypeAlias = Callable[[str, str, DataType, DataType], tuple[str, bool]]


def _inside(
    value: str, source: str, have: DataType, want: DataType, leaf: _Leaf
) -> tuple[str, bool] | None:
    """SQL for a list, struct or map in another type, leaf by leaf; None where it has no leaves.

    DuckDB casts such a value as a whole, and its leaves by other rules: the DOUBLE
    0.30000000000000004 in a list becomes the DECIMAL 0.300000000000000064.

    Args:
        leaf: what converts a leaf.
    """
    # DuckDB calls a type by another name than the one that it takes.
    known = source.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    if not isinstance(have, Array | Struct | MapType) or known != to_duckdb(have):
        return None
    found = _made(value, have, want, leaf, 0)
    if found is None:
        return None
    made, wrong = found
    made = f"CAST({made} AS {to_duckdb(want)})"
    return (f"CASE WHEN NOT coalesce({wrong}, false) THEN {made} END", True) if wrong else (
        made, False
    )  # fmt: skip


def _made(
    value: str, have: DataType, want: DataType, leaf: _Leaf, depth: int
) -> tuple[str, str | None] | None:
    """SQL for a value in another type, and what is true if a leaf does not fit.

    Args:
        depth: of lists so far; makes the names of lambda parameters unique.

    Returns:
        None if the types are not built alike; no second text if all leaves fit.
    """
    match have, want:
        case Array(mine), Array(theirs):
            each = f"e{depth}"
            return _of_list(value, each, _made(each, mine, theirs, leaf, depth + 1))
        case MapType(key, mine), MapType(other, theirs) if key == other:
            each = f"e{depth}"
            found = _made(f"{each}.value", mine, theirs, leaf, depth + 1)
            if found is None:
                return None
            entry = f"{{'key': {each}.key, 'value': {found[0]}}}"
            entries = _of_list(f"map_entries({value})", each, (entry, found[1]))
            return entries and (f"map_from_entries({entries[0]})", entries[1])
        case Struct(fields), Struct(wanted):
            return _of_struct(value, fields, wanted, leaf, depth)
        case ((Primitive() | Decimal()), (Primitive() | Decimal())):
            made, checked = leaf(value, to_duckdb(have), have, want)
            return made, f"({value} IS NOT NULL AND ({made}) IS NULL)" if checked else None
    return None


def _of_list(
    value: str, each: str, found: tuple[str, str | None] | None
) -> tuple[str, str | None] | None:
    if found is None:
        return None
    made, wrong = found
    bad = f"len(list_filter({value}, lambda {each}: {wrong})) > 0" if wrong else None
    return f"list_transform({value}, lambda {each}: {made})", bad


def _of_struct(
    value: str,
    fields: tuple[Field, ...],
    wanted: tuple[Field, ...],
    leaf: _Leaf,
    depth: int,
) -> tuple[str, str | None] | None:
    mine = Named((f.name, f) for f in fields)
    parts, wrong = [], []
    for field in wanted:
        before = mine.pop(field.name, None)
        made = f"CAST(NULL AS {to_duckdb(field.type)})"
        if before is not None:
            inner = f"struct_extract({value}, {literal(before.name)})"
            found = _made(inner, before.type, field.type, leaf, depth)
            if found is None:
                return None
            made = found[0]
            wrong += [f"coalesce({found[1]}, false)"] if found[1] else []
        parts.append(f"{quote(field.name)}: {made}")
    if mine:
        return None
    whole = f"CASE WHEN {value} IS NOT NULL THEN {{{', '.join(parts)}}} END"
    return whole, f"({' OR '.join(wrong)})" if wrong else None
