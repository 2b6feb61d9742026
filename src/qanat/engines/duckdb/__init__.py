"""DuckDB, embedded: the default engine.

Read `engine` (one instance, many threads), then `stage` (one epoch from query to staged files;
`querying` compiles its queries) and the steps it takes: `inputs`, `tables` and `files` bind what
is read, `hidden` has the query carry along where its rows came from (`clauses` knows where in its
text), `casts` has casts of doubles give what their text would, `functions` runs Python queries
(`apart`: in threads of their own), `udf` lets SQL call Python, `types` makes the columns those of
the table (`typenames` has the names of types), `split` finds the rows that break rules (compiled
by `rules`, marked by `masks`; `glance` looks at few rows), `measuring` evaluates those about all
rows together, `waiting` puts them aside into `quarantine` tables, `merge` has rows change those of
their table, `state` has operators that keep rows from epoch to epoch, `widening` writes a table
again whose columns need wider types, `write` makes files of the rest (`jsonable` is for JSON);
`sources` tells which source file rows come from, and `correcting` takes those of one away; `order`
keeps rows in the order of their source, `places` has them tell it where files do not, `onepass`
copies files without all this where nothing in them needs it. `aside` sets rows aside that a query
cannot compute, which `rowwise` finds (`expressions` are pieces of its tree), and `blame` tells
which row it is where none can be left out. `readmission` stages a replay, for which `recomputing`
computes such rows again, and `staying` has those that stay; `rearranging` writes small files of
tables again as larger ones; `tracing` finds where rows of tables come from. `remembered` keeps
what is expensive to find out. `audit` counts what stored rows break, `profiling` describes
columns, `comparing` finds what two relations have that the other has not (`pairing` says which
columns belong together, `buckets` which rows need a second look), `reading` gives the rows of a
query, `telling` says how far one is. `faults` turns DuckDB's errors into ours, and asks `refusals`
to explain the author's mistakes; `mistakes` finds all the names in a query that mean nothing.
"""

from qanat.model.kind import EngineKind

DUCKDB = EngineKind(
    "duckdb", "duckdb", "qanat.engines.duckdb.engine:DuckDBEngine", translated=("spark",)
)
