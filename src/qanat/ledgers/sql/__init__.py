"""The ledger in a relational database.

Read `tables` (what is stored), `database` (what the ledger needs of a database), `lease`, `known`
(what is read once while the lease is ours), `reader` (the ledger's queries), `due` (which epoch
may begin), `ledger` (its writes), then the two databases: `sqlite` and `postgresql`.

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
