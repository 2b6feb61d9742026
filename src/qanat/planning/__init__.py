"""Analysis of the declarations: dependencies, changes of definition, lineage. Nothing reads data.

Read `graph` and `order` first (which dataset reads which, and which queries may feed it), then
`stateful` (what needs rows of earlier epochs), `eventtime` (the operators that keep them) and
`states` (what stands in their way), `changes` (what AUTO CDC cannot keep), `checks` (where a
check cannot stand), `succession` (where the order of a stream is lost), `fingerprint` and
`difference` (what changed since the last update), `levels` (which queries compute row by row)
with `corrections` (whose rows tell which source file they come from), `fit` (a query's columns,
made those of its table) with `wider` (types for the values of two types), `lineage` (what a table
is made from), `column_lineage` and `projection` (what a column is made from). They share
`keyword` (where a keyword or function stands in the author's text).
"""
