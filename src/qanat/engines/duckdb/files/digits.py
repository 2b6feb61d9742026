r"""Numbers from their text, digit by digit, as SQL: a number that a type would change gives NULL.

DuckDB's casts round (`'1e-5'` to DECIMAL(10,2) is 0.00), skip underscores (`'1_0'` is 10) and turn
what is too large for a double into infinity. Here a text fits a number type if it is a number
(spaces around it, a sign, digits, a point, an exponent) and the type has exactly this number. For
a DOUBLE it is enough to be the nearest one, except for whole numbers, which are often keys: a
DOUBLE keeps one if it has it exactly, or writes it with the same digits (1e37).
"""

from __future__ import annotations

from qanat.engines.duckdb.files import plainly
from qanat.text import literal

# A cast of DuckDB takes all of these away; `\s` has no vertical tab.
_SPACES = r"[\s\v]*"
_EXPONENT = rf"^{_SPACES}([+-]?)([0-9]*)\.?([0-9]*)[eE]([+-]?)0*([0-9]{{1,4}}){_SPACES}$"
_HAS_EXPONENT = "[0-9.][eE][+-]?[0-9]"
# `517.0` counts as the whole number 517: pandas writes so if the column has missing values.
_WHOLE = rf"{_SPACES}[+-]?[0-9]+(\.0*)?{_SPACES}"
_NO_NUMBER = "('inf', '+inf', '-inf', 'infinity', '+infinity', '-infinity', 'nan')"
# Every whole number of so many digits is a double.
_SAFE = 15


def plain(text: str) -> str:
    """SQL for a number's text without an exponent; NULL if the text is no number with one.

    Args:
        text: SQL of type VARCHAR.
    """
    names = "['sign', 'whole', 'part', 'direction', 'power']"
    parts = f"regexp_extract({text}, '{_EXPONENT}', {names})"
    digits, power = "(m.whole || m.part)", "CAST(m.direction || m.power AS INTEGER)"
    places = f"(len(m.part) - {power})"
    padded = f"lpad({digits}, CAST(greatest(len({digits}), {places} + 1) AS INTEGER), '0')"
    return (
        f"list_transform([{parts}], lambda m: CASE WHEN {digits} = '' THEN NULL "
        f"WHEN {places} <= 0 THEN m.sign || {digits} || repeat('0', -{places}) "
        f"ELSE m.sign || left({padded}, -{places}) || '.' || right({padded}, {places}) END)[1]"
    )


def to_whole(text: str, target: str, cast: str) -> str:
    """SQL for a text as an integer of the DuckDB type `target`.

    Args:
        text: SQL of type VARCHAR.
        cast: SQL of DuckDB's cast of it, NULL where it fails.
    """
    expanded = _where("x", f"regexp_full_match(x, '{_WHOLE}')", target)
    others = _or_expanded(text, expanded)
    # From the cheapest to the dearest: the pattern is for `+1` and `1.0`.
    return (
        f"CASE WHEN {plainly.whole(text, cast, target)} THEN {cast} "
        f"WHEN CAST({cast} AS VARCHAR) = {text} THEN {cast} "
        f"WHEN regexp_full_match({text}, '{_WHOLE}') THEN {cast} {others} END"
    )


def to_decimal(
    text: str, target: str, cast: str, precision: int, scale: int, underscores: bool = True
) -> str:
    """SQL for a text as the DuckDB type `target`, a DECIMAL of that precision and scale.

    Args:
        text, cast: as for `to_whole`.
        underscores: False if it is known that the text has none.
    """
    behind = rf"(\.[0-9]{{0,{scale}}}0*)?" if scale else r"(\.0*)?"
    bare = rf"\.[0-9]{{1,{scale}}}0*" if scale else r"\.0+"
    form = literal(rf"{_SPACES}[+-]?([0-9]+{behind}|{bare}){_SPACES}")
    expanded = _where("x", f"regexp_full_match(x, {form})", target)
    proved = plainly.decimal(text, cast, precision, scale, underscores)
    # From the cheapest to the dearest.
    return (
        f"CASE WHEN {proved} THEN {cast} WHEN CAST({cast} AS VARCHAR) = {text} THEN {cast} "
        f"WHEN regexp_full_match({text}, {form}) THEN {cast} "
        f"{_or_expanded(text, expanded)} END"
    )


def to_double(text: str, target: str, cast: str, underscores: bool = True) -> str:
    """SQL for a text as the DuckDB type `target`, DOUBLE or FLOAT.

    Args:
        text, cast: as for `to_whole`.
        underscores: False if it is known that the text has none.
    """
    # Not zero where the text is not: 1e-400 is no double.
    kept = f"({cast} <> 0 OR NOT regexp_matches({text}, '^[^eE]*[1-9]'))"
    without = plainly.without(text, underscores)
    longest = _SAFE if target == "DOUBLE" else 6
    # Not of both: a whole number of more than 38 digits is no HUGEINT.
    exact = f"TRY_CAST({cast} AS HUGEINT) = TRY_CAST({text} AS HUGEINT)"
    same = f"{significant(text)} = {significant(f'CAST({cast} AS VARCHAR)')}"
    # From the cheapest to the dearest, each of its own: DuckDB 2.0 computes all parts of an AND
    # or OR below a NOT for every row.
    careful = (
        f"CASE WHEN NOT regexp_full_match({text}, '\\s*[+-]?[0-9]+\\s*') THEN {cast} "
        f"WHEN {exact} THEN {cast} WHEN {same} THEN {cast} END"
    )
    return (
        f"CASE WHEN strlen({text}) <= {longest} AND isfinite({cast}) AND {cast} <> 0{without} "
        f"THEN {cast} WHEN isfinite({cast}) THEN CASE WHEN {kept}{without} THEN {careful} END "
        f"WHEN lower(trim({text})) IN {_NO_NUMBER} THEN {cast} END"
    )


def _where(name: str, condition: str, target: str) -> str:
    return f"lambda {name}: CASE WHEN {condition} THEN TRY_CAST({name} AS {target}) END"


def _or_expanded(text: str, expanded: str) -> str:
    return (
        f"WHEN regexp_matches({text}, '{_HAS_EXPONENT}') "
        f"THEN list_transform([{plain(text)}], {expanded})[1]"
    )


def significant(number: str) -> str:
    """SQL for the digits of a number without the zeros around them."""
    return f"trim(translate(split_part(lower({number}), 'e', 1), '.-+ ', ''), '0')"


def canonical(text: str) -> str:
    """SQL for a number's text without exponent and needless zeros: equal numbers, equal texts."""
    expanded = f"CASE WHEN regexp_matches({text}, '[eE]') THEN {plain(text)} ELSE {text} END"
    short = "CASE WHEN contains(x, '.') THEN rtrim(rtrim(x, '0'), '.') ELSE x END"
    bare = f"lambda x: regexp_replace({short}, '^(-?)0+([0-9])', '\\1\\2')"
    return f"list_transform([{expanded}], {bare})[1]"
