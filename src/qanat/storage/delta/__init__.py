"""Delta Lake tables.

The log is plain JSON. What an unchanged run asks (`version`, `transaction`) and the state of a
young table are therefore read with the standard library alone. `table`, which
imports deltalake, is loaded for all other tables and for checkpoints.

Qanat writes commits itself. delta-rs (measured with deltalake 1.6.6) never fsyncs, so a power loss
leaves an incomplete entry under a valid name; it cannot write new columns, properties or a comment
in the same commit as the data; an overwrite that changes the partitioning leaves a table that
cannot be opened; and it commits the same (application, number) twice. delta-rs makes checkpoints
and reads tables.

Read `store` (what the port asks for), then `log` (the entries as files), `state` (what a table is
at a version) and `states` (which of them are known), `features` (what it requires of writers),
`batches` (what an engine gets of it), `gains` (the files that a stream of it reads), `feed` (what
commits did to its rows) and `table` (the same by delta-rs). `places` finds the `files` of a table:
in a folder they are `local` (with `durable`: how an entry is made), in an object store `remote`
(with `remote_log`, `remote_moves` and a `cache` of what was fetched). Then `commit` (the content
of an entry), `staged` (what it says of new files), `statistics` (of the columns of a file),
`merges` (what must be so where rows change), `vectors` (rows that others have deleted by their
position), `events` (changes that are kept beside the rows), `retract` (how a commit is undone),
`names` (tables and applications by other names), `leftovers` (files that crashes leave), `upkeep`
(maintenance: `layout` says which files are to be written again, `cleaning` what of the past can
go; for what only `checkpoints` say), `owner` (whose a damaged table is) and `witness` (what a
crash test asks instead of the store).
"""

from qanat.model.adapter import OptionTable
from qanat.model.kind import TableFormat

DELTA = TableFormat(
    "delta",
    "qanat.storage.delta.store:DeltaStore",
    OptionTable("table_format: delta", ()),
    witness="qanat.storage.delta.witness:DeltaWitness",
    journals=("/_delta_log", "/_checkpoint_"),
    object_stores=True,
)
