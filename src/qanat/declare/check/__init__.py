"""Checks that are no SQL: in Python, in `checks/*.yml`, and in rows of files.

`check` has the values that authors make in Python. `kinds` knows what each kind of check means
(its table is the whole taxonomy), `reading` how its arguments are read, `making` makes
expectations of checks. `files` reads `checks/*.yml` and `rules` the files of rules that these
name; `selected` finds the datasets that they are for.
"""
