"""A second engine, on DataFusion: the proof that the port knows nothing of DuckDB.

It is also an example of how small an engine can be. Users do not see it; the suite in
`tests/conformance/engine` holds it to what it declares. Read `engine` first, then `stage` (one
epoch) and the steps that it takes: `inputs` binds what is read and numbers its rows,
`positions` carries the numbers through the author's query, `columns` maps types and computes a
table's columns, `rules` marks the rows that break one, `quarantine` describes those that are
put aside, `write` makes files of the rest. `profile` describes columns, `reading` gives the rows
of a query; `faults` turns DataFusion's errors into ours.
"""

from qanat.model.kind import EngineKind

DATAFUSION = EngineKind(
    "datafusion",
    # The nearest that sqlglot knows.
    "postgres",
    "tests.conformance.datafusion_engine.engine:DataFusionEngine",
)
