"""Operators that keep rows from one epoch to the next: running and window aggregates, joins.

`kind` has what an epoch asks of an operator, whatever stores its state; `operators` makes the one
for each kind. `grouped` is GROUP BY, `sessions` with windows that grow; `aggregates` has what is
kept of each aggregate. `distinct` is DISTINCT, `joined` a join of two streams.

`staging` stages an epoch that has an operator: `epoch` runs that over the new rows and the rows of
the state that it needs, which `stored` finds, writes and compacts, and `cache` keeps in this
process; `marks` has how far streams have come, and the watermark; `look` counts what there is.
"""
