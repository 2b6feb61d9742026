"""Reads a project's files into a `Pipeline`: the spec, SQL statements, Python decorators.

Read `files` (where the spec and the project's files are) and `spec` first (`document` is YAML with
places, `settings` has the keys that it may have, `environments` what may differ by environment,
`storages` where their tables are, `observers` who is told of updates, `schedules` when datasets
are updated), then `library`, which loads the files.

SQL: `statements` moves a `cursor` over the words of a statement and parses its parts with
`columns`, `checks` (with `rules`), `properties`, `types`, `auto_cdc` and `merge_into`. Python:
`python` has the decorators, `python_cdc` the functions of AUTO CDC, `python_udf` the decorator of
functions for SQL; `capture` stores their arguments, `pyfile` runs the user's file, `captured`
keeps what that declared and what its functions returned, `functions` makes declarations of it
(`cdc_call` and `snapshot_call` those of AUTO CDC, `udf_call` functions for SQL), with what a
function uses beside its own text (`closure`). Both use `query`, which finds what a query reads
(with `streams`, `watermarks` and `calls`), `changes`, which checks what is declared of changes,
and `registry`, which collects declarations and problems; `strategies` then makes of the keys of
tables what their flows change, and `enveloped` adds what AUTO CDC takes from messages in
envelopes. `adhoc` reads a query that no dataset declares, `unit_tests` the tests of those that it
does. They share `arguments`, `frames` (arguments and annotations of decorated functions),
`described` (columns in an option of a read), `expression` (conditions and values over one row),
`syntax` (sqlglot's parse errors) and `slips` (mistakes that are known by their form). The package
`check` has checks in Python and in files, `imports` those of other tools, `spark` makes SQL of
Spark's data frames.

Importing the parsers takes a tenth of a second, and an update of unchanged files does not need
them: `run.memo` imports them when it must.
"""
