"""DuckDB, embedded: the default engine.

Read `engine` (one instance, many threads), then `stage` (one epoch from query to staged files)
and the steps it takes: `inputs` and `files` bind what is read, `hidden` carries row positions
through the author's query, `functions` runs Python queries, `fit` makes the columns those of the
table, `split` finds the rows that break rules, `write` makes Parquet of the rest. `faults`
turns DuckDB's errors into ours.
"""

from qanat.engines.duckdb.engine import DuckDBEngine

__all__ = ["DuckDBEngine"]
