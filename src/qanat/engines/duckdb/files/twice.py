"""Objects within JSON values that give a key twice: a struct would keep one of the values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from qanat.text import literal

_SPELLED = re.compile(r'[^"\\*\x00-\x1f]+')
"""Keys that DuckDB's paths can spell; objects below others are not looked at."""
_TWICE = "lambda k: list_unique(k) < len(k)"


def given_twice(structure: dict[str, Any]) -> str | None:
    """SQL that is true of a `text` with such an object below its top level; None if none has any.

    What is no struct needs no look: such a value is kept as it is written.

    Args:
        structure: of all texts, as DuckDB's `json_group_structure` has it.
    """
    paths = list(dict.fromkeys(_objects(structure, "$")))
    plain = [literal(p) for p in paths if "[*]" not in p]
    found = [f"json_keys(text, [{', '.join(plain)}])"] if plain else []
    # DuckDB takes no wildcards in a list of paths.
    found += [f"json_keys(text, {literal(p)})" for p in paths if "[*]" in p]
    parts = (f"coalesce(list_bool_or(list_transform({f}, {_TWICE})), false)" for f in found)
    return " OR ".join(parts) or None


def _objects(structure: Any, path: str) -> Iterator[str]:
    """The paths of objects below one.

    >>> list(_objects({"a": {"b": [{"c": "BIGINT"}]}}, "$"))
    ['$."a"', '$."a"."b"[*]']
    """
    for key, inner in structure.items():
        below = f'{path}."{key}"'
        while isinstance(inner, list) and inner:
            below, inner = f"{below}[*]", inner[0]
        if isinstance(inner, dict) and _SPELLED.fullmatch(key):
            yield below
            yield from _objects(inner, below)
