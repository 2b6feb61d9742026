"""Histories of changes, drawn at random, and what tables have to hold after them.

`model` says it in plain Python: a dict and a sort. `python -m tests.changes.run` tries as many as
one likes against the engine; the tests draw some.
"""
