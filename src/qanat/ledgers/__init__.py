"""The ledger, one per project and environment: its record of updates, epochs and positions.

A ledger is a SQLite file in the storage, or tables in PostgreSQL. Package `sql` serves both with
one set of statements; `qanat.plugins.open_ledger` opens the one of a URL.
"""
