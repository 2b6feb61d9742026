r"""Numbers of JSON texts with all their digits.

DuckDB's JSON functions read a number with a point or an exponent as a double: `90071992547409.93`
comes out as `90071992547409.94`, `1.10` as `1.1`. Where that could change a value, these numbers
are made strings that begin with a mark (`Mark.on`), and what is taken out of the marked text loses
the marks again (`Mark.off`). No text may have the mark already, so it is chosen for the texts at
hand (`find_mark`). Whole numbers need no mark: DuckDB keeps their digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from itertools import product

from duckdb import DuckDBPyConnection

from qanat.frozen import Frozen
from qanat.text import literal

# A mark is made of these two. They are control characters that no text of today has, and there is
# one way only to write each as an escape, as it has no letters.
_SIGNS = "\x80\x81"
_ESCAPES = ("\\u0080", "\\u0081")
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
# 64 bits hold all of 19 digits below 92…: nanoseconds since 1970 are among them.
_LONG_WHOLES = "[0-9]{20}|9[2-9][0-9]{17}|[0-9]{16,}[eE]"
_EXTREMES = r"[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]{3}"

MAY_BE_LONG = r"regexp_matches(text, '[0-9.]{16}|[0-9][eE][-+]?[0-9]{3}')"
"""SQL that is true for a `text` that may have a long number (it is quick)."""

REWRITTEN = (
    rf"regexp_matches(text, '{_LONG_FRACTIONS}|[0-9]\.[0-9]+0[^0-9.]|[0-9][eE][-+]?[0-9]|0\.000')"
)
"""SQL that is true for a `text` with a number that DuckDB's JSON functions write otherwise."""


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


class Mark(Frozen):
    """What numbers with a point or an exponent begin with in a batch; without a sign, nothing.

    Args:
        sign: a text that no string in the batch has.
    """

    sign: str = ""

    def on(self, text: str) -> str:
        """SQL for a valid JSON text, its numbers with a point or an exponent as marked strings."""
        if not self.sign:
            return text
        replaced = f"regexp_replace({{}}, '({_FRACTION})', '\"{self.sign}\\1\"', 'g')"
        each = f"lambda s: CASE WHEN starts_with(s, '\"') THEN s ELSE {replaced.format('s')} END"
        segments = f"regexp_extract_all({text}, '{_SEGMENTS}')"
        return (
            f"CASE WHEN NOT regexp_matches({text}, '[0-9]\\.[0-9]|[0-9][eE][-+]?[0-9]') "
            f"THEN {text} "
            f"WHEN regexp_full_match({text}, '{_PLAIN_STRINGS}') THEN {replaced.format(text)} "
            f"ELSE array_to_string(list_transform({segments}, {each}), '') END"
        )

    def off(self, text: str) -> str:
        """SQL for a text or JSON text taken out of a marked one, with its numbers as they were."""
        if not self.sign:
            return text
        pattern = literal(f'"?{self.sign}([-+.0-9eE]+)"?')
        return (
            f"CASE WHEN contains({text}, {literal(self.sign)}) "
            f"THEN regexp_replace({text}, {pattern}, '\\1', 'g') ELSE {text} END"
        )

    def shown(self, value: str) -> str:
        """SQL for a JSON value as text: a string without quotes, a number as it was written."""
        return self.off(f"({value} ->> '$')")


NO_MARK = Mark()


def find_mark(con: DuckDBPyConnection, source: str) -> Mark:
    """A mark that no string of some JSON texts has, be it written with escapes or without.

    Args:
        source: a SELECT of `text`.
    """
    plain, some = "text", []
    for sign, escape in zip(_SIGNS, _ESCAPES, strict=True):
        plain = f"replace({plain}, {literal(escape)}, {literal(sign)})"
        some += [f"contains(text, {literal(part)})" for part in (sign, escape)]
    rows = con.execute(
        f"SELECT DISTINCT unnest(regexp_extract_all({plain}, '[{_SIGNS}]+')) FROM ({source}) "
        f"WHERE {' OR '.join(some)}"
    ).fetchall()
    return Mark(_absent([run for (run,) in rows]))


def _absent(runs: Iterable[str]) -> str:
    r"""The shortest text of the two signs that is in none of the runs of them.

    >>> [_absent(runs).encode("latin-1") for runs in ([], ["\x80\x81"], ["\x80\x81\x81\x80\x80"])]
    [b'\x80', b'\x80\x80', b'\x80\x80\x80']
    """
    runs, length = list(runs), 0
    while True:
        length += 1
        taken = {run[at : at + length] for run in runs for at in range(len(run) - length + 1)}
        for signs in product(_SIGNS, repeat=length):
            if (found := "".join(signs)) not in taken:
                return found
