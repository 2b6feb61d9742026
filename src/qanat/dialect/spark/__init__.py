"""Spark's SQL in DuckDB's words: proven equal name by name, or refused.

Read `translation` (the walk over a query), then what it does with a node: `clauses`, `operators`
(with `comparisons` and `casts`) and `calls`. A call is looked up in tables of rules: `numbers`,
`strings`, `dates`, `nested`, `aggregates`, `conditions`; what no single text of SQL can say is
made by `forms` and `nested_forms` (with `patterns` for dates and regular expressions). `template`
fills rules in, `kinds` tells what can be seen of types, `titles` names columns as Spark does,
`grammar` parses, `names` lists every function of Spark, `refused` says no.
"""
