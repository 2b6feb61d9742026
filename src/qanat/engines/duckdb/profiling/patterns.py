"""Patterns of texts: `AB-1234` is `AA-9999`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from duckdb import DuckDBPyConnection

from qanat.model.profile import ValueCount
from qanat.text import literal

LENGTH = 60
"""Characters of a text that count."""
_SHOWN = 5
_COVERED = 0.5
"""Share of the rows that the patterns shown must have; else lengths of runs are left out."""
_CLASSES = (("A", r"\p{Lu}"), ("a", r"[\p{Ll}\p{Lo}\p{Lt}\p{Lm}]"), ("9", r"\p{Nd}"))
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_ASCII = literal(_UPPER + _LOWER + "0123456789"), literal("A" * 26 + "a" * 26 + "9" * 10)

READINGS = (
    ("whole numbers", "TRY_CAST({c} AS HUGEINT) IS NOT NULL AND {c} SIMILAR TO '[+-]?[0-9]+'"),
    ("numbers", "{c} SIMILAR TO '[+-]?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?'"),
    ("dates", "TRY_CAST({c} AS DATE) IS NOT NULL AND length({c}) <= 10"),
    ("times", "TRY_CAST({c} AS TIMESTAMPTZ) IS NOT NULL"),
    ("booleans", "lower({c}) IN ('true', 'false')"),
    ("uuids", "TRY_CAST({c} AS UUID) IS NOT NULL"),
)
"""What all texts of a column might be instead, most special first, and the condition."""


def pattern(value: str) -> str:
    """SQL of the pattern of a text."""
    text = f"translate(left({value}, {LENGTH}), {_ASCII[0]}, {_ASCII[1]})"
    for letter, of in _CLASSES:
        text = f"regexp_replace({text}, {literal(of)}, '{letter}', 'g')"
    return text


def patterns(con: DuckDBPyConnection, rows: str, value: str) -> tuple[ValueCount, ...]:
    """The most frequent patterns of texts.

    Args:
        rows: FROM text.
    """
    plain = f"translate(left({value}, {LENGTH}), {_ASCII[0]}, {_ASCII[1]})"
    # Most texts are ASCII, for which one pass does; the others are few.
    found = con.execute(
        f"SELECT CASE WHEN p SIMILAR TO '[ -~]*' THEN p ELSE {pattern('p')} END AS q, count(*)"
        f" FROM (SELECT {plain} AS p FROM {rows} WHERE {value} IS NOT NULL)"
        " GROUP BY q ORDER BY 2 DESC, 1 LIMIT 2000"
    ).fetchall()
    return most(found)


def most(counts: Iterable[tuple[str, int]]) -> tuple[ValueCount, ...]:
    """The patterns to show; with runs of one kind as one where that says more.

    >>> most([("AA-99", 3), ("A", 1)])
    (ValueCount(value='AA-99', rows=3), ValueCount(value='A', rows=1))
    >>> most([(f"{'a' * i} 9", 1) for i in range(2, 50)])
    (ValueCount(value='a+ 9', rows=48),)
    """
    known = list(counts)
    total = sum(rows for _, rows in known)
    if sum(rows for _, rows in known[:_SHOWN]) < _COVERED * total:
        runs: Counter[str] = Counter()
        for text, rows in known:
            runs[re.sub(r"(A|a|9)\1+", r"\1+", text)] += rows
        known = sorted(runs.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(ValueCount(text, rows) for text, rows in _first(known))


def _first(known: Sequence[tuple[str, int]]) -> Sequence[tuple[str, int]]:
    return known[:_SHOWN]


def reads_as(con: DuckDBPyConnection, rows: str, value: str) -> str | None:
    """What all texts could be read as; None if nothing, or if there are none."""
    filled = f"{value} IS NOT NULL AND {value} <> ''"
    checks = ", ".join(f"bool_and({check.format(c=value)})" for _, check in READINGS)
    held = con.execute(f"SELECT {checks} FROM {rows} WHERE {filled}").fetchone() or ()
    return next((name for (name, _), all_ in zip(READINGS, held, strict=False) if all_), None)
