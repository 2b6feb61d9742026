"""Spark's functions that choose between values or cast them (see `numbers.py`)."""

from __future__ import annotations

RULES: tuple[tuple[str, str], ...] = (
    ("coalesce(*x)", "coalesce(x)"),
    ("nvl(x, y)", "coalesce(x, y)"),
    ("ifnull(x, y)", "coalesce(x, y)"),
    ("nvl2(x, y, z)", "CASE WHEN x IS NOT NULL THEN y ELSE z END"),
    ("nullif(x, y)", "CASE WHEN COMPARED(x, y) THEN NULL ELSE x END"),
    ("nullifzero(x)", "CASE WHEN x = 0 THEN NULL ELSE x END"),
    ("zeroifnull(x)", "coalesce(x, 0)"),
    ("if(c, x, y)", "CASE WHEN c THEN x ELSE y END"),
    ("isnull(x): bool", "x IS NULL"),
    ("isnotnull(x): bool", "x IS NOT NULL"),
    ("equal_null(x, y): bool", "x IS NOT DISTINCT FROM y"),
    ("decode(*x)", "DECODED(x)"),
    ("tinyint(x)", "TO_TINYINT(x)"),
    ("smallint(x)", "TO_SMALLINT(x)"),
    ("int(x)", "TO_INT(x)"),
    ("bigint(x)", "TO_BIGINT(x)"),
    ("float(x)", "TO_FLOAT(x)"),
    ("double(x)", "TO_DOUBLE(x)"),
    ("string(x)", "TO_STRING(x)"),
    ("boolean(x)", "TO_BOOLEAN(x)"),
    ("raise_error(m)", "error(m)"),
    (
        "assert_true(c)",
        "CASE WHEN c THEN NULL ELSE error('[USER_RAISED_EXCEPTION] assert_true') END",
    ),
    ("explode(a)", "EXPLODED(a)"),
    ("explode_outer(a)", "EXPLODED_OUTER(a)"),
)
