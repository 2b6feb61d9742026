"""How data comes in and goes out: one package for each outside system.

`files` reads and writes files; `tables` reads the project's own tables and those of others;
`postgres` reads and writes tables of PostgreSQL, `kafka` topics. Each package's `__init__` holds
its declaration (`qanat.model.adapter.Connector`): the table functions, formats and options that
SQL, Python, error messages and the reference are made from.
"""
