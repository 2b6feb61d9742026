"""What depends on what, what changed, and what a query is like.

Read `graph` and `order` first (what reads what), then `meaning` and `memory` (queries that a
stream cannot feed), `fingerprint` and `difference` (what changed since the last update),
`rowwise` (which queries compute row by row), `fit` (a query's columns, made those of its table),
`lineage` (what a table is made from), `columns` and `projection` (what a column is made from).
They share `tree` (queries, parsed once), `place` (back from there to the author's text) and
`aggregate` (which functions combine rows). All of it from the declarations alone: nothing here
reads data.
"""
