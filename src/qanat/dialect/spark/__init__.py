"""Spark's SQL as DuckDB's SQL: each function is tested to give equal results, or is refused.

Read `translation` (the walk over a query) first, then what it does with a node: `clauses`,
`operators` (with `comparisons` and `casts`) and `calls`. A call is looked up in tables of rules:
`numbers`, `strings`, `dates`, `nested`, `aggregates`, `conditions`. A rule is a template of
DuckDB's SQL; where a template is not enough, it names a form, a Python function of `forms` or
`nested_forms` (with `patterns` for dates and regular expressions). `template` fills rules in,
`kinds` infers types as far as the text shows them, `titles` names columns as Spark does, `grammar`
parses, `names` lists every function of Spark, `refused` has the exception for what is refused.
"""
