"""The columns of a table, described in bounded memory: a few scans, small aggregates, a sample.

`described` makes a batch rows that can be read several times; `summary` describes these. `kinds`
says what can be asked of a column. `scan` takes what aggregates tell of every row, `counted` the
values of columns that have few (then everything is exact) and how many the others have, `sample`
the rest; `bins` cuts histograms. `patterns` describes texts, `together` finds columns that go
together, `keys` those that identify a row.
"""
