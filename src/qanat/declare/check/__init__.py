"""Checks that are no SQL: in Python, in `checks/*.yml`, and in rows of files.

`value` has the values that authors make in Python. `kinds` knows what each kind of check means
(its table is the whole taxonomy), `reading` how its arguments are read, `making` makes
expectations of checks. `files` reads `checks/*.yml` and `rules` the files of rules that these
name; `selected` finds the datasets that they are for. `contracts` reads data contracts (`schema`
validates them, `metrics` knows their rules of quality), `breaking` tells what no longer keeps one,
and `versions` compares two of them.
`recognised` makes checks of expectations again, and `written` writes them, as files of checks and
as contracts; `adding` adds some to a file that is there.
"""
