"""The ledger in a relational database.

Read `tables` (what is stored), `database` (what the ledger needs of a database), `lease` (who may
write what, and what is read once meanwhile), `reader` (the ledger's queries), `ledger` (its
writes) and `moves` (renamings and removals among them), then the two databases: `sqlite` and
`postgresql`.

The ledger uses DB-API drivers, not SQLAlchemy: importing SQLAlchemy takes more than half of the
time that an unchanged run may take.
"""

from qanat.model.adapter import LedgerKind

SQLITE = LedgerKind("sqlite", "qanat.ledgers.sql.sqlite:SqliteLedger")
POSTGRESQL = LedgerKind(
    "postgresql",
    "qanat.ledgers.sql.postgresql:PostgresLedger",
    schemes=("postgresql", "postgres"),
)
