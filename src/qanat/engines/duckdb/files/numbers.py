r"""Numbers of JSON texts with all their digits.

DuckDB's JSON functions read a number with a point or an exponent as a double: `90071992547409.93`
comes out as `90071992547409.94`, `1.10` as `1.1`. Where that could change a value, these numbers
are made strings that begin with a mark (`mark`), and what is taken out of the marked text loses
the marks again (`unmark`). Whole numbers need no mark: DuckDB keeps their digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from qanat.text import literal

# Unicode promises that this is no character and never will be; `HAS_MARK` finds texts with it.
_MARK = "\ufdd0"
_FRACTION = r"-?[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)"
# A JSON text is strings and what stands between them.
_SEGMENTS = r'"(?:[^"\\]|\\.)*"|[^"]+'
# No string has a digit before a point or an `e`: what looks like such a number is one.
_PLAIN_STRINGS = r'(?:[^"]*"(?:[^"\\0-9]|\\.|[0-9]+(?:[^"\\0-9.eE]|\\.))*[0-9]*")*[^"]*'
_BEFORE = r"[:,\[]\s*-?"
# 16 digits or more and a point; the zeros in front of a fraction are counted, too.
_LONG_FRACTIONS = "|".join(
    [rf"[0-9]{{{n}}}\.[0-9]{{{16 - n},}}" for n in range(1, 15)] + [r"[0-9]{15,}\.[0-9]"]
)
_LONG_WHOLES = "[0-9]{19}|[0-9]{16,}[eE]"
_EXTREMES = r"[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]{3}"

HAS_MARK = f"contains(text, {literal(_MARK)})"
"""SQL that is true for a `text` that has the mark already."""

MAY_BE_LONG = r"regexp_matches(text, '[0-9.]{16}|[0-9][eE][-+]?[0-9]{3}')"
"""SQL that is true for a `text` that may have a long number (it is quick)."""


def is_long(wide: Collection[str | None]) -> str:
    """SQL that is true for a `text` with a number that a double or 64 bits may not hold.

    Args:
        wide: keys and elements of lists (None) whose values became doubles, so that whole numbers
            of 16 digits count, too.
    """
    patterns = [f"{_BEFORE}(?:{_LONG_WHOLES}|{_LONG_FRACTIONS}|{_EXTREMES})"]
    keys = "|".join(re.escape(json.dumps(k)[1:-1]) for k in wide if k is not None)
    if keys:
        patterns.append(rf'"(?:{keys})"\s*:\s*-?[0-9]{{16}}')
    if None in wide:
        patterns.append(r"[\[,]\s*-?[0-9]{16,}\s*[,\]]")
    return f"regexp_matches(text, {literal('|'.join(patterns))})"


def mark(text: str) -> str:
    """SQL for a valid JSON text, its numbers with a point or an exponent as marked strings."""
    replaced = f"regexp_replace({{}}, '({_FRACTION})', '\"{_MARK}\\1\"', 'g')"
    each = f"lambda s: CASE WHEN starts_with(s, '\"') THEN s ELSE {replaced.format('s')} END"
    segments = f"regexp_extract_all({text}, '{_SEGMENTS}')"
    return (
        f"CASE WHEN NOT regexp_matches({text}, '[0-9]\\.[0-9]|[0-9][eE][-+]?[0-9]') THEN {text} "
        f"WHEN regexp_full_match({text}, '{_PLAIN_STRINGS}') THEN {replaced.format(text)} "
        f"ELSE array_to_string(list_transform({segments}, {each}), '') END"
    )


def unmark(text: str) -> str:
    """SQL for a text or JSON text taken out of a marked one, with its numbers as they were."""
    pattern = literal(f'"?{_MARK}([-+.0-9eE]+)"?')
    return (
        f"CASE WHEN contains({text}, {literal(_MARK)}) "
        f"THEN regexp_replace({text}, {pattern}, '\\1', 'g') ELSE {text} END"
    )


def unmarked(value: str) -> str:
    """SQL for a JSON value as text: a string without its quotes, a number as it was written."""
    return unmark(f"({value} ->> '$')")
