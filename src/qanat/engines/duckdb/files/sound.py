"""Which JSON texts are objects that DuckDB's functions can take; what is wrong with others."""

from __future__ import annotations

from typing import Any

from qanat.engines.duckdb.files.bound import METADATA, RESERVED, is_reserved
from qanat.engines.duckdb.files.twice import given_twice

_DEEPEST = 100
_LEVELS = 16


def _opened(text: str) -> str:
    """SQL for how many brackets a text opens."""
    # `translate` took ten times as long as two calls of `replace` (DuckDB 2.0).
    return f"(strlen({text}) - strlen(replace(replace({text}, '[', ''), '{{', '')))"


def too_deep(text: str) -> str:
    """SQL that is true if a JSON text may be nested too deeply for DuckDB's functions.

    Beyond 128 levels they fail so that the database must be closed. A text with few brackets
    cannot be that deep. In any other, the strings and then the innermost levels are removed, and
    it counts as too deep if many brackets are left.
    """
    bare = f"regexp_replace({text}, '\"(\\\\.|[^\"\\\\])*\"', '', 'g')"
    bare = f"regexp_replace({bare}, '[^\\[\\]{{}}]', '', 'g')"
    for _ in range(_LEVELS):
        bare = f"regexp_replace({bare}, '\\[\\]|\\{{\\}}', '', 'g')"
    few = f"strlen({text}) <= {2 * _DEEPEST} OR {_opened(text)} <= {_DEEPEST}"
    return f"(CASE WHEN {few} THEN false ELSE length({bare}) > {2 * _DEEPEST} END)"


# A key with a NUL character, at any depth: no table can have a column of that name.
NUL_KEY = (
    r"(CASE WHEN contains(text, '\u0000') THEN regexp_matches(text,"
    r""" '"([^"\\]|\\.)*\\u0000([^"\\]|\\.)*"\s*:') ELSE false END)"""
)
DIGITS = 4300
"""Digits of a number at most: Python refuses longer ones, and a DECIMAL has 38."""
ENDLESS = (
    # DuckDB computes both sides of an AND: CASE spares nearly all texts the pattern.
    f"(CASE WHEN strlen(text) > {DIGITS} THEN "
    "regexp_matches(text, '[:,\\[]\\s*-?[0-9.]{1000}') AND "
    "list_max(list_transform(regexp_extract_all(text, '[:,\\[]\\s*-?[0-9.]{1000,}'), "
    f"lambda n: len(n))) > {DIGITS} ELSE false END)"
)
ODDITIES = (
    f"WHEN {too_deep('text')} THEN 'nested too deeply' "
    f"WHEN {ENDLESS} THEN 'a number of more than {DIGITS} digits' "
    f"WHEN {NUL_KEY} THEN 'a key has a NUL character' "
)
"""SQL for what may be wrong with a `text` that is valid JSON: branches of a CASE."""
SOUND = "CASE WHEN NOT json_valid(text) THEN false ELSE json_type(text) = 'OBJECT' END"
"""SQL that is true for a `text` that is an object, where none is odd."""
OBJECT = (
    "CASE WHEN NOT json_valid(text) THEN false ELSE json_type(text) = 'OBJECT' "
    f"AND NOT {too_deep('text')} AND NOT {NUL_KEY} AND NOT coalesce({ENDLESS}, false) END"
)
"""SQL that is true for a `text` that is an object DuckDB's functions can take."""


def odd(text: str) -> str:
    """SQL that is true if one of `ODDITIES` may hold for a text; costs next to nothing.

    DuckDB takes 6 ms to plan those, more than to read the thousand rows of a small batch.
    """
    return (
        f"({_opened(text)} > {_DEEPEST} OR strlen({text}) > {DIGITS} "
        f"OR contains({text}, '\\u0000'))"
    )


_NAMELESS = "_"


def column_of(key: str) -> str:
    """The name of the column for a key that may be no name of a column.

    >>> column_of(""), column_of("_metadata"), column_of("id")
    ('_', 'key_metadata', 'id')
    """
    return f"key{key}" if is_reserved(key) else key or _NAMELESS


# The same in SQL, without case.
_LOWER = "lower(k)"
_SPELLING = (
    f"lambda k: CASE WHEN k = '' THEN '{_NAMELESS}' WHEN {_LOWER} = '{METADATA}' "
    f"OR starts_with({_LOWER}, '{RESERVED}') THEN concat('key', {_LOWER}) ELSE {_LOWER} END"
)


def fault_of(various: bool, structure: dict[str, Any], odd: bool) -> str:
    """SQL for what is wrong with a text, NULL when nothing is.

    Args:
        various: some keys were seen in several spellings (`a` and `A`).
        structure: what was seen of all keys.
        odd: whether one of `ODDITIES` may hold.
    """
    below = given_twice(structure)
    inner = f"WHEN {below} THEN 'a key of an inner object is given twice' " if below else ""
    keys = "json_keys(text)"
    # Comparing spellings costs as much as parsing: only where there are any.
    compared = f"list_transform({keys}, {_SPELLING})" if various else keys
    return (
        "CASE WHEN NOT json_valid(text) THEN 'not valid JSON' "
        "WHEN json_type(text) <> 'OBJECT' THEN 'not an object but ' || lower(json_type(text)) "
        f"{ODDITIES if odd else ''}"
        f"WHEN list_unique({compared}) < len({keys}) "
        "THEN 'a key is given twice (names are compared without case)' "
        f"{inner}END"
    )


def blank(text: str) -> str:
    """SQL that is true for a text of nothing but spaces."""
    # `trim` alone takes four times as long as a parser (DuckDB 2.0).
    return f"(CASE WHEN {text} < '!' THEN trim({text}) = '' ELSE false END)"
