"""The types of JSON values: what was seen in all rows, as types, and how to convert to others."""

from __future__ import annotations

import json
from typing import Any

from qanat.engines.duckdb.files.cast import ISO, Formats, from_text
from qanat.engines.duckdb.types import literal, to_duckdb
from qanat.model.schema import STRING, Array, DataType, Decimal, Field, MapType, Primitive, Struct

# A column with small positive and negative numbers is HUGEINT to DuckDB: what really goes beyond
# 64 bits is found out by the caller.
_SCALARS: dict[str, DataType] = {
    "BOOLEAN": Primitive("boolean"),
    "BIGINT": Primitive("long"),
    "UBIGINT": Primitive("long"),
    "HUGEINT": Primitive("long"),
    "DOUBLE": Primitive("double"),
}
_WHOLE = frozenset({"long", "integer", "short", "byte"})


def type_of(structure: Any) -> DataType:
    """The type for what `json_group_structure` saw; the JSON text where it saw several kinds.

    >>> str(type_of({"a": "UBIGINT", "b": [{"c": "JSON"}]}))
    'struct<a:bigint,b:array<struct<c:string>>>'
    """
    match structure:
        case str():
            return _SCALARS.get(structure, STRING)
        case [element]:
            return Array(type_of(element))
        case dict() if structure and _nameable(structure):
            return Struct(tuple(Field(k, type_of(v)) for k, v in structure.items()))
    return STRING


def _nameable(structure: dict[str, Any]) -> bool:
    # No query could tell `a` from `A`, or name a field without a name.
    return len({k.casefold() for k in structure}) == len(structure) and "" not in structure


def suits(structure: Any, type_: DataType) -> bool:
    """Whether all values that were seen convert to a type without loss, down to every leaf."""
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
    """A type as `json_transform` takes it (to be dumped as JSON)."""
    match type_:
        case Array(element):
            return [transform_spec(element)]
        case Struct(fields):
            return {f.name: transform_spec(f.type) for f in fields}
    return to_duckdb(type_)


def pointer(key: str) -> str:
    """SQL literal of the JSON pointer to a key.

    >>> pointer("a/b")
    "'/a~1b'"
    """
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))


def fits(value: str, type_: DataType, formats: Formats = ISO, depth: int = 0) -> str:
    """SQL: a JSON value converts to a type without loss, looked at leaf by leaf."""
    kind = f"coalesce(json_type({value}), 'NULL')"
    match type_:
        case Primitive("string"):
            return "true"
        case Struct(fields):
            names = ", ".join(literal(f.name) for f in fields)
            tests = [
                fits(f"({value} -> {pointer(f.name)})", f.type, formats, depth) for f in fields
            ]
            unknown = (
                f"len(list_filter(json_keys({value}), lambda k{depth}: "
                f"k{depth} NOT IN ({names}))) = 0"
            )
            inside = " AND ".join([unknown, *tests])
            return f"({kind} = 'NULL' OR ({kind} = 'OBJECT' AND {inside}))"
        case Array(element):
            one = fits(f"x{depth}", element, formats, depth + 1)
            bad = f"list_filter(CAST({value} AS JSON[]), lambda x{depth}: NOT {one})"
            return (
                f"CASE {kind} WHEN 'NULL' THEN true WHEN 'ARRAY' THEN len({bad}) = 0 "
                "ELSE false END"
            )
        case MapType(_, element):
            one = fits(f"x{depth}", element, formats, depth + 1)
            bad = f"list_filter(json_extract({value}, '$.*'), lambda x{depth}: NOT {one})"
            return (
                f"CASE {kind} WHEN 'NULL' THEN true WHEN 'OBJECT' THEN len({bad}) = 0 "
                "ELSE false END"
            )
    text = f"({value} ->> '$')"
    return f"({text} IS NULL OR {from_text(text, type_, formats)} IS NOT NULL)"


def converted(
    value: str, direct: str, structures: list[Any], type_: DataType, formats: Formats, long: bool
) -> str:
    """SQL for a JSON value in a type, NULL where it does not fit.

    Args:
        value: SQL of the JSON value; `direct` of what `json_transform` made of it.
        structures: what was seen of it, one for each spelling of its key.
        long: numbers of 19 digits and more were seen, so nothing is sure of long.
    """
    nested = isinstance(type_, (Struct, Array, MapType))
    if not nested:
        if type_ == STRING:
            return direct
        if all(_scalar(s, type_) for s in structures):
            return direct
        return from_text(f"({value} ->> '$')", type_, formats)
    if not long and all(suits(s, type_) for s in structures):
        return direct
    return f"CASE WHEN {fits(value, type_, formats)} THEN {direct} END"


def _scalar(structure: Any, type_: DataType) -> bool:
    """Whether `json_transform` gives the value or NULL, and never another value."""
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
    """A `json_transform` specification as SQL literal."""
    return literal(json.dumps(spec, ensure_ascii=False))


_DEEPEST = 100
_LEVELS = 16


def too_deep(text: str) -> str:
    """SQL: a JSON text may be nested deeper than DuckDB's functions can take (128 levels).

    Beyond that depth they fail so badly that the database must be closed. Texts with few brackets
    are fine at a glance. Of others the strings and then the innermost levels are taken away, and
    what is left may not have many brackets: exact for all but monsters.
    """
    opened = "(length({0}) - length(translate({0}, '[{{', '')))"
    bare = f"regexp_replace({text}, '\"(\\\\.|[^\"\\\\])*\"', '', 'g')"
    bare = f"regexp_replace({bare}, '[^\\[\\]{{}}]', '', 'g')"
    for _ in range(_LEVELS):
        bare = f"regexp_replace({bare}, '\\[\\]|\\{{\\}}', '', 'g')"
    few = f"strlen({text}) <= {2 * _DEEPEST} OR {opened.format(text)} <= {_DEEPEST}"
    return f"(CASE WHEN {few} THEN false ELSE length({bare}) > {2 * _DEEPEST} END)"
