"""Rows that change a table: `AUTO CDC` and merges.

The rows of an epoch are events, in columns that `shape` makes of a query's. Those of the keys that
they touch are put together from three places (`events`): the new ones, those that earlier epochs
kept beside the table, and those that the table's own rows tell. What these come to is computed
anew, in the order of their sequence (`fold`), so that it never matters in which order or in how
many epochs they came. Only files with a row that is another one afterwards are written again
(`rewrite`). A snapshot is made events first: how it differs from the rows there (`snapshot`).
`merging` reads as the story of all that; `pieces` has the SQL that its steps share.
"""
