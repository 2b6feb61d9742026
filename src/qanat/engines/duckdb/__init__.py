"""DuckDB, embedded: the default engine.

Read `engine` (one instance, many threads), then `stage` (one epoch from query to staged files)
and the steps it takes: `inputs` and `files` bind what is read, `hidden` carries row positions
through the author's query, `functions` runs Python queries, `fit` makes the columns those of the
table, `split` finds the rows that break rules, `quarantine` puts them aside, `readmit` lets them
back in, `write` makes files of the rest (`output` is the COPY, `statistics` what it says about
columns); `types` maps types and quotes names. `audit` and `profile` look at stored tables,
`reading` gives the rows of a query. `faults` turns DuckDB's errors into ours: `message` reads
them, `refusals` explains the author's mistakes, `place` finds where they are.
"""

from qanat.model.adapter import EngineKind

DUCKDB = EngineKind(
    "duckdb", "duckdb", "qanat.engines.duckdb.engine:DuckDBEngine", translated=("spark",)
)
