"""Delta Lake tables.

The log is plain JSON, so what an unchanged run asks (`version`, `transaction`), and the state of
a young table (`reconciliation`), are answered by the standard library alone; `table`, which
imports deltalake, is loaded for all other tables and for checkpoints.

Commits are ours, not delta-rs's (measured with deltalake 1.6.6): delta-rs never fsyncs, so that
a power loss leaves a torn entry under a valid name; it cannot carry new columns, properties or
a comment in the same commit as the data; an overwrite that changes the partitioning leaves a
table that nobody can open; and it commits the same (application, number) twice. Checkpoints
and everything about reading are delta-rs's.

Read `store` (what the port asks for), then `log` (the entries as files), `state` and `features`
(what a table is, and what it asks of its writers), `reconciliation` and `table` (two ways to learn
it), `commit` (what an entry says, with `statistics`), `retract` (how
one is taken back), `changes` (what a table gained), `leftovers` (what crashes leave) and `disk`
(files that survive a power loss).
"""

from qanat.model.adapter import TableFormat
from qanat.model.options import OptionTable

DELTA = TableFormat(
    "delta",
    "qanat.storage.delta.store:DeltaStore",
    OptionTable("table_format: delta", ()),
    witness="qanat.storage.delta.witness:DeltaWitness",
)
