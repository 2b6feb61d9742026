"""Operators that keep rows from one epoch to the next: running and window aggregates, joins.

`kind` has what an epoch asks of an operator, whatever stores its state.
"""
