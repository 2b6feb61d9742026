"""Spark's functions on numbers as templates of DuckDB's SQL.

Each rule is a pair: Spark's signature with the kind of its result (`abs(x)`, `isnan(x): bool`),
and DuckDB's SQL that gives the same. Names in capitals, such as `ROUNDED(x, d)`, are forms (see
`forms.py`); `*x` takes all arguments.
"""

from __future__ import annotations

RULES: tuple[tuple[str, str], ...] = (
    ("abs(x)", "abs(x)"),
    ("negative(x)", "-x"),
    ("positive(x)", "x"),
    ("sign(x): double", "CAST(sign(CAST(x AS DOUBLE)) AS DOUBLE)"),
    ("signum(x): double", "CAST(sign(CAST(x AS DOUBLE)) AS DOUBLE)"),
    (
        "sqrt(x): double",
        "CASE WHEN x < 0 THEN CAST('nan' AS DOUBLE) ELSE sqrt(CAST(x AS DOUBLE)) END",
    ),
    ("cbrt(x): double", "cbrt(CAST(x AS DOUBLE))"),
    ("exp(x): double", "exp(CAST(x AS DOUBLE))"),
    ("power(x, y): double", "power(CAST(x AS DOUBLE), CAST(y AS DOUBLE))"),
    ("pow(x, y): double", "power(CAST(x AS DOUBLE), CAST(y AS DOUBLE))"),
    ("ln(x): double", "CASE WHEN x > 0 THEN ln(CAST(x AS DOUBLE)) END"),
    ("log(x): double", "CASE WHEN x > 0 THEN ln(CAST(x AS DOUBLE)) END"),
    ("log10(x): double", "CASE WHEN x > 0 THEN log10(CAST(x AS DOUBLE)) END"),
    ("log2(x): double", "CASE WHEN x > 0 THEN log2(CAST(x AS DOUBLE)) END"),
    ("sin(x): double", "sin(CAST(x AS DOUBLE))"),
    ("cos(x): double", "cos(CAST(x AS DOUBLE))"),
    ("tan(x): double", "tan(CAST(x AS DOUBLE))"),
    ("atan(x): double", "atan(CAST(x AS DOUBLE))"),
    ("atan2(y, x): double", "atan2(CAST(y AS DOUBLE), CAST(x AS DOUBLE))"),
    (
        "asin(x): double",
        "CASE WHEN abs(x) > 1 THEN CAST('nan' AS DOUBLE) ELSE asin(CAST(x AS DOUBLE)) END",
    ),
    (
        "acos(x): double",
        "CASE WHEN abs(x) > 1 THEN CAST('nan' AS DOUBLE) ELSE acos(CAST(x AS DOUBLE)) END",
    ),
    ("sinh(x): double", "sinh(CAST(x AS DOUBLE))"),
    ("cosh(x): double", "cosh(CAST(x AS DOUBLE))"),
    ("tanh(x): double", "tanh(CAST(x AS DOUBLE))"),
    ("degrees(x): double", "degrees(CAST(x AS DOUBLE))"),
    ("radians(x): double", "radians(CAST(x AS DOUBLE))"),
    ("pi(): double", "pi()"),
    ("e(): double", "exp(CAST(1 AS DOUBLE))"),
    ("isnan(x): bool", "coalesce(isnan(x), FALSE)"),
    ("ceil(x): bigint", "CAST(ceil(NOT_DECIMAL(x)) AS BIGINT)"),
    ("ceiling(x): bigint", "CAST(ceil(NOT_DECIMAL(x)) AS BIGINT)"),
    ("floor(x): bigint", "CAST(floor(NOT_DECIMAL(x)) AS BIGINT)"),
    ("round(x)", "round(x)"),
    ("round(x, d)", "ROUNDED(x, d)"),
    ("mod(x, y)", "MODULO(x, y)"),
    ("pmod(x, y)", "MODULO(MODULO(x, y) + y, y)"),
    ("greatest(*x)", "GREATEST(x)"),
    ("least(*x)", "LEAST(x)"),
    ("bit_count(x): int", "CAST(bit_count(CAST(x AS BIGINT)) AS INTEGER)"),
    (
        "factorial(x): bigint",
        "CASE WHEN x BETWEEN 0 AND 20 THEN CAST(factorial(CAST(x AS INTEGER)) AS BIGINT) END",
    ),
    ("hex(x): string", "hex(x)"),
    ("bin(x): string", "bin(CAST(x AS BIGINT))"),
    (
        "nanvl(x, y): double",
        "CASE WHEN isnan(CAST(x AS DOUBLE)) THEN CAST(y AS DOUBLE) ELSE CAST(x AS DOUBLE) END",
    ),
    ("try_divide(x, y)", "CASE WHEN y <> 0 THEN NOT_DECIMAL(x) / NOT_DECIMAL(y) END"),
    (
        "width_bucket(v, lo, hi, n): bigint",
        (
            "CASE WHEN n > 0 AND lo < hi THEN CASE WHEN v < lo THEN 0 WHEN v >= hi THEN CAST(n AS"
            " BIGINT) + 1 ELSE CAST(floor(n * (CAST(v AS DOUBLE) - lo) / (CAST(hi AS DOUBLE) - "
            "lo)) AS BIGINT) + 1 END END"
        ),
    ),
)
