"""The ledger in a relational database.

Read `tables` (what is stored), `database` (what the ledger needs of a database), `rows` (records
as rows), `reader` (the ledger's queries), `answers` (what is read once while a lease is held),
`lease` (who may write what) with `process` (who lives) and `refusal` (of a lease), `ledger` (its
writes), `moves` (renamings and removals among them), `metrics` (their history), `pauses` (of
datasets), `requests` (for leases), `runs` (of schedules), `outbox` (events that others have still
to get) and `retention` (of history), then the two databases: `sqlite` and `postgresql`.

The ledger uses DB-API drivers, not SQLAlchemy: importing SQLAlchemy takes more than half of the
time that an unchanged run may take.
"""

from qanat.model.kind import LedgerKind

SQLITE = LedgerKind("sqlite", "qanat.ledgers.sql.sqlite:SqliteLedger")
POSTGRESQL = LedgerKind(
    "postgresql",
    "qanat.ledgers.sql.postgresql:PostgresLedger",
    schemes=("postgresql", "postgres"),
)
