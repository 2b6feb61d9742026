"""Queries over streams taken apart: what goes into an operator with a state, and what comes after.

`operator` finds the one operator that a query may have; `grouping`, `deduplication` and `joining`
say what each kind of it is. `calls` has the aggregates of a grouping, `windows` knows functions of
event time, `intervals` spans of time, `apart` the query without its operator. `batch` computes
windows in queries that read all rows each time.
"""

from qanat.planning.eventtime.batch import without_windows
from qanat.planning.eventtime.operator import stateful_of

__all__ = ["stateful_of", "without_windows"]
