"""The structure of JSON values: the types of what was found in all rows, and conversions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from qanat.engines.duckdb.files.cast import Formats, from_text
from qanat.engines.duckdb.files.infer import exact as exactly
from qanat.engines.duckdb.files.leaves import Path, is_shallow, leaves, pointer
from qanat.engines.duckdb.files.numbers import Mark
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.name import Named, Names
from qanat.model.schema import STRING, Array, DataType, Decimal, Field, MapType, Primitive, Struct
from qanat.text import literal, quote

# DuckDB calls a column with both positive and negative numbers HUGEINT, even if they are small;
# the caller finds out whether a number really needs more than 64 bits.
_SCALARS: dict[str, DataType] = {
    "BOOLEAN": Primitive("boolean"),
    "BIGINT": Primitive("long"),
    "UBIGINT": Primitive("long"),
    "HUGEINT": Primitive("long"),
    "DOUBLE": Primitive("double"),
}
Leaf: TypeAlias = Callable[[str, DataType], str]
"""SQL for the value of a leaf in a type, from SQL of the leaf; NULL if it does not fit."""

_WHOLE = frozenset({"long", "integer", "short", "byte"})


def type_of(
    structure: Any, exact: Mapping[Path, DataType] = MappingProxyType({}), path: Path = ()
) -> DataType:
    """The type for a structure of DuckDB's `json_group_structure`.

    Values of several kinds are kept as JSON text, and so are lists within many others.

    Args:
        exact: the types of leaves with numbers that DuckDB's own choice would change.
        path: where the structure is.

    >>> str(type_of({"a": "UBIGINT", "b": [{"c": "JSON"}]}))
    'struct<a:bigint,b:array<struct<c:string>>>'
    """
    match structure:
        case str():
            return exact.get(path) or _SCALARS.get(structure, STRING)
        case [element] if is_shallow((*path, None)):
            return Array(type_of(element, exact, (*path, None)))
        case dict() if structure and _nameable(structure):
            fields = (Field(k, type_of(v, exact, (*path, k))) for k, v in structure.items())
            return Struct(tuple(fields))
    return STRING


def _nameable(structure: dict[str, Any]) -> bool:
    # A query can neither tell `a` from `A` nor name a field with an empty name.
    return len(Names(structure)) == len(structure) and "" not in structure


def suits(structure: Any, type_: DataType) -> bool:
    """True if all values of a structure convert to a type without loss, down to every leaf."""
    match structure, type_:
        case "NULL", _:
            return True
        case _, Primitive("string"):
            return True
        case "BOOLEAN", Primitive("boolean"):
            return True
        case (("UBIGINT" | "BIGINT" | "HUGEINT"), Primitive("long")):
            return True
        case (("UBIGINT" | "BIGINT" | "HUGEINT"), Decimal(precision, scale)):
            return precision - scale >= 20
        case "DOUBLE", Primitive("double"):
            return True
        case [element], Array(wanted):
            return suits(element, wanted)
        case dict(), Struct(fields):
            types = {f.name: f.type for f in fields}
            return all(k in types and suits(v, types[k]) for k, v in structure.items())
    return False


def transform_spec(type_: DataType) -> Any:
    """A type as a specification for DuckDB's `json_transform`; `dump` makes SQL of it."""
    match type_:
        case Array(element):
            return [transform_spec(element)]
        case Struct(fields):
            return {f.name: transform_spec(f.type) for f in fields}
    return to_duckdb(type_)


def fits(value: str, type_: DataType, leaf: Leaf, depth: int = 0) -> str:
    """SQL that is true if a JSON value converts to a type without loss, down to every leaf.

    Args:
        value: SQL of the JSON value.
        type_: the target type.
        leaf: what converts a leaf.
        depth: of nesting so far; makes the names of lambda parameters unique.
    """
    kind = f"coalesce(json_type({value}), 'NULL')"
    match type_:
        case Primitive("string"):
            return "true"
        case Struct(fields):
            names = ", ".join(literal(f.name) for f in fields)
            tests = [fits(f"({value} -> {pointer(f.name)})", f.type, leaf, depth) for f in fields]
            unknown = (
                f"len(list_filter(json_keys({value}), lambda k{depth}: "
                f"k{depth} NOT IN ({names}))) = 0"
            )
            inside = " AND ".join([unknown, *tests])
            return f"({kind} = 'NULL' OR ({kind} = 'OBJECT' AND {inside}))"
        case Array(element):
            one = fits(f"x{depth}", element, leaf, depth + 1)
            bad = f"list_filter(CAST({value} AS JSON[]), lambda x{depth}: NOT {one})"
            return (
                f"CASE {kind} WHEN 'NULL' THEN true WHEN 'ARRAY' THEN len({bad}) = 0 "
                "ELSE false END"
            )
        case MapType(_, element):
            one = fits(f"x{depth}", element, leaf, depth + 1)
            bad = f"list_filter(json_extract({value}, '$.*'), lambda x{depth}: NOT {one})"
            return (
                f"CASE {kind} WHEN 'NULL' THEN true WHEN 'OBJECT' THEN len({bad}) = 0 "
                "ELSE false END"
            )
    return f"(({value} ->> '$') IS NULL OR {leaf(value, type_)} IS NOT NULL)"


def built(value: str, type_: DataType, leaf: Leaf, formats: Formats, depth: int = 0) -> str:
    """SQL for a value that `fits` a type, made of its texts leaf by leaf.

    DuckDB's `json_transform` is faster, but rounds, and knows no formats.

    Args:
        value, type_, leaf, depth: see `fits`.
        formats: how dates and timestamps are written in the keys of maps.
    """
    kind = f"coalesce(json_type({value}), 'NULL')"
    match type_:
        case Struct(fields):
            parts = ", ".join(
                f"{quote(f.name)}: "
                + built(f"({value} -> {pointer(f.name)})", f.type, leaf, formats, depth)
                for f in fields
            )
            return f"CASE {kind} WHEN 'OBJECT' THEN {{{parts}}} END"
        case Array(element):
            one = built(f"x{depth}", element, leaf, formats, depth + 1)
            return (
                f"CASE {kind} WHEN 'ARRAY' "
                f"THEN list_transform(CAST({value} AS JSON[]), lambda x{depth}: {one}) END"
            )
        case MapType(key, element):
            k = f"k{depth}"
            place = f"'/' || replace(replace({k}, '~', '~0'), '/', '~1')"
            one = built(f"({value} -> ({place}))", element, leaf, formats, depth + 1)
            entry = f"{{'k': {from_text(k, key, formats)}, 'v': {one}}}"
            entries = f"list_transform(json_keys({value}), lambda {k}: {entry})"
            return f"CASE {kind} WHEN 'OBJECT' THEN map_from_entries({entries}) END"
    return leaf(value, type_)


def converted(
    value: str,
    direct: str,
    structures: list[Any],
    type_: DataType,
    formats: Formats,
    mark: Mark,
    inferred: bool = False,
) -> str:
    """SQL for a JSON value in a type; NULL if it does not fit.

    Args:
        value: SQL of the JSON value.
        direct: SQL of what `json_transform` made of it.
        structures: the structures found, one for each spelling of the value's key.
        type_: the target type.
        formats: how dates and timestamps are written.
        mark: that numbers have, because `json_transform` might change one.
        inferred: True if nobody chose the type, so that no value may be rounded to it.
    """
    exact, cast = bool(mark.sign), from_inferred if inferred else from_text

    def leaf(value: str, type_: DataType) -> str:
        return cast(mark.shown(value), type_, formats)

    if not isinstance(type_, (Struct, Array, MapType)):
        if not exact and (type_ == STRING or all(_scalar(s, type_) for s in structures)):
            return direct
        return leaf(value, type_)
    if not exact and all(suits(s, type_) for s in structures):
        return direct
    made = f"CAST({built(value, type_, leaf, formats)} AS {to_duckdb(type_)})"
    return f"CASE WHEN {fits(value, type_, leaf)} THEN {made} END"


def from_inferred(text: str, type_: DataType, formats: Formats, cast: str | None = None) -> str:
    """SQL for a text in a type that was inferred, as `from_text` for a declared one.

    Args:
        cast: as for `from_text`.

    A DOUBLE has to show each number as it was written, and only `true` and `false` are BOOLEAN.
    """
    strict = type_ in (Primitive("double"), Primitive("boolean"))
    return (exactly if strict else from_text)(text, type_, formats, cast)


def changes(structure: Any, type_: DataType, rounded: bool) -> bool:
    """True if `json_transform` might give a type other numbers than those that were written.

    Args:
        rounded: some of them have more digits than a double.
    """
    match structure, type_:
        case [element], Array(wanted):
            return changes(element, wanted, rounded)
        case dict(), Struct(fields):
            types = Named((f.name, f.type) for f in fields)
            return any(changes(v, types.get(k, STRING), rounded) for k, v in structure.items())
        case dict(), MapType(_, wanted):
            return any(changes(v, wanted, rounded) for v in structure.values())
    kinds = {kind for _, kind in leaves(structure)} & {"DOUBLE", "JSON"}
    # Text shows how a number was written: 1.10 is not 1.1.
    if type_ == STRING or not kinds:
        return bool(kinds)
    # The caller knows of doubles alone whether any of them is strained.
    return rounded and (type_ != Primitive("double") or "JSON" in kinds)


def _scalar(structure: Any, type_: DataType) -> bool:
    """True if DuckDB's `json_transform` gives the value itself or NULL, and no other value."""
    match structure, type_:
        case "NULL", _:
            return True
        case (("UBIGINT" | "BIGINT" | "HUGEINT"), Primitive(name)):
            return name in _WHOLE
        case (("UBIGINT" | "BIGINT" | "HUGEINT"), Decimal(_, 0)):
            return True
        case "DOUBLE", Primitive("double"):
            return True
        case "BOOLEAN", Primitive("boolean"):
            return True
    return False


def dump(spec: Any) -> str:
    """A specification for `json_transform` as an SQL literal."""
    return literal(json.dumps(spec, ensure_ascii=False))
