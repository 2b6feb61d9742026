"""Rows that change a table: `AUTO CDC`, keys and incremental strategies, `MERGE INTO`.

What the merge of one epoch is, from rows that rules have kept to staged files, `merging` tells.
What becomes of the rows that it touches is an object for each kind of changes (`kind` says what is
asked of it). `by_events`: the rows are events, in columns that `shape` makes of a query's; those
of the keys that they touch are put together from three places (`events`): the new ones, those that
earlier epochs kept beside the table, and those that the table's own rows tell. What these come to
is computed anew, in the order of their sequence (`fold`), so that it never matters in which order
or in how many epochs they came. `snapshot`: a snapshot is made events first, by how it differs
from the rows there. `by_keys`: the rows replace those of their key or partition. `results`: they
replace those of their group, of which no column tells. `by_clauses`:
clauses say what becomes of rows that match (`missing`: and of those that
no row of the source does). Only files with a row that is another one afterwards
are written again (`rewrite`). `by_adoption`: rows of another environment stay as they
are. `pieces` has the SQL that all of them share.
"""
