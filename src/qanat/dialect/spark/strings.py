"""Spark's functions on strings as templates of DuckDB's SQL (see `numbers.py`)."""

from __future__ import annotations

RULES: tuple[tuple[str, str], ...] = (
    ("upper(s): string", "UPPER(s)"),
    ("ucase(s): string", "UPPER(s)"),
    ("lower(s): string", "LOWER(s)"),
    ("lcase(s): string", "LOWER(s)"),
    ("length(s): int", "CAST(length(s) AS INTEGER)"),
    ("len(s): int", "CAST(length(s) AS INTEGER)"),
    ("char_length(s): int", "CAST(length(s) AS INTEGER)"),
    ("character_length(s): int", "CAST(length(s) AS INTEGER)"),
    ("octet_length(s): int", "CAST(strlen(s) AS INTEGER)"),
    ("bit_length(s): int", "CAST(8 * strlen(s) AS INTEGER)"),
    ("substring(s, p): string", "SUBSTRING_(s, p)"),
    ("substring(s, p, n): string", "SUBSTRING_(s, p, n)"),
    ("substr(s, p): string", "SUBSTRING_(s, p)"),
    ("substr(s, p, n): string", "SUBSTRING_(s, p, n)"),
    ("left(s, n): string", "left(s, greatest(n, 0))"),
    ("right(s, n): string", "right(s, greatest(n, 0))"),
    ("trim(s): string", "trim(s)"),
    ("ltrim(s): string", "ltrim(s)"),
    ("rtrim(s): string", "rtrim(s)"),
    ("btrim(s): string", "trim(s)"),
    ("btrim(s, c): string", "trim(s, c)"),
    ("ltrim(c, s): string", "ltrim(s, c)"),
    ("rtrim(c, s): string", "rtrim(s, c)"),
    ("lpad(s, n): string", "lpad(s, CAST(greatest(n, 0) AS INTEGER), ' ')"),
    ("rpad(s, n): string", "rpad(s, CAST(greatest(n, 0) AS INTEGER), ' ')"),
    (
        "lpad(s, n, p): string",
        (
            "CASE WHEN p = '' THEN left(s, greatest(n, 0)) ELSE lpad(s, CAST(greatest(n, 0) AS "
            "INTEGER), p) END"
        ),
    ),
    (
        "rpad(s, n, p): string",
        (
            "CASE WHEN p = '' THEN left(s, greatest(n, 0)) ELSE rpad(s, CAST(greatest(n, 0) AS "
            "INTEGER), p) END"
        ),
    ),
    ("concat(*s)", "CONCATENATED(s)"),
    ("concat_ws(*s): string", "JOINED(s)"),
    ("reverse(s)", "reverse(s)"),
    ("repeat(s, n): string", "repeat(s, greatest(n, 0))"),
    ("space(n): string", "repeat(' ', greatest(n, 0))"),
    ("instr(s, t): int", "CAST(instr(s, t) AS INTEGER)"),
    ("locate(t, s): int", "CAST(instr(s, t) AS INTEGER)"),
    ("position(t, s): int", "CAST(instr(s, t) AS INTEGER)"),
    ("contains(s, t): bool", "contains(s, t)"),
    ("startswith(s, t): bool", "starts_with(s, t)"),
    ("endswith(s, t): bool", "ends_with(s, t)"),
    ("replace(s, f, t): string", "CASE WHEN f = '' THEN s ELSE replace(s, f, t) END"),
    ("replace(s, f): string", "CASE WHEN f = '' THEN s ELSE replace(s, f, '') END"),
    ("translate(s, f, t): string", "translate(s, f, t)"),
    ("ascii(s): int", "CASE WHEN s = '' THEN 0 ELSE CAST(ascii(s) AS INTEGER) END"),
    (
        "split_part(s, d, n): string",
        (
            "CASE WHEN n = 0 THEN error('[INVALID_INDEX_OF_ZERO] The index 0 is invalid') ELSE "
            "split_part(s, d, n) END"
        ),
    ),
    (
        "substring_index(s, d, n): string",
        (
            "CASE WHEN d = '' OR n = 0 THEN '' WHEN n > 0 THEN "
            "array_to_string(list_slice(string_split(s, d), 1, n), d) ELSE "
            "array_to_string(list_slice(string_split(s, d), n, -1), d) END"
        ),
    ),
    ("levenshtein(s, t): int", "LEVENSHTEIN_(s, t)"),
    ("md5(s): string", "md5(s)"),
    ("sha1(s): string", "sha1(s)"),
    ("sha(s): string", "sha1(s)"),
    ("base64(s): string", "to_base64(encode(s))"),
    ("rlike(s, p): bool", "REGEX(s, p)"),
    ("regexp_like(s, p): bool", "REGEX(s, p)"),
    ("regexp(s, p): bool", "REGEX(s, p)"),
    ("regexp_replace(s, p, r): string", "REPLACED(s, p, r)"),
    ("regexp_extract(s, p): string", "EXTRACTED(s, p, 1)"),
    ("regexp_extract(s, p, g): string", "EXTRACTED(s, p, g)"),
    ("regexp_count(s, p): int", "COUNTED(s, p)"),
    ("split(s, p)", "SPLIT_(s, p)"),
    ("initcap(s): string", "INITCAP_(s)"),
    ("sha2(s, n): string", "SHA2_(s, n)"),
    (
        "find_in_set(s, l): int",
        (
            "CASE WHEN contains(s, ',') THEN 0 ELSE CAST(coalesce(list_position(string_split(l, "
            "','), s), CASE WHEN s IS NULL OR l IS NULL THEN NULL ELSE 0 END) AS INTEGER) END"
        ),
    ),
)
