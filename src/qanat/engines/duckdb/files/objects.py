"""What is wrong with a text that is to be an object, and the names of columns for its keys."""

from __future__ import annotations

from typing import Any

from qanat.engines.duckdb.files.bound import METADATA, RESERVED, is_reserved
from qanat.engines.duckdb.files.structure import DIGITS, ENDLESS, NUL_KEY, too_deep
from qanat.engines.duckdb.files.twice import given_twice

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


def fault_of(various: bool, structure: dict[str, Any]) -> str:
    """SQL for what is wrong with a text, NULL when nothing is.

    Args:
        various: some keys were seen in several spellings (`a` and `A`).
        structure: what was seen of all keys.
    """
    below = given_twice(structure)
    inner = f"WHEN {below} THEN 'a key of an inner object is given twice' " if below else ""
    keys = "json_keys(text)"
    # Comparing spellings costs as much as parsing: only where there are any.
    compared = f"list_transform({keys}, {_SPELLING})" if various else keys
    return (
        "CASE WHEN NOT json_valid(text) THEN 'not valid JSON' "
        "WHEN json_type(text) <> 'OBJECT' THEN 'not an object but ' || lower(json_type(text)) "
        f"WHEN {too_deep('text')} THEN 'nested too deeply' "
        f"WHEN {ENDLESS} THEN 'a number of more than {DIGITS} digits' "
        f"WHEN {NUL_KEY} THEN 'a key has a NUL character' "
        f"WHEN list_unique({compared}) < len({keys}) "
        "THEN 'a key is given twice (names are compared without case)' "
        f"{inner}END"
    )


def blank(text: str) -> str:
    """SQL that is true for a text of nothing but spaces."""
    # `trim` alone takes four times as long as a parser (DuckDB 2.0).
    return f"(CASE WHEN {text} < '!' THEN trim({text}) = '' ELSE false END)"
