"""Delta Lake tables.

The log is plain JSON. What an unchanged run asks (`version`, `transaction`) and the state of a
young table (`reconciliation`) are therefore read with the standard library alone. `table`, which
imports deltalake, is loaded for all other tables and for checkpoints.

Qanat writes commits itself. delta-rs (measured with deltalake 1.6.6) never fsyncs, so a power loss
leaves an incomplete entry under a valid name; it cannot write new columns, properties or a comment
in the same commit as the data; an overwrite that changes the partitioning leaves a table that
cannot be opened; and it commits the same (application, number) twice. delta-rs makes checkpoints
and reads tables.

Read `store` (what the port asks for), then `log` (the entries as files), `state` and `features`
(what a table is, and what it requires of writers), `reconciliation` and `table` (two ways to load
that), `commit` (the content of an entry, with `statistics`), `retract` (how a commit is undone),
`changes` (the rows that a table gained), `leftovers` (files that crashes leave), `put` (durable
creation of a file) and `witness` (what a crash test asks instead of the store).
"""

from qanat.model.adapter import OptionTable, TableFormat

DELTA = TableFormat(
    "delta",
    "qanat.storage.delta.store:DeltaStore",
    OptionTable("table_format: delta", ()),
    witness="qanat.storage.delta.witness:DeltaWitness",
)
