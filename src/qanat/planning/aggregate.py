"""Which functions combine several rows into one."""

from __future__ import annotations

from sqlglot import exp

# Aggregates of DuckDB and Spark that sqlglot parses as unknown functions.
_NAMES = """
    any arbitrary arg_max_null arg_max_nulls_last arg_min_null arg_min_nulls_last bitstring_agg
    bit_and bit_or bit_xor bool_and bool_or collect_list collect_set combine_aggr
    count_min_sketch count_star decimal_average entropy every favg fsum histogram histogram_exact
    histogram_numeric hll_sketch_agg kahan_sum kurtosis kurtosis_pop lttb mad max_by mean
    min_by percentile product reservoir_quantile sem skewness some sum_no_overflow sumkahan
    try_avg try_sum variant_group_object
"""
_AGGREGATES = frozenset(_NAMES.split())


def aggregates(node: exp.Expr) -> bool:
    """True if a node is a call of an aggregate function.

    >>> from sqlglot import parse_one
    >>> [aggregates(parse_one(sql, dialect="duckdb")) for sql in ("sum(x)", "mad(x)", "abs(x)")]
    [True, True, False]
    """
    if isinstance(node, exp.Anonymous):
        return node.name.casefold() in _AGGREGATES
    return isinstance(node, exp.AggFunc)
