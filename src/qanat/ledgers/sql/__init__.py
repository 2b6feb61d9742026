"""The ledger in a relational database.

`tables` (what is stored), `database` (what a database must do), `process` (who is alive),
`lease`, `rows` (records to columns and back), `events` (what updates tell), `memory` (what a
ledger tells), `ledger` (what an update writes down), then the two databases: `sqlite` and
`postgresql`. Through the DB-API and not SQLAlchemy, whose import
alone costs more than half of what an unchanged run may take.
"""

from qanat.model.adapter import LedgerKind

SQLITE = LedgerKind("sqlite", "qanat.ledgers.sql.sqlite:SqliteLedger")
POSTGRESQL = LedgerKind(
    "postgresql",
    "qanat.ledgers.sql.postgresql:PostgresLedger",
    schemes=("postgresql", "postgres"),
)
