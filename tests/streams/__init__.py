"""Queries over streams, cut into epochs, against one query over all rows.

`operating` runs an operator with a state by itself, and keeps its state in a table. `python -m
tests.streams.run` tries as many random cases as one likes; the tests draw some.
"""
