"""Spark's functions on nested types as templates of DuckDB's SQL (see `numbers.py`)."""

from __future__ import annotations

RULES: tuple[tuple[str, str], ...] = (
    ("__array(*x)", "ARRAY_(x)"),
    ("map(*x)", "MAP_(x)"),
    ("named_struct(*x)", "STRUCT_(x)"),
    ("struct(*x)", "STRUCT_NAMED(x)"),
    ("size(x): int", "CAST(cardinality(x) AS INTEGER)"),
    ("cardinality(x): int", "CAST(cardinality(x) AS INTEGER)"),
    ("array_size(x): int", "CAST(cardinality(x) AS INTEGER)"),
    ("element_at(x, k)", "ELEMENT(x, k)"),
    ("try_element_at(x, k)", "x[k]"),
    (
        "array_contains(a, x): bool",
        (
            "CASE WHEN x IS NULL THEN NULL WHEN list_contains(a, x) THEN TRUE WHEN "
            "len(list_filter(a, lambda y__: y__ IS NULL)) > 0 THEN NULL ELSE list_contains(a, x) "
            "END"
        ),
    ),
    ("array_distinct(a)", "list_filter(a, lambda y__, i__: i__ = list_position(a, y__))"),
    (
        "array_position(a, x): bigint",
        (
            "CASE WHEN a IS NULL OR x IS NULL THEN NULL ELSE CAST(coalesce(list_position(a, x), "
            "0) AS BIGINT) END"
        ),
    ),
    ("array_max(a)", "list_max(a)"),
    ("array_min(a)", "list_min(a)"),
    ("array_append(a, x)", "CASE WHEN a IS NOT NULL THEN list_append(a, x) END"),
    ("array_prepend(a, x)", "CASE WHEN a IS NOT NULL THEN list_prepend(x, a) END"),
    ("array_compact(a)", "list_filter(a, lambda y__: y__ IS NOT NULL)"),
    (
        "array_remove(a, x)",
        "CASE WHEN x IS NOT NULL THEN list_filter(a, lambda y__: y__ IS NULL OR y__ <> x) END",
    ),
    (
        "array_join(a, d): string",
        "CASE WHEN a IS NOT NULL AND d IS NOT NULL THEN coalesce(array_to_string(a, d), '') END",
    ),
    ("array_repeat(x, n)", "list_transform(range(greatest(n, 0)), lambda y__: x)"),
    (
        "arrays_overlap(a, b): bool",
        (
            "CASE WHEN list_has_any(a, b) THEN TRUE WHEN len(a) > 0 AND len(b) > 0 AND "
            "len(list_filter(list_concat(a, b), lambda y__: y__ IS NULL)) > 0 THEN NULL ELSE "
            "list_has_any(a, b) END"
        ),
    ),
    ("sort_array(a)", "list_sort(a, 'ASC', 'NULLS FIRST')"),
    (
        "sort_array(a, up)",
        (
            "CASE WHEN up THEN list_sort(a, 'ASC', 'NULLS FIRST') ELSE list_sort(a, 'DESC', "
            "'NULLS LAST') END"
        ),
    ),
    ("array_sort(a)", "list_sort(a, 'ASC', 'NULLS LAST')"),
    (
        "slice(a, p, n)",
        (
            "CASE WHEN a IS NULL THEN NULL WHEN p = 0 OR n < 0 THEN"
            " error('[INVALID_PARAMETER_VALUE] slice needs a start other"
            " than 0 and a length of at least 0') WHEN p < 0 AND -p > len(a) THEN "
            "list_slice(a, 1, 0) WHEN p < 0 THEN list_slice(a, len(a) + p + 1, len(a) + p + n) "
            "ELSE list_slice(a, p, p + n - 1) END"
        ),
    ),
    (
        "flatten(a)",
        "CASE WHEN len(list_filter(a, lambda y__: y__ IS NULL)) = 0 THEN flatten(a) END",
    ),
    ("sequence(a, b)", "SEQUENCE_(a, b)"),
    ("transform(a, f)", "list_transform(a, ELEMENTWISE(f))"),
    ("filter(a, f)", "list_filter(a, ELEMENTWISE(f))"),
    ("exists(a, f): bool", "ANY_OF(a, f)"),
    ("forall(a, f): bool", "ALL_OF(a, f)"),
    ("aggregate(a, z, f)", "list_reduce(a, f, z)"),
    ("reduce(a, z, f)", "list_reduce(a, f, z)"),
    ("map_keys(m)", "map_keys(m)"),
    ("map_values(m)", "map_values(m)"),
    ("map_contains_key(m, k): bool", "map_contains(m, k)"),
    ("map_from_arrays(k, v)", "map(k, v)"),
    ("map_entries(m)", "map_entries(m)"),
)
