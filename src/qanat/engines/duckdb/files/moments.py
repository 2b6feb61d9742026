r"""Days and times from their text, as SQL: a text of which the type would lose a part gives NULL.

DuckDB's casts drop an offset, the time of day of a date, and digits beyond microseconds; they take
years that neither Python nor the table formats have, `infinity`, `epoch`, and `24-01-02` for a day
of the year 24.
"""

from __future__ import annotations

import re

from qanat.engines.duckdb.files import plainly
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.schema import Array, DataType, MapType, Primitive, Struct
from qanat.text import literal, quote

_MOMENTS = frozenset(Primitive(name) for name in ("date", "timestamp", "timestamp_ntz"))
# What Python and the table formats have of time.
_FIRST, _LAST = "0001-01-01", "9999-12-31"
# Anything behind the time of day: an offset, the name of a zone.
_BEHIND_CLOCK = r":.*[^0-9:.\s]"
_FINER = r"\.[0-9]{6}0*[1-9]"
_YEAR = "(^|[^0-9])0[0-9]{3}"
"""A year before 1000 in a text; with fewer digits it is rather one of this century."""


def to_day(text: str, pattern: str | None, day: str) -> str:
    """SQL for a text as a DATE.

    Args:
        text: SQL of type VARCHAR.
        pattern: in which it is written, in the letters of strftime; None for ISO 8601.
        day: SQL of DuckDB's cast of it, NULL where it fails; not used with a pattern.
    """
    if pattern:
        moment = f"try_strptime({text}, {literal(pattern)})"
        day = f"CAST({moment} AS DATE)"
        # A time of day or an offset in the text would be lost.
        whole = f"{moment} = {day}" if "%z" not in pattern.lower() else "false"
        return f"CASE WHEN {_within(day, 'DATE', text, pattern)} AND {whole} THEN {day} END"
    moment = f"TRY_CAST({text} AS TIMESTAMP)"
    return (
        f"CASE WHEN {plainly.day(text, day)} THEN {day} WHEN {_within(day, 'DATE', text)} "
        f"AND (NOT contains({text}, ':') OR (date_trunc('day', {moment}) = {moment} "
        f"AND NOT regexp_matches({text}, '{_BEHIND_CLOCK}'))) THEN {day} END"
    )


def to_moment(text: str, target: str, pattern: str | None) -> str:
    """SQL for a text as the DuckDB type `target`, TIMESTAMP or TIMESTAMPTZ.

    Args:
        text: SQL of type VARCHAR.
        target: the type; a TIMESTAMP has no place for an offset.
        pattern: in which it is written, in the letters of strftime; None for ISO 8601.
    """
    zoneless = target == "TIMESTAMP"
    if pattern:
        parsed = f"try_strptime({text}, {literal(pattern)})"
        cast = f"CAST({parsed} AS {target})"
        kept = "false" if zoneless and "%z" in pattern.lower() else "true"
        if "%n" in pattern:
            kept += f" AND epoch_ns({parsed}) % 1000 = 0"
        return f"CASE WHEN {kept} AND {_within(cast, target, text, pattern)} THEN {cast} END"
    lost = f"{_BEHIND_CLOCK}|{_FINER}" if zoneless else _FINER
    cast = f"TRY_CAST({text} AS {target})"
    return (
        f"CASE WHEN {_within(cast, target, text)} AND (CAST({cast} AS VARCHAR) = {text} "
        f"OR NOT regexp_matches({text}, '{lost}')) THEN {cast} END"
    )


def known(value: str, target: str) -> str:
    """SQL that is true for a moment in the years 1 to 9999: others break what reads tables.

    Args:
        value: SQL of the DuckDB type `target`: DATE, TIMESTAMP or TIMESTAMPTZ.
    """
    end = f"{target} '{_LAST} 23:59:59.999999'" if target != "DATE" else f"DATE '{_LAST}'"
    return f"{value} BETWEEN {target} '{_FIRST}' AND {end}"


def has_moments(type_: DataType) -> bool:
    """True if values of a type are days or times, or have some in them."""
    match type_:
        case Array(element):
            return has_moments(element)
        case MapType(key, value):
            return has_moments(key) or has_moments(value)
        case Struct(fields):
            return any(has_moments(f.type) for f in fields)
    return type_ in _MOMENTS


def all_known(value: str, type_: DataType, depth: int = 0) -> str:
    """SQL that is true if no moment in a value is outside the years 1 to 9999 (see `known`).

    Args:
        value: SQL of the value.
        type_: its type.
        depth: of nesting so far; makes the names of lambda parameters unique.
    """
    if not has_moments(type_):
        return "true"
    match type_:
        case Array(element):
            inside = all_known(f"m{depth}", element, depth + 1)
            return f"coalesce(len(list_filter({value}, lambda m{depth}: NOT {inside})), 0) = 0"
        case MapType(key, element):
            keys = all_known(f"map_keys({value})", Array(key), depth)
            return f"({keys} AND {all_known(f'map_values({value})', Array(element), depth)})"
        case Struct(fields):
            parts = (all_known(f"({value}).{quote(f.name)}", f.type, depth) for f in fields)
            return f"({' AND '.join(parts)})"
    return f"coalesce({known(value, to_duckdb(type_))}, true)"


def _within(value: str, target: str, text: str, pattern: str | None = None) -> str:
    """SQL that is true for a moment in the years 1 to 9999, all of whose year is in the text."""
    inside = known(value, target)
    # The only word that DuckDB takes for a day of this range.
    first = f"{target} '1970-01-01'"
    kept = f"{inside} AND ({value} <> {first} OR NOT contains(lower({text}), 'epoch'))"
    if pattern and not re.search("%[YGcx]", pattern):
        return f"({kept})"
    old = f"{value} >= {target} '1000-01-01' OR regexp_matches({text}, '{_YEAR}')"
    return f"({kept} AND ({old}))"
